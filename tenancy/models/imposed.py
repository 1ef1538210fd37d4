"""What is imposed on tenants and projects from above, beside what was declared with them.

Whoever imposes (policy sets) has resolved it: a map of modes to restrictions. Tenancy stores it,
merges it with the tenant's own, asks clusters for what it needs, and renders it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models

from reconcile.models import Event, marking, touch
from reconcile.values import JSON
from tenancy.models.cordon import Cordonable
from tenancy.models.restricted import Restricted
from tenancy.rules.freezing import FREEZE, Freeze, open_at, without
from tenancy.rules.modes import ADVISORY, Mode
from tenancy.rules.resolving import strictest

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from tenancy.models.project import Project
    from tenancy.models.tenant import Tenant

# The key that a tenant touches which is new or has other labels: selectors read it.
TENANT_LABELS = "tenants/labels"
EXCEPTED = "excepted"  # beside the modes: the kinds that not all of the tenant's projects keep to

Imposer = Callable[["Tenant", bool], None]
_contributed: list[Imposer] = []


def contribute(imposer: Imposer) -> None:
    """Have a part that this one does not know settle what it imposes on a tenant, as it is now.

    It is called in the transaction of a tenant that is declared or gets a project, so that neither
    is ever without what binds it. With True it may refuse the declaration.
    """
    if imposer not in _contributed:
        _contributed.append(imposer)


def be_imposed(tenant: "Tenant", *, created: bool, refusing: bool = True) -> None:
    """Let whoever imposes anything on the tenant do so now. Raises what they refuse with."""
    for imposer in _contributed:
        imposer(tenant, refusing)
    if created or tenant.relabelled:
        touch(TENANT_LABELS)


class Imposed(Restricted):
    """The part of a tenant that others impose: `{mode: {kind: value}}`, never declared."""

    imposed = models.JSONField(default=dict, blank=True, editable=False)

    relabelled = False  # in the declaration under way: whether the labels are others than before

    if TYPE_CHECKING:
        projects: RelatedManager[Project]

    class Meta:
        abstract = True

    def _changed(self) -> list[str]:
        changed = super()._changed()
        self.relabelled = "labels" in changed
        return changed

    def in_force(self) -> dict[str, Any]:
        """What refuses in its projects: its own restrictions and those imposed, the stricter."""
        return strictest(self.restrictions, self.imposed.get(Mode.ENFORCE, {}))

    def everywhere(self) -> dict[str, Any]:
        """As `in_force`, less what is imposed on some of its projects alone.

        A platform that binds the tenant as a whole makes no exception for one namespace.
        """
        imposed = self.imposed.get(Mode.ENFORCE, {})
        spared = set(self.imposed.get(EXCEPTED, ()))
        kept = {kind: value for kind, value in imposed.items() if kind not in spared}
        return strictest(self.restrictions, kept)

    def impose(self, imposed: JSON, projects: Mapping[str, JSON | None]) -> bool:
        """Store what binds it from now on, and mark all that shows it; False if that is as before.

        `projects` are those by name that something else is imposed on; None or absent: the same.
        """
        with marking():
            self.take_turn()
            changed = self._store(imposed)
            for project in self.projects.order_by("pk"):
                changed |= project.impose(projects.get(project.name))
            if changed:
                touch(self.key)
        return changed

    def _store(self, imposed: JSON) -> bool:
        rows = type(self)._default_manager.filter(pk=self.pk)
        before = rows.select_for_update(no_key=True).values_list("imposed", flat=True).get()
        self.imposed = imposed
        if before == imposed:
            return False
        rows.update(imposed=imposed)
        Event.record(self, "PoliciesChanged", f"Policies bind {self}: {_told(imposed)}.")
        return True


def _told(imposed: JSON) -> str:
    found = (f"{mode} {', '.join(sorted(imposed[mode]))}" for mode in Mode if imposed.get(mode))
    return "; ".join(found) or "none any more"


class Ruled(Cordonable):
    """The part of a project that is about what binds it; None: the same as its tenant."""

    imposed = models.JSONField(null=True, blank=True, default=None, editable=False)

    if TYPE_CHECKING:
        tenant: "models.ForeignKey[Tenant, Tenant]"

    class Meta:
        abstract = True

    def _save_spec(self, *, created: bool) -> None:
        super()._save_spec(created=created)
        if created:
            be_imposed(self.tenant, created=False, refusing=False)

    def imposed_on(self) -> JSON:
        """What is imposed on it, by mode."""
        found: JSON = self.tenant.imposed if self.imposed is None else self.imposed
        return found

    def in_force(self) -> dict[str, Any]:
        """What refuses in its namespaces: its tenant's own restrictions and those imposed."""
        return strictest(self.tenant.restrictions, self.imposed_on().get(Mode.ENFORCE, {}))

    def rules(self) -> dict[str, Any]:
        """What an intent of it says about rules."""
        imposed = self.imposed_on()
        found = {mode.value: without(imposed.get(mode, {})) for mode in ADVISORY}
        advice = {mode: rules for mode, rules in found.items() if rules}
        return {"restrictions": without(self.in_force()), "imposed": advice}

    def frozen(self, mode: Mode, now: datetime) -> Freeze | None:
        """The window of that mode that keeps revisions of its apps back at a moment, if any does.

        The tenant's own windows are enforced.
        """
        own = self.tenant.restrictions.get(FREEZE, ()) if mode is Mode.ENFORCE else ()
        return open_at([*own, *self.imposed_on().get(mode, {}).get(FREEZE, ())], now)

    def impose(self, imposed: JSON | None) -> bool:
        """Store what binds it; False if that is as before. Its tenant marks whoever shows it."""
        if self.imposed == imposed:
            return False
        self.imposed = imposed
        return bool(type(self)._default_manager.filter(pk=self.pk).update(imposed=imposed))
