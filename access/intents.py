"""What a kubeconfig grant shall be on one cluster: frozen and complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verbs(StrEnum):
    """What a grant can allow: each is one small ClusterRole of the baseline."""

    VIEW = "view"
    EDIT = "edit"
    LOGS = "logs"
    EXEC = "exec"
    PORT_FORWARD = "port-forward"
    SECRETS = "secrets"


_VIEWER = frozenset({Verbs.VIEW, Verbs.LOGS})
_DEVELOPER = _VIEWER | {Verbs.EDIT, Verbs.EXEC, Verbs.PORT_FORWARD}

VERBS_OF_ROLE: Mapping[str, frozenset[Verbs]] = {
    "read-only": _VIEWER,
    "tenant-dev": _DEVELOPER,
    "tenant-admin": _DEVELOPER | {Verbs.SECRETS},
}


@dataclass(frozen=True)
class GrantIntent:
    """A grant on a cluster: one ServiceAccount, one Secret its token is bound to, and bindings.

    `name` is unique among all grants ever, `anchor` (the Secret's) among all tokens ever;
    `namespaces` are those that exist on the cluster.
    """

    name: str
    anchor: str
    subject: str
    tenant: str
    namespaces: Sequence[str] = ()
    verbs: Sequence[str] = ()
