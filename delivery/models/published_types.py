"""The types that operators have published, as validation asks for them."""

from delivery.models.published import PublishedDefinition
from delivery.rules.allowing import KNOWN, uses
from delivery.rules.definitions import DefinitionKind
from delivery.rules.published_types import NOTHING, Published, unknown_types
from delivery.rules.publishing import WORDS
from reconcile.refusals import Conflicting
from reconcile.values import JSON

_KINDS = {DefinitionKind(word): kind for kind, word in WORDS.items()}


def published_for(*specs: object) -> Published:
    """Return the published types, if one of these lists of components uses what is none of ours."""
    if not any(unknown_types(each) for each in specs):
        return NOTHING
    return Published(
        components=_of(DefinitionKind.COMPONENT),
        traits=_of(DefinitionKind.TRAIT),
    )


def _of(kind: DefinitionKind) -> dict[str, JSON | None]:
    rows = PublishedDefinition.objects.filter(kind=_KINDS[kind], deletion_requested_at=None)
    found = rows.exclude(name__in=KNOWN[kind]).values_list("name", "parameters")
    return dict(found)


def published_names(kind: DefinitionKind) -> list[str]:
    """Name the published types of a kind, less those that stand in for one of ours."""
    return sorted(_of(kind)) if kind in _KINDS else []


def hold_types(spec: JSON) -> None:
    """Keep the published types that a revision uses from being deleted meanwhile.

    Raises Conflicting for one that is on its way out.
    """
    used = {(use.kind, use.type) for _, use in uses(spec)}
    foreign = {(_KINDS[kind], type_) for kind, type_ in used if type_ not in KNOWN[kind]}
    if not foreign:
        return
    rows = PublishedDefinition.objects.select_for_update(no_key=True).order_by("pk")
    rows = rows.filter(name__in={name for _, name in foreign}, deletion_requested_at=None)
    held = {(row.kind, row.name) for row in rows}
    if gone := sorted(name for kind, name in foreign if (kind, name) not in held):
        raise Conflicting(f"The type {gone[0]} has been deleted just now.")
