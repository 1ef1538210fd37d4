"""What an app has on a cluster, object by object, sorted to its components. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconcile.values import JSON, Kind, Ref, ref_of


class Standing(StrEnum):
    """How an object stands to what is wanted."""

    APPLIED = "Applied"
    DIFFERS = "Differs"
    PENDING = "Pending"
    LEAVING = "Leaving"


@dataclass(frozen=True)
class Piece:
    """An object of an app: `APPLIED` is as it was last written, `PENDING` is not there yet."""

    ref: Ref
    standing: Standing


def pieces(
    wanted: Sequence[JSON], kinds: Sequence[Kind], recorded: Mapping[Ref, bool], label: str
) -> dict[str, list[Piece]]:
    """Return the objects by the name of their component, in the order of their creation.

    `wanted` are manifests, whose `label` names the component; what has none is under "". `recorded`
    says of each object that is there whether it was last seen as it was applied.
    """
    owners = {ref_of(body, kinds): _owner(body, label) for body in wanted}
    found: dict[str, list[Piece]] = {}
    order = {kind: place for place, kind in enumerate(kinds)}
    refs = sorted({*owners, *recorded}, key=lambda ref: (order.get(ref.kind, len(order)), str(ref)))
    for ref in refs:
        piece = Piece(ref, _standing(ref, owners, recorded))
        found.setdefault(owners.get(ref, ""), []).append(piece)
    return found


def _owner(body: JSON, label: str) -> str:
    return str((body["metadata"].get("labels") or {}).get(label, ""))


def _standing(ref: Ref, wanted: Collection[Ref], recorded: Mapping[Ref, bool]) -> Standing:
    if ref not in recorded:
        return Standing.PENDING
    if ref not in wanted:
        return Standing.LEAVING
    return Standing.APPLIED if recorded[ref] else Standing.DIFFERS
