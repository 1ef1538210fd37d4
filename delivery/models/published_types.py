"""The types that operators have published, as validation asks for them."""

from collections.abc import Iterable

from delivery.models.published import PublishedDefinition
from delivery.rules.allowing import KNOWN, Use, step_uses, uses
from delivery.rules.definitions import DefinitionKind
from delivery.rules.engine_steps import uses_engine
from delivery.rules.published_types import NOTHING, Published, unknown_types
from delivery.rules.publishing import PublishedKind
from delivery.rules.workflow_types import UNSERVED
from reconcile.refusals import Conflicting
from reconcile.values import JSON

_KINDS = {
    DefinitionKind.COMPONENT: PublishedKind.COMPONENT,
    DefinitionKind.TRAIT: PublishedKind.TRAIT,
    DefinitionKind.STEP: PublishedKind.STEP,
}


def published_for(*specs: object) -> Published:
    """Return the published types, if one of these lists of components uses what is none of ours."""
    if not any(unknown_types(each) for each in specs):
        return NOTHING
    return Published(
        components=_of(DefinitionKind.COMPONENT),
        traits=_of(DefinitionKind.TRAIT),
    )


def published_steps(steps: object) -> Published:
    """Return the published types of steps, if one of these is of a type that is none of ours."""
    return Published(steps=_of(DefinitionKind.STEP)) if uses_engine(steps) else NOTHING


def _of(kind: DefinitionKind) -> dict[str, JSON | None]:
    rows = PublishedDefinition.objects.filter(kind=_KINDS[kind], deletion_requested_at=None)
    found = rows.exclude(name__in=(*KNOWN[kind], *UNSERVED)).values_list("name", "parameters")
    return dict(found)


def published_names(kind: DefinitionKind) -> list[str]:
    """Name the published types of a kind, less those that stand in for one of ours."""
    return sorted(_of(kind))


def hold_types(spec: JSON) -> None:
    """Keep the published types that a revision uses from being deleted meanwhile.

    Raises Conflicting for one that is on its way out.
    """
    _hold(use for _, use in uses(spec))


def hold_step_types(steps: list[JSON]) -> None:
    """As `hold_types`, of the steps of a workflow."""
    _hold(use for _, use in step_uses(steps))


def _hold(found: Iterable[Use]) -> None:
    used = {(use.kind, use.type) for use in found}
    foreign = {(_KINDS[kind], type_) for kind, type_ in used if type_ not in KNOWN[kind]}
    if not foreign:
        return
    rows = PublishedDefinition.objects.select_for_update(no_key=True).order_by("pk")
    rows = rows.filter(name__in={name for _, name in foreign}, deletion_requested_at=None)
    held = {(row.kind, row.name) for row in rows}
    if gone := sorted(name for kind, name in foreign if (kind, name) not in held):
        raise Conflicting(f"The type {gone[0]} has been deleted just now.")
