"""Which attachments bind whom, and what they come to together. Pure.

An attachment binds tenants as a whole or projects by name. What binds a project is what binds its
tenant and what binds it by name, less the exceptions; the strictest of all counts, mode by mode.
One that names or selects clusters does so on these alone, beside what holds on every cluster.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from reconcile.selectors import Selector
from reconcile.values import JSON
from tenancy.rules.freezing import handed_down
from tenancy.rules.modes import Mode
from tenancy.rules.resolving import Conflict, Resolved, Source, resolve


@dataclass(frozen=True)
class Place:
    """A cluster as policies see it."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Exempt:
    """One kind of an attachment's rules does not hold for a tenant, or for one of its projects.

    An empty `project` stands for the whole tenant. It ends at `until`.
    """

    tenant: str
    project: str
    kind: str
    until: datetime

    def spares(self, tenant: str, project: str, now: datetime) -> bool:
        """Whether it holds for this tenant or project by now."""
        return self.tenant == tenant and self.project in ("", project) and now < self.until


@dataclass(frozen=True)
class Attached:
    """A set at a version, attached in a mode. `projects` are written `tenant/project`.

    Without `clusters` and `cluster_selector` it holds on every cluster.
    """

    policyset: str
    version: int
    name: str
    mode: Mode
    rules: Mapping[str, Any]
    every_tenant: bool = False
    tenants: frozenset[str] = frozenset()
    selector: Selector | None = None
    projects: frozenset[str] = frozenset()
    exceptions: tuple[Exempt, ...] = ()
    clusters: frozenset[str] = frozenset()
    cluster_selector: Selector | None = None

    @property
    def title(self) -> str:
        """What people know it by as the source of a value."""
        return f"policy set {self.policyset}, version {self.version} (attachment {self.name})"

    def via(self, tenant: str, labels: Mapping[str, str]) -> str:
        """How it binds the tenant as a whole; empty if it does not."""
        if self.every_tenant:
            return "every tenant"
        if tenant in self.tenants:
            return "by name"
        return "by labels" if self.selector and self.selector.matches(labels) else ""

    def named(self, tenant: str) -> frozenset[str]:
        """The projects of a tenant that it binds by name."""
        pairs = (each.partition("/") for each in self.projects)
        return frozenset(project for owner, _, project in pairs if owner == tenant)

    def binds(self, tenant: str, labels: Mapping[str, str]) -> bool:
        """Whether it binds the tenant or one of its projects."""
        return bool(self.via(tenant, labels) or self.named(tenant))

    @property
    def everywhere(self) -> bool:
        """Whether it holds on every cluster, whatever its name and labels."""
        return not (self.clusters or self.cluster_selector)

    def holds_on(self, place: Place | None) -> bool:
        """Whether it holds on a cluster; None: on every one, also those to come."""
        if self.everywhere or place is None:
            return self.everywhere
        chosen = self.cluster_selector is not None and self.cluster_selector.matches(place.labels)
        return chosen or place.name in self.clusters

    def holds_in(self, places: Iterable[Place]) -> bool:
        """Whether it holds on every cluster, or on one of these."""
        return self.everywhere or any(self.holds_on(place) for place in places)

    def source(self, tenant: str, project: str, now: datetime) -> Source:
        """What it asks of a tenant, or of a project, with the exceptions that hold now."""
        spared = {each.kind for each in self.exceptions if each.spares(tenant, project, now)}
        kept = {kind: value for kind, value in self.rules.items() if kind not in spared}
        return Source(self.title, handed_down(kept, self.policyset))


@dataclass(frozen=True)
class Subject:
    """A tenant as policies see it: its labels, its own restrictions and the names of projects.

    `places` are the clusters that it is on.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    restrictions: Mapping[str, Any] = field(default_factory=dict)
    projects: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()

    @property
    def own(self) -> Source:
        """Its own restrictions."""
        return Source(f"Tenant {self.name}", self.restrictions)


@dataclass(frozen=True)
class View:
    """Clusters on which the same attachments hold, one of them as `place`.

    Without a place it is what holds on every cluster.
    """

    place: Place | None = None
    clusters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Effect:
    """What attachments come to for one tenant; `projects` are those that differ from it.

    `excepted` are the kinds that hold for the tenant and not for each of its projects; `until` is
    when an exception ends, if any does. `clusters` are those on which it comes to something else.
    """

    tenant: JSON
    projects: Mapping[str, JSON] = field(default_factory=dict)
    excepted: tuple[str, ...] = ()
    until: datetime | None = None
    clusters: Mapping[str, "Effect"] = field(default_factory=dict)

    def as_imposed(self) -> JSON:
        """Return what is handed down to the tenant."""
        return {**self.tenant, **({"excepted": [*self.excepted]} if self.excepted else {})}


def views(subject: Subject, attached: Sequence[Attached]) -> list[View]:
    """Return what is to be asked: on every cluster first, then those on which more holds."""
    found: dict[tuple[int, ...], list[Place]] = {}
    common = len([each for each in attached if each.everywhere])
    for place in subject.places if common < len(attached) else ():
        here = tuple(at for at, each in enumerate(attached) if each.holds_on(place))
        if len(here) > common:
            found.setdefault(here, []).append(place)
    given = (View(group[0], tuple(each.name for each in group)) for group in found.values())
    return [View(), *given]


def effect_on(subject: Subject, attached: Sequence[Attached], now: datetime) -> Effect:
    """Return what binds a tenant and its projects now, on every cluster and where more does."""
    common, *others = views(subject, attached)
    whole = _effect_at(common.place, subject, attached, now)
    clusters = {
        name: found
        for view in others
        if (found := _effect_at(view.place, subject, attached, now)) != whole
        for name in view.clusters
    }
    ends = [
        each.until
        for one in attached
        for each in one.exceptions
        if each.tenant == subject.name and now < each.until
    ]
    return replace(whole, until=min(ends, default=None), clusters=clusters)


def _effect_at(
    place: Place | None, subject: Subject, attached: Sequence[Attached], now: datetime
) -> Effect:
    here = [each for each in attached if each.holds_on(place)]
    whole = _imposed(resolved(subject, here, now, place=place))
    projects = {
        name: found
        for name in subject.projects
        if (found := _imposed(resolved(subject, here, now, name, place))) != whole
    }
    enforced = whole.get(Mode.ENFORCE, {})
    looser = {
        kind
        for found in projects.values()
        for kind, value in enforced.items()
        if found.get(Mode.ENFORCE, {}).get(kind) != value and _is_spared(kind, subject, here, now)
    }
    return Effect(whole, projects, tuple(sorted(looser)))


def _is_spared(kind: str, subject: Subject, attached: Sequence[Attached], now: datetime) -> bool:
    """Whether a project of the tenant has an exception from the kind."""
    return any(
        each.kind == kind and each.tenant == subject.name and each.project and now < each.until
        for one in attached
        if one.mode is Mode.ENFORCE
        for each in one.exceptions
    )


def resolved(
    subject: Subject,
    attached: Sequence[Attached],
    now: datetime,
    project: str = "",
    place: Place | None = None,
) -> dict[Mode, Resolved]:
    """Return what attachments come to for a tenant or one of its projects, mode by mode.

    On a cluster, or without a place what holds on every cluster.
    """
    given = list(_sources(subject, attached, now, project, place))
    return {mode: resolve([each for one, each in given if one is mode]) for mode in Mode}


def in_force(
    subject: Subject,
    attached: Sequence[Attached],
    now: datetime,
    project: str = "",
    place: Place | None = None,
) -> Resolved:
    """Return what refuses in it: the tenant's own restrictions and what is enforced there."""
    given = _sources(subject, attached, now, project, place)
    return resolve([subject.own, *(each for mode, each in given if mode is Mode.ENFORCE)])


def conflicts(subject: Subject, attached: Sequence[Attached], now: datetime) -> list[Conflict]:
    """Return what does not go together for the tenant or one of its projects, each once.

    Attachments that no cluster has both of do not meet.
    """
    found: dict[str, Conflict] = {}
    for view in views(subject, attached):
        for project in ("", *subject.projects):
            resolutions = [in_force(subject, attached, now, project, view.place)]
            by_mode = resolved(subject, attached, now, project, view.place)
            resolutions += [by_mode[Mode.WARN], by_mode[Mode.AUDIT]]
            found |= {str(each): each for one in resolutions for each in one.conflicts}
    return list(found.values())


def _sources(
    subject: Subject,
    attached: Sequence[Attached],
    now: datetime,
    project: str,
    place: Place | None,
) -> Iterator[tuple[Mode, Source]]:
    for each in attached:
        named = project and project in each.named(subject.name)
        if each.holds_on(place) and (named or each.via(subject.name, subject.labels)):
            yield each.mode, each.source(subject.name, project, now)


def _imposed(found: Mapping[Mode, Resolved]) -> JSON:
    return {mode.value: each.rules for mode, each in found.items() if each.rules}
