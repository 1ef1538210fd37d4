"""What is imposed on tenants and projects from above, beside what was declared with them.

Whoever imposes (policy sets) has resolved it: a map of modes to restrictions, on every cluster and
on those where it is another one. Tenancy stores it, merges it with the tenant's own, asks clusters
for what it needs, and renders it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
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

EVERYWHERE = ""  # in place of the name of a cluster: what holds on every one

Imposer = Callable[["Tenant", bool], None]
_contributed: list[Imposer] = []
_NAMED = 5  # clusters, in an event


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


@dataclass(frozen=True)
class Imposing:
    """What is imposed on a tenant; `projects` are those by name that something else is imposed on.

    None or absent: the same.
    """

    tenant: JSON
    projects: Mapping[str, JSON | None] = field(default_factory=dict)

    def on(self, project: str) -> JSON:
        """What is imposed on a project."""
        found = self.projects.get(project)
        return self.tenant if found is None else found


NOWHERE: Mapping[str, Imposing] = MappingProxyType({})


class Imposed(Restricted):
    """The part of a tenant that others impose: `{mode: {kind: value}}`, never declared.

    `imposed_on` is what holds instead on single clusters, by their names.
    """

    imposed = models.JSONField(default=dict, blank=True, editable=False)
    imposed_on = models.JSONField(default=dict, blank=True, editable=False)

    relabelled = False  # in the declaration under way: whether the labels are others than before

    if TYPE_CHECKING:
        projects: RelatedManager[Project]

    class Meta:
        abstract = True

    def _changed(self) -> list[str]:
        changed = super()._changed()
        self.relabelled = "labels" in changed
        return changed

    @property
    def clusters_key(self) -> str:
        """The key that a cluster touches which it is not on any more."""
        return f"{self.key}/clusters"

    def imposed_at(self, cluster: str) -> JSON:
        """What is imposed on it on a cluster."""
        found: JSON = self.imposed_on.get(cluster, self.imposed)
        return found

    def in_force(self, cluster: str = EVERYWHERE) -> dict[str, Any]:
        """What refuses in its projects: its own restrictions and those imposed, the stricter."""
        return strictest(self.restrictions, self.imposed_at(cluster).get(Mode.ENFORCE, {}))

    def in_force_anywhere(self) -> list[dict[str, Any]]:
        """What refuses on every cluster, and what on those where it is something else."""
        return [self.in_force(name) for name in (EVERYWHERE, *sorted(self.imposed_on))]

    def everywhere(self, cluster: str = EVERYWHERE) -> dict[str, Any]:
        """As `in_force`, less what is imposed on some of its projects alone.

        A platform that binds the tenant as a whole makes no exception for one namespace.
        """
        imposed = self.imposed_at(cluster)
        spared, enforced = set(imposed.get(EXCEPTED, ())), imposed.get(Mode.ENFORCE, {})
        kept = {kind: value for kind, value in enforced.items() if kind not in spared}
        return strictest(self.restrictions, kept)

    def impose(self, found: Imposing, clusters: Mapping[str, Imposing] = NOWHERE) -> bool:
        """Store what binds it from now on, and mark all that shows it; False if that is as before.

        `clusters` are those by name on which something else does.
        """
        with marking():
            self.take_turn()
            changed = self._store(found, clusters)
            for project in self.projects.order_by("pk"):
                changed |= project.impose(found, clusters)
            if changed:
                touch(self.key)
        return changed

    def _store(self, found: Imposing, clusters: Mapping[str, Imposing]) -> bool:
        wanted = {
            name: each.tenant for name, each in clusters.items() if each.tenant != found.tenant
        }
        rows = type(self)._default_manager.filter(pk=self.pk)
        stored = rows.select_for_update(no_key=True).values_list("imposed", "imposed_on").get()
        self.imposed, self.imposed_on = found.tenant, wanted
        if stored == (found.tenant, wanted):
            return False
        rows.update(imposed=found.tenant, imposed_on=wanted)
        told = _told(found.tenant, wanted)
        Event.record(self, "PoliciesChanged", f"Policies bind {self}: {told}.")
        return True


def _told(imposed: JSON, clusters: Mapping[str, JSON]) -> str:
    """Say in which mode which kinds hold, and on which clusters it is something else."""
    names: dict[str, list[str]] = {}
    for name, found in sorted(clusters.items()):
        names.setdefault(_by_mode(found), []).append(name)
    told = [f"on {_listed(each)} {text}" for text, each in names.items()]
    common = _by_mode(imposed)
    return "; ".join([*([common] if common else []), *told]) or "none any more"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _by_mode(imposed: JSON) -> str:
    found = (f"{mode} {', '.join(sorted(imposed[mode]))}" for mode in Mode if imposed.get(mode))
    return "; ".join(found)


class Ruled(Cordonable):
    """The part of a project that is about what binds it; None: the same as its tenant.

    `imposed_on` is what holds instead on single clusters, by their names.
    """

    imposed = models.JSONField(null=True, blank=True, default=None, editable=False)
    imposed_on = models.JSONField(default=dict, blank=True, editable=False)

    if TYPE_CHECKING:
        name: models.CharField[str, str]
        tenant: models.ForeignKey[Tenant, Tenant]

    class Meta:
        abstract = True

    def _save_spec(self, *, created: bool) -> None:
        super()._save_spec(created=created)
        if created:
            be_imposed(self.tenant, created=False, refusing=False)

    def imposed_at(self, cluster: str = EVERYWHERE) -> JSON:
        """What is imposed on it on a cluster, by mode."""
        own = self.imposed_on.get(cluster, self.imposed)
        found: JSON = self.tenant.imposed_at(cluster) if own is None else own
        return found

    def in_force(self, cluster: str = EVERYWHERE) -> dict[str, Any]:
        """What refuses in its namespaces: its tenant's own restrictions and those imposed."""
        imposed = self.imposed_at(cluster).get(Mode.ENFORCE, {})
        return strictest(self.tenant.restrictions, imposed)

    def in_force_anywhere(self) -> list[dict[str, Any]]:
        """What refuses on every cluster, and what on those where it is something else."""
        names = {*self.tenant.imposed_on, *self.imposed_on}
        return [self.in_force(name) for name in (EVERYWHERE, *sorted(names))]

    def rules(self, cluster: str) -> dict[str, Any]:
        """What an intent of it says about rules on a cluster."""
        imposed = self.imposed_at(cluster)
        found = {mode.value: without(imposed.get(mode, {})) for mode in ADVISORY}
        advice = {mode: rules for mode, rules in found.items() if rules}
        return {"restrictions": without(self.in_force(cluster)), "imposed": advice}

    def frozen(self, mode: Mode, now: datetime) -> Freeze | None:
        """The window of that mode that keeps revisions of its apps back at a moment, if any does.

        The tenant's own windows are enforced. Each holds on every cluster.
        """
        own = self.tenant.restrictions.get(FREEZE, ()) if mode is Mode.ENFORCE else ()
        return open_at([*own, *self.imposed_at().get(mode, {}).get(FREEZE, ())], now)

    def impose(self, found: Imposing, clusters: Mapping[str, Imposing]) -> bool:
        """Store what binds it; False if that is as before. Its tenant marks whoever shows it.

        Of clusters only what does not follow from the tenant, or from what it has everywhere.
        """
        own = found.projects.get(self.name)
        on = {
            name: each.on(self.name)
            for name, each in clusters.items()
            if (own, each.projects.get(self.name)) != (None, None)
        }
        if (self.imposed, self.imposed_on) == (own, on):
            return False
        self.imposed, self.imposed_on = own, on
        rows = type(self)._default_manager.filter(pk=self.pk)
        return bool(rows.update(imposed=own, imposed_on=on))
