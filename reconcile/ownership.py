"""Who owns which fields of a live object, and what kind of hand that is. Pure.

Source: managedFields of the object's metadata (Kubernetes API, FieldsV1). A cluster may send
anything there: what makes no sense is nobody's.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconcile.fields import Path, place_in, shown
from reconcile.values import JSON, MANAGER

UNKNOWN = "unknown"


class Hand(StrEnum):
    """What kind of hand changed a field, as far as its field manager tells."""

    HUMAN = "human"
    AUTOSCALER = "autoscaler"
    CONTROLLER = "controller"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Owner:
    """One entry of managedFields: `leaves` are the outermost paths that it owns as a whole."""

    manager: str
    subresource: str
    time: str
    leaves: tuple[Path, ...]

    @property
    def ours(self) -> bool:
        """Whether it stands for what KubeNova applied."""
        return self.manager == MANAGER


def owners_of(body: JSON) -> tuple[Owner, ...]:
    """Return who owns the fields of an object, without the writers of its status."""
    return tuple(
        Owner(
            str(entry.get("manager") or ""),
            str(entry.get("subresource") or ""),
            str(entry.get("time") or ""),
            tuple(_leaves(entry.get("fieldsV1"))),
        )
        for entry in _entries(body)
        if entry.get("subresource") != "status"
    )


def _entries(body: JSON) -> list[JSON]:
    meta = body.get("metadata")
    entries = meta.get("managedFields") if isinstance(meta, dict) else None
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict)]


def scaled_by_others(body: JSON) -> bool:
    """Whether an autoscaler has a hand in the object; cheaper than to read all that it owns."""
    hands = (
        hand_of(str(entry.get("manager")), str(entry.get("subresource")))
        for entry in _entries(body)
    )
    return Hand.AUTOSCALER in hands


def _leaves(fields: object) -> Iterator[Path]:
    """The paths that hold no others; without recursion, however deep a cluster nests them."""
    open_: list[tuple[Path, object]] = [((), fields)]
    while open_:
        path, below = open_.pop()
        inner = {} if not isinstance(below, dict) else {k: v for k, v in below.items() if k != "."}
        if not inner and path and isinstance(below, dict):
            yield path
        open_.extend(((*path, str(element)), item) for element, item in inner.items())


def placed(path: Path, body: object) -> Path:
    """The path with the items of lists by their places in `body`, as far as it has them.

    Two paths to the same item may name different keys of it; placed, they are equal.
    """
    found: list[str] = []
    for element in path:
        place = place_in(body, element)
        if place is not None and isinstance(body, list):
            element, body = f"i:{place}", body[place]
        else:
            body = body.get(element[2:]) if isinstance(body, dict) else None
        found.append(element)
    return tuple(found)


def covers(outer: Path, inner: Path) -> bool:
    """Whether the one path is the other or leads to it."""
    return inner[: len(outer)] == outer


def related(one: Path, other: Path) -> bool:
    """Whether one of two paths leads to the other."""
    return covers(one, other) or covers(other, one)


def actor_of(before: JSON, path: Path) -> str:
    """Name who holds the field at `path`: its manager, else the newest foreign update (probable).

    The empty path asks for the object as a whole.
    """
    foreign = [owner for owner in owners_of(before) if not owner.ours]
    here = placed(path, before)
    for owner in foreign if path else ():
        if any(related(placed(leaf, before), here) for leaf in owner.leaves):
            return owner.manager or UNKNOWN
    newest = max(foreign, key=lambda owner: owner.time, default=None)
    return f"{newest.manager} (probable)" if newest and newest.manager else UNKNOWN


# Names that clients give themselves when a person sits before them; the rest of a name is the
# verb, as in kubectl-edit, or a version.
_HUMAN = re.compile(
    r"(kubectl|k9s|lens|openlens|freelens|headlamp|octant|dashboard|mozilla|oc)\b", re.I
)
_HPA = "kube-controller-manager"
SCALE = "scale"
_VERTICAL = re.compile(r"(vpa|vertical-pod-autoscaler)\b", re.I)
_AUTOSCALER = re.compile(r"(keda|vpa|vertical-pod-autoscaler|horizontal-pod-autoscaler)\b", re.I)


def hand_of(manager: str, subresource: str = "") -> Hand:
    """Tell people, autoscalers and other controllers apart by the name of a field manager.

    The HorizontalPodAutoscaler lives in the controller manager and writes the subresource `scale`.
    """
    name = manager.removesuffix(" (probable)")
    if not name or name == UNKNOWN:
        return Hand.UNKNOWN
    if _HUMAN.match(name):
        return Hand.HUMAN
    scales = name == _HPA and subresource == SCALE
    return Hand.AUTOSCALER if scales or _AUTOSCALER.match(name) else Hand.CONTROLLER


def hand_at(before: JSON, actor: str) -> Hand:
    """What kind of hand an actor is on this object: through which subresource it wrote."""
    name = actor.removesuffix(" (probable)")
    found = {owner.subresource for owner in owners_of(before) if owner.manager == name}
    return hand_of(name, found.pop() if len(found) == 1 else "")


def autoscaled(owners: Sequence[Owner]) -> Iterator[tuple[Owner, Path]]:
    """Yield the fields that an autoscaler has set by its own right.

    Replicas for whoever scales; whatever else the vertical autoscaler holds.
    """
    for owner in owners:
        for leaf in owner.leaves:
            if scales(owner.manager, owner.subresource, shown(leaf)):
                yield owner, leaf


def scales(manager: str, subresource: str, path: str) -> bool:
    """Whether a manager sets a field because it is an autoscaler's to set."""
    if hand_of(manager, subresource) is not Hand.AUTOSCALER:
        return False
    return path == ".spec.replicas" or bool(_VERTICAL.match(manager))
