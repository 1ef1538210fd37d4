"""From what somebody asks for to a grant: never more than the asker has, faults by field."""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from access.intents import VERBS_OF_ROLE, Verbs
from access.models import KubeconfigGrant
from access.models.grant import verbs_of
from reconcile.refusals import Conflicting, Deleting, Fault, Invalid, NotAllowed
from tenancy.models import Project, ProjectPlacement, Tenant


def grant_for(
    user: User,
    above: Tenant | Project,
    *,
    role: str = "",
    verbs: Sequence[str] | None = None,
    namespaces: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
    ttl_seconds: int | None = None,
    description: str = "",
) -> KubeconfigGrant:
    """Return a grant that is declared and not issued yet.

    By default: all that the user's role allows, on all clusters, for GRANT_DEFAULT_SECONDS; a
    tenant's grant follows its namespaces. The same question again, before an answer, gets the same
    grant. Raises Invalid (400) and NotAllowed (403) pointing at the field, Conflicting, Deleting,
    LimitReached, Unserved. `above` must be visible to the user.
    """
    tenant = above.tenant if isinstance(above, Project) else above
    if tenant.deleting or above.deleting:
        raise Deleting(f"{above} is being deleted and can no longer be entered.")
    grant = KubeconfigGrant(
        tenant=tenant,
        project=above if isinstance(above, Project) else None,
        subject=user,
        description=description,
        verbs=_verbs(user, above, role, verbs),
        namespaces=_namespaces(above, namespaces),
        clusters=_clusters(above, clusters),
        ttl_seconds=_seconds(ttl_seconds),
    )
    if same := _unanswered(grant):
        return same
    grant.expires_at = timezone.now() + timedelta(seconds=grant.ttl_seconds)
    grant.declare(by=user.get_username())
    return grant


def _unanswered(grant: KubeconfigGrant) -> KubeconfigGrant | None:
    """The grant of a question that got no answer, because a cluster or proxy was away."""
    spec = {name: getattr(grant, name) for name in ("description", "verbs", "ttl_seconds")}
    place = {name: getattr(grant, name) for name in ("tenant", "project", "namespaces", "clusters")}
    rows = KubeconfigGrant.objects.live().filter(subject=grant.subject, issued_at=None)
    return rows.filter(**spec, **place).first()


def _verbs(
    user: User, above: Tenant | Project, role: str, verbs: Sequence[str] | None
) -> list[str]:
    most = verbs_of(user, above)
    if role and verbs is not None:
        raise _invalid("exclusive", "Give a role or verbs, not both.", "/role")
    if role:
        return _of_role(role, most)
    if verbs is not None:
        return _by_name(verbs, most)
    if not most:
        raise _beyond("You have no role here.", "")
    return sorted(most)


def _of_role(role: str, most: frozenset[Verbs]) -> list[str]:
    if role not in VERBS_OF_ROLE:
        raise _invalid("choice", f"Use one of {', '.join(VERBS_OF_ROLE)}.", "/role")
    if VERBS_OF_ROLE[role] - most:
        raise _beyond("Your own role allows less.", "/role")
    return sorted(VERBS_OF_ROLE[role])


def _by_name(verbs: Sequence[str], most: frozenset[Verbs]) -> list[str]:
    for index, verb in enumerate(verbs):
        if verb not in list(Verbs):
            raise _invalid("choice", f"Use some of {', '.join(Verbs)}.", f"/verbs/{index}")
        if verb not in most:
            raise _beyond(f"Your own role does not allow {verb}.", f"/verbs/{index}")
    if not verbs:
        raise _invalid("empty", "Name at least one verb.", "/verbs")
    return sorted(set(verbs))


def _namespaces(above: Tenant | Project, wanted: Sequence[str] | None) -> list[str]:
    """Check the namespaces; none are named: the grant follows what there is."""
    if wanted is None:
        return []
    projects = [above] if isinstance(above, Project) else above.projects.all()
    standing = [project for project in projects if not project.deleting]
    placed = ProjectPlacement.objects.filter(project__in=standing).exclude(adopted="")
    known = {*placed.values_list("adopted", flat=True)} | {row.namespace for row in standing}
    return _known("namespaces", wanted, known, f"{above} has no such namespace.")


def _clusters(above: Tenant | Project, wanted: Sequence[str] | None) -> list[str]:
    rows = above.placements.filter(unselected=False, deletion_requested_at=None)
    known = set(rows.values_list("cluster__name", flat=True))
    if wanted is not None:
        return _known("clusters", wanted, known, f"{above} is not placed on such a cluster.")
    if not known:
        raise Conflicting(f"{above} is not placed on any cluster, so there is nothing to enter.")
    return sorted(known)


def _known(field: str, wanted: Sequence[str], known: set[str], otherwise: str) -> list[str]:
    for index, name in enumerate(wanted):
        if name not in known:
            raise _invalid("unknown", otherwise, f"/{field}/{index}")
    if not wanted:
        raise _invalid("empty", "Name at least one, or leave the field out for all.", f"/{field}")
    return sorted(set(wanted))


def _seconds(wanted: int | None) -> int:
    if wanted is None:
        return int(min(settings.GRANT_DEFAULT_SECONDS, settings.GRANT_MAX_SECONDS))
    least, most = settings.GRANT_MIN_SECONDS, settings.GRANT_MAX_SECONDS
    if not least <= wanted <= most:
        raise _invalid("range", f"Use {least} to {most} seconds.", "/ttl_seconds")
    return wanted


def _invalid(code: str, detail: str, pointer: str) -> Invalid:
    return Invalid("Parts of the request are wrong.", errors=[Fault(code, detail, pointer)])


def _beyond(detail: str, pointer: str) -> NotAllowed:
    return NotAllowed(
        "Nobody can give more than they have.", errors=[Fault("beyond", detail, pointer)]
    )
