"""Looking around: what attachments that only warn or audit let pass is found by simulation.

Each is a routine of its own, over again after a while; what somebody asks for goes first.
"""

from datetime import timedelta

from django.utils import timezone

from policies import limits, metrics
from policies.models import Attachment, Finding, Simulation
from reconcile.refusals import Invalid
from reconcile.values import MANAGER
from tenancy.rules.modes import ADVISORY

AT_ONCE = 2  # routines: on a cluster they go on one after the other anyway


def look_around() -> int:
    """Take over what routines have found, and begin those that are due; return how many began."""
    for row in Simulation.objects.filter(routine=True, harvested_at=None).prefetch_related("runs"):
        if row.state != "running":
            Finding.objects.harvest(row)
    Finding.objects.release()
    begun = _begin_due()
    for (policyset, mode), count in Finding.objects.by_set_and_mode().items():
        metrics.FINDINGS.labels(policyset, mode).set(count)
    return begun


def _begin_due() -> int:
    """Begin as many as there is room for; who binds nobody takes none."""
    under_way = Simulation.objects.filter(routine=True, harvested_at=None).count()
    begun = 0
    for row in _due():
        if under_way + begun >= AT_ONCE:
            break
        begun += _begin(row)
    return begun


def _due() -> list[Attachment]:
    """Those whose turn it is, who waits longest first.

    Whose version was looked for a while ago, or not yet, is due; one goes on once at a time.
    """
    newest: dict[tuple[int | None, str], Simulation] = {}
    for each in Simulation.objects.filter(routine=True).order_by("pk"):
        newest[each.policy_set_id, each.attachment] = each
    young = timezone.now() - timedelta(minutes=limits.FINDING_MINUTES)
    found: list[tuple[float, int, Attachment]] = []
    for row in Attachment.objects.standing().filter(mode__in=ADVISORY):
        last, attached = newest.get((row.policy_set_id, row.name)), row.attached
        if not attached.rules or (last and last.harvested_at is None):
            continue
        if not last or last.number != attached.version or last.created_at <= young:
            found.append((last.created_at.timestamp() if last else 0.0, row.pk, row))
    return [row for _, _, row in sorted(found)]


def _begin(row: Attachment) -> bool:
    """Begin a routine; earlier ones go."""
    try:
        begun = Simulation.begin(row.policy_set, row.attached, MANAGER, since=row.created_at)
    except Invalid:  # it binds nobody by now
        Finding.objects.release_of(row)
        return False
    earlier = Simulation.objects.filter(routine=True, policy_set=row.policy_set_id, pk__lt=begun.pk)
    earlier.filter(attachment=row.name).delete()
    return True
