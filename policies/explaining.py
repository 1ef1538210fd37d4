"""What binds a tenant or a project, and from where: for its page and the API."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from policies.models import Attachment, PolicyException
from policies.models.fitting import subject_of
from policies.models.progress import restless
from policies.rules.binding import Attached, in_force, resolved
from tenancy.models import Project, Tenant
from tenancy.rules.kinds import KINDS
from tenancy.rules.modes import Mode
from tenancy.rules.resolving import Conflict, Origin, Resolved


@dataclass(frozen=True)
class Rule:
    """One kind with the value that holds, and what each source says about it."""

    kind: str
    title: str
    value: Any
    origins: tuple[Origin, ...]


@dataclass(frozen=True)
class Bond:
    """An attachment that binds it; `via` says how, `pinned` whether its version is fixed."""

    attached: Attached
    via: str
    pinned: bool


@dataclass(frozen=True)
class Explanation:
    """All that binds a tenant or project by mode. `settled`: its clusters have followed."""

    rules: Mapping[Mode, list[Rule]]
    bonds: list[Bond]
    exceptions: list[PolicyException]
    conflicts: list[Conflict] = field(default_factory=list)
    settled: bool = True

    @property
    def by_mode(self) -> list[tuple[str, list[Rule]]]:
        """The modes in which anything holds, the hardest first."""
        return [(mode.value, rules) for mode, rules in self.rules.items() if rules]


def explain(row: Tenant | Project) -> Explanation:
    """Return what binds a tenant or a project by now."""
    tenant, project = (row.tenant, row.name) if isinstance(row, Project) else (row, "")
    now, subject = timezone.now(), subject_of(tenant)
    rows = Attachment.objects.standing().binding(tenant)
    rows = [each for each in rows if _via(each.attached, tenant, project)]
    attached = [each.attached for each in rows]
    found = resolved(subject, attached, now, project)
    found[Mode.ENFORCE] = in_force(subject, attached, now, project)
    spared = [
        each for one in rows for each in one.exceptions.all() if _concerns(each, tenant, project)
    ]
    moving = restless(Tenant.objects.filter(pk=tenant.pk, imposition__isnull=False))
    return Explanation(
        rules={mode: _rules(each) for mode, each in found.items()},
        bonds=[
            Bond(one, _via(one, tenant, project), bool(each.version))
            for each, one in zip(rows, attached, strict=True)
        ],
        exceptions=[each for each in spared if not each.expired],
        conflicts=[each for mode in Mode for each in found[mode].conflicts],
        settled=not moving,
    )


def _via(attached: Attached, tenant: Tenant, project: str) -> str:
    """How it binds what is explained; of a tenant, also that it binds some of its projects."""
    named = attached.named(tenant.name)
    if via := attached.via(tenant.name, tenant.labels):
        return via
    if project:
        return "by name" if project in named else ""
    return f"projects {', '.join(sorted(named))} by name" if named else ""


def _concerns(found: PolicyException, tenant: Tenant, project: str) -> bool:
    return found.tenant == tenant.name and (not project or found.project in ("", project))


def _rules(found: Resolved) -> list[Rule]:
    return [
        Rule(kind, KINDS[kind].title, value, found.origins[kind])
        for kind, value in found.rules.items()
    ]
