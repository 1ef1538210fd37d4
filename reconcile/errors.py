"""What can go wrong on a cluster, named by what to do next.

The rules for telling them apart by HTTP status and body are those of the Kubernetes API
conventions, with the exceptions a real API server was seen to make.
"""

import random
from dataclasses import dataclass

_LONGEST_WAIT = 3600.0


class ClusterError(Exception):
    """Base of the tree. `message` is for people: cause first, no times, no secrets."""

    reason = "Failed"
    first, ceiling = 2.0, 300.0

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after

    def delay(self, failures: int) -> float:
        """Seconds until the next look after `failures` in a row (1 or more), with jitter.

        Retry-After of the server is honoured as the least wait, up to an hour: a cluster is not
        believed to the end of time. Many who were told the same do not return together.
        """
        backoff = min(self.ceiling, self.first * 2.0 ** min(max(failures, 1) - 1, 16))
        jittered = backoff * random.uniform(0.8, 1.2)
        told = (self.retry_after or 0.0) * random.uniform(1.0, 1.2)
        return max(jittered, min(told, _LONGEST_WAIT))


class Unreachable(ClusterError):
    """Network, TLS, 429 and every 5xx that is not a refusal: look again soon."""

    reason = "Unreachable"
    first, ceiling = 1.0, 60.0


class Refused(ClusterError):
    """The server understood and said no (400, 403, 405, 413, 422, bad schema, no namespace)."""

    reason = "Refused"


class Forbidden(Refused):
    """403 by the cluster's access rules: a binding just made takes a moment to be believed.

    So do the parameters of a policy. Shown only when it lasts: caches of rules and policies follow
    within milliseconds, Capsule's owners within 10 s.
    """

    reason = "Forbidden"
    first = 0.1


class Taken(Refused):
    """The object exists and is not ours: it is never adopted silently."""

    reason = "Taken"


class Waiting(ClusterError):
    """The namespace is still terminating, or a kind is not served yet but is about to be."""

    reason = "Waiting"
    first, ceiling = 2.0, 60.0


class Unauthenticated(ClusterError):
    """401: the credential is dead; only a new one helps."""

    reason = "Unauthenticated"
    first, ceiling = 30.0, 300.0


class Missing(ClusterError):
    """The cluster does not serve this kind at all (a bare text 404)."""

    reason = "CapabilityMissing"
    first, ceiling = 30.0, 600.0


class Held(ClusterError):
    """A guard holds the cluster: nothing (more) is written until an operator confirms."""

    reason = "ReportOnly"
    first, ceiling = 30.0, 300.0


class Occupied(ClusterError):
    """What was to be created is there already: look at it, then decide."""

    reason = "Occupied"
    first, ceiling = 0.0, 0.0


class Stale(ClusterError):
    """The lease ran out before the write: somebody else has the row now."""

    reason = "Stale"
    first, ceiling = 0.0, 1.0


@dataclass(frozen=True)
class FieldConflict:
    """A field that another manager owns: `path` as in managedFields, e.g. `.spec.replicas`."""

    manager: str
    path: str


class Conflict(ClusterError):
    """409: the object's uid moved on, or other managers own fields that we want to set."""

    reason = "Conflict"
    first, ceiling = 0.05, 30.0

    def __init__(self, message: str, fields: tuple[FieldConflict, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields
