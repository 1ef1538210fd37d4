"""What all attachments together impose on one tenant: resolved in the database, handed down."""

from collections.abc import Iterable

from django.db import models
from django.utils import timezone

from policies.models.attachment import Attachment
from policies.models.celrule import hold_rules
from policies.models.fitting import subject_of
from policies.rules.binding import Effect, conflicts, effect_on, in_force, views
from reconcile.loop import Outcome
from reconcile.models import Event, Lease, marking
from reconcile.models.rows import Row, read, reading
from reconcile.refusals import Conflicting, Fault
from reconcile.values import Condition, Phase, Status
from tenancy.models import Tenant
from tenancy.models.imposed import Imposing
from tenancy.rules.network_bounds import NETWORK
from tenancy.rules.resolving import Conflict


class Imposition(Row):
    """One for each tenant that was ever bound. Its step resolves anew, and again at each expiry."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="imposition")
    attachments = models.ManyToManyField(Attachment, related_name="impositions", blank=True)

    class Meta:
        ordering = ["tenant__name"]

    def __str__(self) -> str:
        return f"Policies of {self.tenant.name}"

    @property
    def tenant_name(self) -> str:
        """Its tenant."""
        return self.tenant.name

    @classmethod
    def enrol_all(cls, tenants: Iterable[Tenant]) -> None:
        """Have each of the tenants look at what binds it."""
        with marking():
            for tenant in tenants:
                cls.of(tenant).enrol()

    @classmethod
    def of(cls, tenant: Tenant) -> "Imposition":
        """Return the row of a tenant, made at the first call."""
        return cls._default_manager.get_or_create(tenant=tenant)[0]

    def step(self, lease: Lease) -> Outcome:
        """Resolve what binds the tenant and hand it down; a step in the database alone.

        The tenant's key is read as well: when it goes, this goes with it.
        """
        with reading() as keys:
            read(self.tenant.key)
            Attachment.objects.standing().binding(self.tenant)
        self.watch_reads(keys, lease)
        with marking(lease):
            self.tenant.take_turn()
            self.read_anew(locked=True)
            found, look_in = self.settle()
            self._tell_conflicts(found, lease)
        return Outcome(look_in)

    def carry_on(self) -> None:
        """Do what the next step would do, for whoever plans ahead."""
        self.settle()

    def settle(self) -> tuple[list[Conflict], float | None]:
        """Impose what binds the tenant by now.

        Returns what does not go together, and in how many seconds the next exception ends.
        """
        tenant, now = self.tenant, timezone.now()
        rows = Attachment.objects.standing().binding(tenant)
        attached = [row.attached for row in rows]
        subject = subject_of(tenant, attached)
        effect = effect_on(subject, attached, now)
        self.attachments.set(rows)
        clusters = {name: _imposing(each) for name, each in effect.clusters.items()}
        tenant.impose(_imposing(effect), clusters)
        look_in = (effect.until - now).total_seconds() if effect.until else None
        return conflicts(subject, attached, now), look_in

    def _tell_conflicts(self, found: Iterable[Conflict], lease: Lease) -> None:
        blocking = [str(each) for each in found if each.blocking]
        if blocking:
            message = " ".join(blocking)[:1000]
            synced = Condition("Synced", Status.FALSE, "Contradiction", message)
            ready = Condition("Ready", Status.FALSE, "Contradiction", message)
        else:
            synced = Condition("Synced", Status.TRUE, "Resolved")
            ready = Condition("Ready", Status.TRUE, "HandedDown")
        self.record(lease, synced, ready)

    def tell_phase(self, event: Event) -> None:
        """Only what is wrong is news: the tenant tells itself what binds it."""
        if self.phase == Phase.ERROR:
            super().tell_phase(event)


def _imposing(effect: Effect) -> Imposing:
    return Imposing(effect.as_imposed(), effect.projects)


def network_sources(tenant: Tenant, project: str) -> list[str]:
    """Name what bounds the network of a tenant, or of one of its projects, by enforced sets."""
    attached = [row.attached for row in Attachment.objects.standing().binding(tenant)]
    subject, now = subject_of(tenant, attached), timezone.now()
    found = [
        origin.source
        for view in views(subject, attached)
        for origin in in_force(subject, attached, now, project, view.place).origins.get(NETWORK, ())
    ]
    return [each for each in dict.fromkeys(found) if each != subject.own.name]


def settle(tenant: Tenant, refusing: bool) -> None:
    """Bind a tenant that is being declared, or gets a project, by all that is attached to it.

    Where it is `refusing`, raises Conflicting for restrictions of its own that contradict it, and
    Invalid for rules in CEL that there are not.
    """
    if refusing:
        hold_rules([tenant.restrictions], "/restrictions")
    bound = Attachment.objects.standing().binding(tenant)
    if not bound and not Imposition.objects.filter(tenant=tenant).exists():
        return
    row = Imposition.of(tenant)
    row.tenant = tenant
    row.enrol()
    found, _ = row.settle()
    own = subject_of(tenant, ()).own.name
    if refusing and (wrong := [each for each in found if each.blocking and own in each.sources]):
        faults = [Fault("contradiction", f"{each}", f"/restrictions/{each.kind}") for each in wrong]
        raise Conflicting(
            f"{wrong[0]} Change its own restriction, or have an operator make an exception.",
            errors=faults,
        )
