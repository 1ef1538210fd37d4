"""Which attachments bind whom, and what they come to together. Pure.

An attachment binds tenants as a whole or projects by name. What binds a project is what binds its
tenant and what binds it by name, less the exceptions; the strictest of all counts, mode by mode.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconcile.selectors import Selector
from reconcile.values import JSON
from tenancy.rules.freezing import handed_down
from tenancy.rules.modes import Mode
from tenancy.rules.resolving import Conflict, Resolved, Source, resolve


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
    """A set at a version, attached in a mode. `projects` are written `tenant/project`."""

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

    def source(self, tenant: str, project: str, now: datetime) -> Source:
        """What it asks of a tenant, or of a project, with the exceptions that hold now."""
        spared = {each.kind for each in self.exceptions if each.spares(tenant, project, now)}
        kept = {kind: value for kind, value in self.rules.items() if kind not in spared}
        return Source(self.title, handed_down(kept, self.policyset))


@dataclass(frozen=True)
class Subject:
    """A tenant as policies see it: its labels, its own restrictions and the names of projects."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    restrictions: Mapping[str, Any] = field(default_factory=dict)
    projects: tuple[str, ...] = ()

    @property
    def own(self) -> Source:
        """Its own restrictions."""
        return Source(f"Tenant {self.name}", self.restrictions)


@dataclass(frozen=True)
class Effect:
    """What attachments come to for one tenant; `projects` are those that differ from it.

    `excepted` are the kinds that hold for the tenant and not for each of its projects; `until` is
    when an exception ends, if any does.
    """

    tenant: JSON
    projects: Mapping[str, JSON] = field(default_factory=dict)
    excepted: tuple[str, ...] = ()
    until: datetime | None = None

    def as_imposed(self) -> JSON:
        """Return what is handed down to the tenant."""
        return {**self.tenant, **({"excepted": [*self.excepted]} if self.excepted else {})}


def effect_on(subject: Subject, attached: Sequence[Attached], now: datetime) -> Effect:
    """Return what binds a tenant and its projects now."""
    whole = _imposed(resolved(subject, attached, now))
    projects = {
        name: found
        for name in subject.projects
        if (found := _imposed(resolved(subject, attached, now, name))) != whole
    }
    enforced = whole.get(Mode.ENFORCE, {})
    looser = {
        kind
        for found in projects.values()
        for kind, value in enforced.items()
        if found.get(Mode.ENFORCE, {}).get(kind) != value
        and _is_spared(kind, subject, attached, now)
    }
    ends = [
        each.until
        for one in attached
        for each in one.exceptions
        if each.tenant == subject.name and now < each.until
    ]
    return Effect(whole, projects, tuple(sorted(looser)), min(ends, default=None))


def _is_spared(kind: str, subject: Subject, attached: Sequence[Attached], now: datetime) -> bool:
    """Whether a project of the tenant has an exception from the kind."""
    return any(
        each.kind == kind and each.tenant == subject.name and each.project and now < each.until
        for one in attached
        if one.mode is Mode.ENFORCE
        for each in one.exceptions
    )


def resolved(
    subject: Subject, attached: Sequence[Attached], now: datetime, project: str = ""
) -> dict[Mode, Resolved]:
    """Return what attachments come to for a tenant or one of its projects, mode by mode."""
    given = list(_sources(subject, attached, now, project))
    return {mode: resolve([each for one, each in given if one is mode]) for mode in Mode}


def in_force(
    subject: Subject, attached: Sequence[Attached], now: datetime, project: str = ""
) -> Resolved:
    """Return what refuses in it: the tenant's own restrictions and what is enforced."""
    given = _sources(subject, attached, now, project)
    return resolve([subject.own, *(each for mode, each in given if mode is Mode.ENFORCE)])


def conflicts(subject: Subject, attached: Sequence[Attached], now: datetime) -> list[Conflict]:
    """Return what does not go together for the tenant or one of its projects, each once."""
    found: dict[str, Conflict] = {}
    for project in ("", *subject.projects):
        resolutions = [in_force(subject, attached, now, project)]
        by_mode = resolved(subject, attached, now, project)
        resolutions += [by_mode[Mode.WARN], by_mode[Mode.AUDIT]]
        found |= {str(each): each for one in resolutions for each in one.conflicts}
    return list(found.values())


def _sources(
    subject: Subject, attached: Sequence[Attached], now: datetime, project: str
) -> Iterator[tuple[Mode, Source]]:
    for each in attached:
        named = project and project in each.named(subject.name)
        if named or each.via(subject.name, subject.labels):
            yield each.mode, each.source(subject.name, project, now)


def _imposed(found: Mapping[Mode, Resolved]) -> JSON:
    return {mode.value: each.rules for mode, each in found.items() if each.rules}
