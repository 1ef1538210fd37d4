"""What an apply leaves out of a manifest, so that it stays as somebody else has set it. Pure.

Left out is what an autoscaler owns, what a person's rule leaves to others and, where drift is not
repaired by itself, what differs and nobody has approved to repair. A field that KubeNova alone owns
is never left out: the server would take it off the object.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from reconcile.drift import walk
from reconcile.fields import ABSENT, Path, at_pointer, get, parse, pointer, without
from reconcile.ownership import (
    Owner,
    autoscaled,
    covers,
    owners_of,
    placed,
    related,
    scaled_by_others,
)
from reconcile.values import JSON, Live, Ref, RepairMode, digest

_BASE = 20  # of the 32 digits of a hash


@dataclass(frozen=True)
class Rule:
    """A field that is left to others: at a JSON pointer, or owned by a manager, or both.

    A blank means any; a rule with neither leaves the object as a whole.
    """

    kind: str = ""
    name: str = ""
    pointer: str = ""
    manager: str = ""

    def concerns(self, ref: Ref) -> bool:
        """Whether it speaks of this object."""
        return self.kind in ("", ref.kind.name) and self.name in ("", ref.name)

    @property
    def whole(self) -> bool:
        """Whether it leaves the object altogether, also when that is missing."""
        return not self.pointer and not self.manager


@dataclass(frozen=True)
class Known:
    """A difference on record: an empty `path` means the whole object.

    `approved`: a person wants it repaired. `contested`: another manager undoes each repair.
    """

    path: str
    approved: bool = False
    contested: bool = False


@dataclass(frozen=True)
class Extra:
    """An object that carries our label and is none of ours; `approved`: a person wants it gone."""

    ref: Ref
    uid: str
    approved: bool = False


@dataclass(frozen=True)
class Handling:
    """How drift is dealt with on a row: its mode, people's rules and what is known to differ.

    `held` says why nothing may be written at all; empty if it may. `until`: in so many seconds one
    of the rules ends or a contested field is tried again.
    """

    mode: RepairMode = RepairMode.AUTO
    held: str = ""
    rules: tuple[Rule, ...] = ()
    known: Mapping[Ref, tuple[Known, ...]] = field(default_factory=dict)
    extras: tuple[Extra, ...] = ()
    until: float | None = None

    @property
    def unwelcome(self) -> tuple[Extra, ...]:
        """The extra objects that are to be deleted."""
        return () if self.held else tuple(extra for extra in self.extras if extra.approved)

    @property
    def shows(self) -> bool:
        """Whether drift is shown before it is repaired."""
        return bool(self.held) or self.mode is RepairMode.MANUAL

    def at(self, ref: Ref) -> tuple[Known, ...]:
        """What is known to differ on an object."""
        return self.known.get(ref, ())

    def ignores(self, ref: Ref) -> bool:
        """Whether a rule leaves the whole object to others."""
        return any(rule.whole and rule.concerns(ref) for rule in self.rules)

    def careful(self, ref: Ref) -> bool:
        """Whether what is written must not reach another version than the one that was seen."""
        return self.shows or bool(self.at(ref)) or any(rule.concerns(ref) for rule in self.rules)

    def approved(self, ref: Ref) -> list[Known]:
        """What a person wants repaired on an object, as far as anything may be written."""
        return [] if self.held else [known for known in self.at(ref) if known.approved]

    def due(self, ref: Ref) -> bool:
        """Whether something on record is to be repaired now."""
        if self.held:
            return False
        repairable = self.approved(ref) if self.shows else self.at(ref)
        return any(not known.contested or known.approved for known in repairable)

    def left(self, ref: Ref) -> list[Known]:
        """What is not to be repaired for now."""
        if self.shows:
            return [known for known in self.at(ref) if self.held or not known.approved]
        return [known for known in self.at(ref) if known.contested]


@dataclass(frozen=True)
class Omitted:
    """What is left out of one manifest: by rules and autoscalers, and as drift that stays."""

    ruled: frozenset[Path] = frozenset()
    drifted: frozenset[Path] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.ruled or self.drifted)

    def of(self, manifest: JSON) -> JSON:
        """Return the manifest without it."""
        for path in sorted(self.ruled | self.drifted):
            manifest = without(manifest, path)
        return manifest

    def hash(self, base: str) -> str:
        """Return the hash of a manifest of hash `base` that lacks it: a change of either shows."""
        if not self:
            return base
        left = [sorted(map(pointer, self.ruled)), sorted(map(pointer, self.drifted))]
        return base[:_BASE] + digest(left)[_BASE:]


NOTHING = Omitted()


def same_base(one: str, other: str) -> bool:
    """Whether two hashes belong to one manifest, whatever is left out of it."""
    return one[:_BASE] == other[:_BASE]


def omitted(handling: Handling, ref: Ref, manifest: JSON, live: Live | None) -> Omitted:
    """Return what is left out when `manifest` is applied over `live`."""
    known = handling.left(ref)
    if live is None or not (known or handling.rules or scaled_by_others(live.body)):
        return NOTHING
    owners = owners_of(live.body)
    ruled = frozenset(
        chain(_ruled(handling, ref, manifest, live, owners), _scaled(owners, manifest))
    )
    if not known:
        return Omitted(ruled)
    drifted = set(
        chain.from_iterable(_units(_path(each), manifest, live, owners) for each in known)
    )
    approved = [placed(_path(each), manifest) for each in handling.approved(ref)]
    kept = (p for p in drifted if not any(related(placed(p, manifest), a) for a in approved))
    return Omitted(ruled, frozenset(kept) - ruled)


def taken(manifest: JSON, live: Live) -> frozenset[Path]:
    """Return what others own alone, and otherwise than we want it: drift that nobody looked at."""
    owners = owners_of(live.body)
    mine = {placed(leaf, live.body) for owner in owners if owner.ours for leaf in owner.leaves}
    leaves = (leaf for owner in owners if not owner.ours for leaf in owner.leaves)
    return frozenset(
        leaf
        for leaf in leaves
        if get(manifest, leaf) is not ABSENT
        and get(manifest, leaf) != get(live.body, leaf)
        and placed(leaf, live.body) not in mine
    )


def _path(known: Known) -> Path:
    """The path of a record; one that cannot be read stands for the whole object."""
    try:
        return parse(known.path)
    except ValueError:
        return ()


def _scaled(owners: Sequence[Owner], manifest: JSON) -> Iterator[Path]:
    foreign = [owner for owner in owners if not owner.ours]
    return (leaf for _, leaf in autoscaled(foreign) if get(manifest, leaf) is not ABSENT)


def _ruled(
    handling: Handling, ref: Ref, manifest: JSON, live: Live, owners: Sequence[Owner]
) -> Iterator[Path]:
    for rule in handling.rules:
        if not rule.concerns(ref):
            continue
        try:
            path = at_pointer(rule.pointer, live.body, manifest)
        except ValueError:
            continue
        yield from _units(path, manifest, live, owners, manager=rule.manager)


def _units(
    path: Path, manifest: JSON, live: Live, owners: Sequence[Owner], *, manager: str = ""
) -> Iterator[Path]:
    """What can be left out for the sake of `path`: as others own it, or as it is not there.

    Ownership is coarser than fields where a list or map is owned as a whole (Kubernetes API,
    server-side apply): then all of it is left out.
    """
    here = placed(path, manifest)
    for owner in owners:
        if owner.ours or (manager and owner.manager != manager):
            continue
        for leaf in owner.leaves:
            if related(placed(leaf, manifest), here) and get(manifest, leaf) is not ABSENT:
                yield leaf
    if not manager:
        yield from _gone(path, manifest, live)


def _gone(path: Path, manifest: JSON, live: Live) -> Iterator[Path]:
    """What is wanted at `path` or below and is not there; an item comes back as a whole."""
    for missing, old, new in walk(live.body, manifest):
        if old is not ABSENT or new is ABSENT:
            continue
        inside = covers(missing, path) and get(manifest, path) is not ABSENT
        if covers(path, missing):
            yield missing
        elif inside and all(element.startswith("f:") for element in path[len(missing) - 1 : -1]):
            yield path
