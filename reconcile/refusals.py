"""What the product refuses, with the code, status and way out that the API and pages show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches

from reconcile.values import JSON

HINTS = 5  # in one answer: whoever sends thousands of names gets no help with each
_LONGEST = 64  # of a name that is compared with others: it takes time


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a request.

    `pointer` is a JSON pointer into its body (RFC 6901; empty for the whole), `parameter` the name
    of a query parameter instead. `code` is for programs, `detail` a sentence for people.
    """

    code: str
    detail: str
    pointer: str = ""
    parameter: str = ""

    def as_json(self) -> JSON:
        """Return it as the problem document shows it: either a pointer or a parameter."""
        unused = "pointer" if self.parameter else "parameter"
        return {key: value for key, value in asdict(self).items() if key != unused}


class Refusal(Exception):
    """Base. `code` is stable (KN-…), `status` is HTTP's, `extra` joins the problem document.

    `errors` point at the parts of the request that are wrong; `headers` join the answer.
    """

    code = "KN-REFUSED"
    status = 409
    title = "The request was refused"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra: JSON = extra


class Invalid(Refusal):
    """The request itself is malformed: its query, headers or body."""

    code = "KN-INVALID"
    status = 400
    title = "The request is not valid"


class NotAllowed(Refusal):
    """The caller's role does not reach as far as the request; `errors` say where."""

    code = "KN-FORBIDDEN"
    status = 403
    title = "You may not do this"


class LengthRequired(Refusal):
    """A body without a Content-Length: it would be read as empty."""

    code = "KN-LENGTH"
    status = 411
    title = "The length of the body is missing"


class TooLarge(Refusal):
    """The body is larger than the product reads."""

    code = "KN-TOO-LARGE"
    status = 413
    title = "The body is too large"


class Conflicting(Refusal):
    """The request contradicts what is there; reading again tells how."""

    code = "KN-CONFLICT"
    title = "The request contradicts what is there"


class Taken(Refusal):
    """The name belongs to something else. Says no more: the caller may not see what."""

    code = "KN-TAKEN"
    title = "The name is taken"


class Ambiguous(Refusal):
    """Several visible objects carry the name; `candidates` lists them qualified."""

    code = "KN-AMBIGUOUS"
    title = "Several objects carry this name"


class PlanOutdated(Refusal):
    """What was planned is not what would happen now; `moved` says what has changed."""

    code = "KN-PLAN-STALE"
    title = "The plan no longer holds"


class Deleting(Refusal):
    """The object is on its way out."""

    code = "KN-DELETING"
    title = "The object is being deleted"


class InUse(Refusal):
    """Something else still depends on the object."""

    code = "KN-IN-USE"
    title = "The object is in use"


class LimitReached(Refusal):
    """One person or tenant has as many of these as may be; `limit` is the number."""

    code = "KN-LIMIT"
    title = "The limit is reached"


class InProgress(Refusal):
    """The same request, by its Idempotency-Key, is being worked on right now."""

    code = "KN-IN-PROGRESS"
    title = "The same request is in progress"


class PreconditionFailed(Refusal):
    """If-Match named another generation."""

    code = "KN-PRECONDITION"
    status = 412
    title = "The object has another generation"


class KeyReused(Refusal):
    """The Idempotency-Key was used for a different body."""

    code = "KN-KEY-REUSED"
    status = 422
    title = "The idempotency key belongs to another request"


class Unserved(Refusal):
    """A target cluster cannot serve the intent (capability, found, needed, clusters that could)."""

    code = "KN-CAPABILITY"
    status = 422
    title = "A cluster cannot serve this"


class Unsafe(Unserved):
    """A target cluster has critical findings that no operator has accepted; `findings` names them.

    Each says what ends it (`fix`) and the request that accepts it (`accept`).
    """

    code = "KN-FINDINGS"
    status = 422
    title = "A cluster has known holes"


class Unlisted(Refusal):
    """It uses what operators have not put on the list of what may be used; `allowed` has it."""

    code = "KN-TYPE"
    status = 422
    title = "The type is not allowed"


class OverQuota(Refusal):
    """More would be promised than there is; `ledger` has the numbers, by resource."""

    code = "KN-QUOTA"
    status = 422
    title = "The quota does not reach"


class TooMuch(Refusal):
    """It reaches further than one answer can tell."""

    code = "KN-TOO-MUCH"
    status = 422
    title = "It is too much for one plan"


class Unavailable(Refusal):
    """The answer is a cluster's own, and it cannot be reached now."""

    code = "KN-UNAVAILABLE"
    status = 503
    title = "The answer is not to be had right now"


def instead(name: str, known: Iterable[str]) -> str:
    """Return what to write instead of a name that is not known: the nearest, or any of them."""
    names = sorted(known)
    if len(name) <= _LONGEST and (near := get_close_matches(name, names, n=1)):
        return f"Did you mean {near[0]}?"
    return f"Known are {', '.join(names)}." if names else "None is known here."
