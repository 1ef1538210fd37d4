"""What the proxy needs of the database, read at once: open grants and reachable clusters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from access.intents import VERBS_OF_ROLE, Verbs
from access.models import GrantPlacement
from clusters.kubeconfig import Credential
from clusters.models import Cluster
from tenancy.intents import Role
from tenancy.models import Membership, ProjectMembership
from vault.errors import VaultError

log = structlog.get_logger(__name__)

_COLUMNS = (
    "cluster__name",
    "grant__name",
    "grant__issuance",
    "anchor_uid",
    "grant__expires_at",
    "granted",
    "grant__verbs",
    "grant__tenant__name",
    "grant__subject__username",
    "grant__subject__is_staff",
    "role",
    "project_role",
)


@dataclass(frozen=True)
class Open:
    """A grant that opens a cluster now. `expires_at` is in seconds since 1970."""

    cluster: str
    name: str
    subject: str
    tenant: str
    anchor: str
    anchor_uid: str
    expires_at: float
    namespaces: tuple[str, ...]
    verbs: frozenset[str]

    @property
    def key(self) -> tuple[str, str]:
        """By which cluster and grant it is found."""
        return (self.cluster, self.name)

    @property
    def bound(self) -> tuple[str, str]:
        """Name and uid of the Secret that its newest token is bound to."""
        return (self.anchor, self.anchor_uid)


@dataclass(frozen=True)
class Snapshot:
    """Grants by cluster and name, and KubeNova's own credential by the name of its cluster."""

    grants: Mapping[tuple[str, str], Open] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)


class Reader:
    """Reads snapshots; credentials are opened only when they have changed."""

    def __init__(self) -> None:
        self._opened: dict[int, tuple[tuple[object, ...], Credential]] = {}

    def read(self) -> Snapshot:
        """Return what is open now. Raises DatabaseError."""
        grants = {found.key: found for found in _open_grants()}
        return Snapshot(grants, self._credentials())

    def _credentials(self) -> dict[str, Credential]:
        rows = Cluster.objects.filter(deletion_requested_at=None, scoped__isnull=False)
        found = {}
        for pk, name, *state in rows.values_list(
            "pk", "name", "rotated_at", "credential_generation", "server"
        ):
            credential = self._credential(pk, name, tuple(state))
            if credential is not None:
                found[name] = credential
        return found

    def _credential(self, pk: int, name: str, state: tuple[object, ...]) -> Credential | None:
        known = self._opened.get(pk)
        if known and known[0] == state:
            return known[1]
        try:
            credential = Cluster.objects.get(pk=pk).own_credentials[0]
        except VaultError as error:
            log.error("Credential cannot be opened", cluster=name, error=str(error))
            return None
        except (Cluster.DoesNotExist, IndexError):
            return None
        self._opened[pk] = (state, credential)
        return credential


def _open_grants() -> list[Open]:
    roles = Membership.objects.filter(
        tenant=OuterRef("grant__tenant"), user=OuterRef("grant__subject")
    )
    own = ProjectMembership.objects.filter(
        project=OuterRef("grant__project"), user=OuterRef("grant__subject")
    )
    rows = (
        GrantPlacement.objects.filter(
            deletion_requested_at=None,
            grant__revoked_at=None,
            grant__closed_at=None,
            grant__deletion_requested_at=None,
            grant__expires_at__gt=timezone.now(),
            grant__subject__is_active=True,
        )
        .exclude(anchor_uid="")
        .annotate(
            role=Subquery(roles.values("role")[:1]),
            project_role=Subquery(own.values("role")[:1]),
        )
        .order_by()
    )
    found = (_open(*row) for row in rows.values_list(*_COLUMNS))
    return [each for each in found if each.verbs]


def _open(
    cluster: str,
    name: str,
    issuance: int,
    anchor_uid: str,
    expires_at: datetime,
    granted: list[str],
    verbs: list[str],
    tenant: str,
    subject: str,
    is_staff: bool,
    *roles: str | None,
) -> Open:
    given = (VERBS_OF_ROLE[Role(role)] for role in roles if role)
    most = frozenset(Verbs) if is_staff else frozenset[Verbs]().union(*given)
    return Open(
        cluster=cluster,
        name=name,
        subject=subject,
        tenant=tenant,
        anchor=f"{name}-{issuance}",
        anchor_uid=anchor_uid,
        expires_at=expires_at.timestamp(),
        namespaces=tuple(granted),
        verbs=frozenset(verbs) & most,
    )
