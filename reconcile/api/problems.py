"""Problem documents (RFC 9457): the one shape of everything that goes wrong under /api/."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as ModelError
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.settings import api_settings

from reconcile.api.bodies import pointer
from reconcile.correlation import correlation_id
from reconcile.refusals import Fault, Refusal
from reconcile.values import JSON

MEDIA_TYPE = "application/problem+json"
TYPE_PATH = "/api/v1/problems/"


@dataclass(frozen=True)
class Problem:
    """What went wrong: HTTP's status, a stable code, a constant title, a sentence, the parts."""

    status: int
    code: str
    title: str
    detail: str
    errors: Sequence[Fault] = ()
    extra: JSON = field(default_factory=dict)

    def as_json(self) -> JSON:
        """Return the document; `type` is the path of the page that explains the code."""
        return {
            "type": f"{TYPE_PATH}{self.code.lower()}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "errors": [fault.as_json() for fault in self.errors],
            "correlation_id": correlation_id(),
            **self.extra,
        }


# What the framework itself refuses. The texts are constant: they tell a stranger nothing.
GENERIC = {
    problem.status: problem
    for problem in (
        Problem(400, "KN-INVALID", "The request is not valid", "Parts of the request are wrong."),
        Problem(
            401,
            "KN-UNAUTHENTICATED",
            "Sign in first",
            "The credentials are missing, wrong or no longer valid. "
            "Get a token from POST /api/v1/token and send it as `Authorization: Bearer <token>`.",
        ),
        Problem(403, "KN-FORBIDDEN", "You may not do this", "Your role does not allow this."),
        Problem(404, "KN-NOT-FOUND", "Not found", "There is nothing here, or you may not see it."),
        Problem(405, "KN-METHOD", "The method is not allowed", "Use one of the methods in Allow."),
        Problem(
            415,
            "KN-MEDIA-TYPE",
            "The media type is not supported",
            "Send the body as application/json.",
        ),
        Problem(
            429,
            "KN-THROTTLED",
            "Too many requests",
            "Wait as long as Retry-After says, then retry.",
        ),
        Problem(
            500,
            "KN-INTERNAL",
            "Something broke",
            "The fault is ours. Give the correlation id to whoever operates KubeNova.",
        ),
        Problem(
            503,
            "KN-DATABASE",
            "The database cannot be reached",
            "Nothing was changed. Retry after a few seconds.",
        ),
    )
}


def generic(status: int) -> Problem:
    """Return the constant problem of a status; any other status gets HTTP's own phrase."""
    phrase = HTTPStatus(status).phrase
    return GENERIC.get(status) or Problem(status, f"KN-HTTP-{status}", phrase, f"{phrase}.")


def of_refusal(refusal: Refusal) -> Problem:
    """Turn a refusal into its problem."""
    return Problem(
        refusal.status,
        refusal.code,
        refusal.title,
        refusal.detail,
        refusal.errors,
        refusal.extra,
    )


def of_faults(faults: Iterable[Fault]) -> Problem:
    """Turn the faults of a request into a problem, in the order of their pointers."""
    known = GENERIC[400]
    ordered = sorted(faults, key=lambda fault: (fault.parameter, fault.pointer, fault.code))
    return Problem(known.status, known.code, known.title, known.detail, ordered)


def serializer_faults(error: ValidationError) -> list[Fault]:
    """Point at everything that a serializer found wrong."""
    return list(_walk(error.detail, ()))


def model_faults(error: ModelError, names: Mapping[str, str] | None = None) -> list[Fault]:
    """Point at everything that a model's full_clean() found wrong.

    `names` maps columns to the fields of the body. An error's params may hold `path`, the keys and
    indexes from the column down to the culprit.
    """
    if not hasattr(error, "error_dict"):
        return [_model_fault((), found) for found in error.error_list]
    faults = []
    for column, found in error.error_dict.items():
        base = () if column == NON_FIELD_ERRORS else ((names or {}).get(column, column),)
        faults += [_model_fault(base, each) for each in found]
    return faults


def _model_fault(base: tuple[object, ...], error: ModelError) -> Fault:
    path = (error.params or {}).get("path", ())
    return Fault(error.code or "invalid", " ".join(error.messages), pointer(*base, *path))


def _walk(detail: object, path: tuple[object, ...]) -> Iterator[Fault]:
    if isinstance(detail, ErrorDetail):
        yield Fault(detail.code or "invalid", str(detail), pointer(*path))
    elif isinstance(detail, Mapping):
        for key, child in detail.items():
            here = path if key == api_settings.NON_FIELD_ERRORS_KEY else (*path, key)
            yield from _walk(child, here)
    elif isinstance(detail, Sequence):
        for index, child in enumerate(detail):
            here = path if isinstance(child, ErrorDetail) else (*path, index)
            yield from _walk(child, here)
