"""What binds a tenant or a project, and from where: for its page and the API."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from policies.models import Attachment, PolicyException
from policies.models.fitting import subject_of
from policies.models.progress import restless
from policies.rules.binding import Attached, Subject, in_force, resolved, views
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
    """An attachment that binds it; `via` says how, `pinned` whether its version is fixed.

    `clusters` are those of the tenant's that it holds on; None: every one, also those to come.
    """

    attached: Attached
    via: str
    pinned: bool
    clusters: list[str] | None = None


@dataclass(frozen=True)
class Held:
    """What holds by mode, on every cluster or, in place of that, on those named."""

    rules: Mapping[Mode, list[Rule]]
    clusters: tuple[str, ...] = ()

    @property
    def by_mode(self) -> list[tuple[str, list[Rule]]]:
        """The modes in which anything holds, the hardest first."""
        return [(mode.value, rules) for mode, rules in self.rules.items() if rules]


@dataclass(frozen=True)
class Explanation(Held):
    """All that binds a tenant or project by mode. `settled`: its clusters have followed.

    `elsewhere` are the clusters of the tenant's on which more holds.
    """

    bonds: list[Bond] = field(default_factory=list)
    exceptions: list[PolicyException] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    settled: bool = True
    elsewhere: list[Held] = field(default_factory=list)


def explain(row: Tenant | Project) -> Explanation:
    """Return what binds a tenant or a project by now."""
    tenant, project = (row.tenant, row.name) if isinstance(row, Project) else (row, "")
    rows = Attachment.objects.standing().binding(tenant)
    rows = [each for each in rows if _via(each.attached, tenant, project)]
    attached = [each.attached for each in rows]
    subject = subject_of(tenant, attached)
    common, *others = _by_view(subject, attached, project)
    spared = [
        each for one in rows for each in one.exceptions.all() if _concerns(each, tenant, project)
    ]
    moving = restless(Tenant.objects.filter(pk=tenant.pk, imposition__isnull=False))
    conflicts = [each for _, found in (common, *others) for each in found]
    return Explanation(
        rules=common[0].rules,
        bonds=[
            Bond(one, _via(one, tenant, project), bool(each.version), _where(one, subject))
            for each, one in zip(rows, attached, strict=True)
        ],
        exceptions=[each for each in spared if not each.expired],
        conflicts=list(dict.fromkeys(conflicts)),
        settled=not moving,
        elsewhere=[held for held, _ in others],
    )


def _by_view(
    subject: Subject, attached: Sequence[Attached], project: str
) -> Iterator[tuple[Held, list[Conflict]]]:
    """Yield what holds on every cluster, then where more does, each with what does not fit."""
    now = timezone.now()
    for view in views(subject, attached):
        found = resolved(subject, attached, now, project, view.place)
        found[Mode.ENFORCE] = in_force(subject, attached, now, project, view.place)
        rules = {mode: _rules(each) for mode, each in found.items()}
        yield Held(rules, view.clusters), [one for mode in Mode for one in found[mode].conflicts]


def _where(attached: Attached, subject: Subject) -> list[str] | None:
    """The clusters of the tenant alone: that others are named too is not its people's business."""
    if attached.everywhere:
        return None
    return [place.name for place in subject.places if attached.holds_on(place)]


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
