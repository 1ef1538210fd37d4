"""The lists of types that people may use: one for the platform, and others for single tenants."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Coalesce

from delivery.models.published_types import published_names
from delivery.rules.allowing import (
    COLUMNS,
    KNOWN,
    Allowed,
    Use,
    beyond,
    list_fault,
    steps_beyond,
)
from delivery.rules.definitions import APP_KINDS, DefinitionKind
from delivery.rules.schema import Path
from reconcile.models import Event
from reconcile.refusals import Fault, Unlisted
from reconcile.spelling import escaped
from reconcile.values import JSON
from tenancy.models import Project, Tenant


def validate_components_listed(value: object) -> None:
    """Refuse what is no list of component types. Raises ValidationError."""
    _validate(DefinitionKind.COMPONENT, value)


def validate_traits_listed(value: object) -> None:
    """Refuse what is no list of trait types. Raises ValidationError."""
    _validate(DefinitionKind.TRAIT, value)


def validate_steps_listed(value: object) -> None:
    """Refuse what is no list of types of workflow steps. Raises ValidationError."""
    _validate(DefinitionKind.STEP, value)


def _validate(kind: DefinitionKind, value: object) -> None:
    if value is not None and (fault := list_fault(kind, value, published_names(kind))):
        raise ValidationError("%(fault)s", code="types", params={"fault": fault})


class TypeList(models.Model):
    """What a tenant may use, or everybody where `tenant` is empty.

    `components`, `traits` and `workflow_steps` are sorted lists, or None: of a tenant as the
    platform has it, of the platform every type of ours. Published types are used where a list
    names them, and nowhere else. A tenant's list stands in for the platform's, so it may be
    longer as well: operators alone write either.
    """

    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.CASCADE,
        related_name="type_lists",
        null=True,
        blank=True,
        help_text="Empty: of the platform, for every tenant without one of its own.",
    )
    components = models.JSONField(null=True, blank=True, validators=[validate_components_listed])
    traits = models.JSONField(null=True, blank=True, validators=[validate_traits_listed])
    workflow_steps = models.JSONField(null=True, blank=True, validators=[validate_steps_listed])
    changed_by = models.CharField(max_length=150, editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    if TYPE_CHECKING:
        tenant_id: int | None

    class Meta:
        ordering = ["tenant__name"]
        constraints = [models.UniqueConstraint(Coalesce("tenant", 0), name="one_type_list_each")]

    def __str__(self) -> str:
        return f"Allowed types of {self.tenant or 'the platform'}"

    @classmethod
    def allow(cls, tenant: Tenant | None, *, by: str, **lists: list[str] | None) -> "TypeList":
        """Replace the list of a tenant, or that of the platform. What runs goes on as it is.

        `lists` are by column; what is left out is None. Raises ValidationError.
        """
        values: dict[str, Any] = {name: _sorted(lists.get(name)) for name in COLUMNS.values()}
        cls(**values).clean_fields(exclude=["changed_by"])
        with transaction.atomic():
            row, _ = cls.objects.update_or_create(
                tenant=tenant, defaults={**values, "changed_by": by}
            )
            row.tell(f"may use {allowed_for(tenant)}", by)
        return row

    @property
    def lists(self) -> dict[str, list[str] | None]:
        """Its lists by column."""
        return {name: getattr(self, name) for name in COLUMNS.values()}

    def drop(self, *, by: str) -> None:
        """Take the list away: a tenant has the platform's again, the platform every type."""
        with transaction.atomic():
            self.delete()
            self.tell(
                f"has no list of types of its own any more and may use {allowed_for(None)}", by
            )

    def tell(self, what: str, by: str) -> None:
        """Put it into the story of the tenant; the platform has none but the audit log."""
        if self.tenant:
            Event.record(self.tenant, "TypesAllowed", f"{self.tenant} {what}, by {by}.", actor=by)


def _sorted(types: list[str] | None) -> list[str] | None:
    return sorted(set(types)) if types is not None else None


def allowed_for(tenant: Tenant | None) -> Allowed:
    """Return what a tenant may use; None: whoever has no list of their own."""
    own: int | None = tenant.pk if tenant else None
    rows = TypeList.objects.filter(models.Q(tenant=None) | models.Q(tenant=own))
    lists = {row.tenant_id: row for row in rows}
    found = Allowed()
    for key in (None, own):
        if row := lists.get(key):
            found = found.narrowed(row.lists)
    return found


def allowed_to(user: User | AnonymousUser) -> Allowed:
    """Return what somebody may use in one of their tenants at least; operators see all there is."""
    if user.is_staff:
        return Allowed(
            **{
                column: sorted({*KNOWN[kind], *published_names(kind)})
                for kind, column in COLUMNS.items()
            }
        )
    ids = {
        *Tenant.objects.visible_to(user).order_by().values_list("pk", flat=True),
        *Project.objects.visible_to(user).order_by().values_list("tenant", flat=True),
    }
    platform = allowed_for(None)
    own = {row.tenant_id: row for row in TypeList.objects.filter(tenant__in=ids)}
    each = (platform.narrowed(own[pk].lists) if pk in own else platform for pk in ids)
    return reduce(or_, each) if ids else platform


def refuse_unlisted(tenant: Tenant, spec: JSON, before: JSON) -> None:
    """Refuse a revision that uses what the tenant may not and `before` did not. Raises Unlisted."""
    allowed = allowed_for(tenant)
    _refuse(tenant, beyond(spec, before, allowed), allowed, APP_KINDS)


def refuse_unlisted_steps(tenant: Tenant, steps: list[JSON], before: list[JSON]) -> None:
    """As `refuse_unlisted`, of the steps of a workflow. Raises Unlisted."""
    allowed = allowed_for(tenant)
    _refuse(tenant, steps_beyond(steps, before, allowed), allowed, (DefinitionKind.STEP,))


def _refuse(
    tenant: Tenant, found: dict[Path, Use], allowed: Allowed, kinds: tuple[DefinitionKind, ...]
) -> None:
    if not found:
        return
    used, usable = ", ".join(sorted({str(use) for use in found.values()})), allowed.told(*kinds)
    raise Unlisted(
        f"{tenant} may not use {used}. Use {usable}, or ask an operator to allow more.",
        errors=[
            Fault("type", f"The {use.kind} type {use.type} is not allowed here.", _pointer(place))
            for place, use in found.items()
        ],
        allowed={COLUMNS[kind]: list(allowed.of(kind)) for kind in kinds},
    )


def _pointer(place: Path) -> str:
    return "".join(f"/{escaped(str(part))}" for part in place)
