"""Drift: which fields of a live object differed from the intent, and who changed them. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconcile.fields import ABSENT, Path, items_of, of_field, pointer, shown
from reconcile.ownership import UNKNOWN, Hand, actor_of, hand_at
from reconcile.values import CORRELATION, JSON, Live, Ref, Step, Why

__all__ = ["MASK", "UNKNOWN", "Difference", "Repair", "actor_of", "differences", "repaired", "walk"]

MASK = "••••••"
CUT = "kubenova.io/cut"
_LONGEST_PATH = 1000
_LONGEST_VALUE = 16_384
_META: Path = ("f:metadata",)
_IGNORED: frozenset[Path] = frozenset(
    {
        (*_META, "f:resourceVersion"),
        (*_META, "f:generation"),
        (*_META, "f:managedFields"),
        (*_META, "f:annotations", of_field(CORRELATION)),
        ("f:status",),
    }
)
# Absent is the same as empty here.
_MAPS: frozenset[Path] = frozenset({(*_META, "f:labels"), (*_META, "f:annotations")})


@dataclass(frozen=True)
class Difference:
    """One field: `path` as in `.spec.containers[name=web].image`; None where it was absent."""

    path: str
    found: object
    wanted: object
    actor: str = UNKNOWN
    hand: Hand = Hand.UNKNOWN


@dataclass(frozen=True)
class Repair:
    """What a step has set right: `message` for people, the fields, who had changed the first."""

    message: str
    fields: tuple[Difference, ...]

    @property
    def actor(self) -> str:
        """Who changed the first field."""
        return self.fields[0].actor


def repaired(step: Step, before: Live | None, after: Live | None) -> Repair | None:
    """Say what a step that was carried out has repaired; None when it repaired nothing."""
    if step.why is Why.MISSING:
        message = f"{step.ref} was missing and was made anew (deleted by unknown)."
        return Repair(message, (missing(step.ref),))
    if step.why is not Why.DRIFT or before is None or after is None:
        return None
    fields = differences(before.body, after.body, step.ref)
    told = ", ".join(f"{field.path} (changed by {field.actor})" for field in fields)
    return Repair(f"{step.ref} differed and was repaired: {told}.", fields) if fields else None


def missing(ref: Ref) -> Difference:
    """The difference that a missing object makes: nobody tells who deleted it."""
    return Difference("", None, str(ref))


def differences(before: JSON, after: JSON, ref: Ref) -> tuple[Difference, ...]:
    """Compare the live object before our apply with the server's answer to it.

    The server computed both, so defaults and normalised quantities never count. Values of
    Secrets are masked, those too large to keep are cut.
    """
    masked = ref.kind.name == "Secret"
    found = []
    for path, old, new in walk(before, after):
        actor = actor_of(before, path)
        old, new = (None if value is ABSENT else value for value in (old, new))
        if masked and path[:2] != (*_META, "f:labels"):
            old, new = MASK, MASK
        hand = hand_at(before, actor)
        found.append(Difference(_told(path), _kept(old), _kept(new), actor, hand))
    return tuple(found)


def walk(old: object, new: object, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Yield where two bodies differ: the path with both values, ABSENT where there is none."""
    if path in _IGNORED:
        return
    if path in _MAPS:
        old, new = ({} if value is ABSENT else value for value in (old, new))
    olds, news = _parts(old), _parts(new)
    if olds is None or news is None or isinstance(old, dict) != isinstance(new, dict):
        if old != new:
            yield path, old, new
        return
    for element in sorted({*olds, *news}):
        below = olds.get(element, ABSENT), news.get(element, ABSENT)
        yield from walk(*below, (*path, element))


def _parts(value: object) -> dict[str, Any] | None:
    """What a value consists of, by elements; None when it has to be taken as a whole."""
    if isinstance(value, dict):
        return {of_field(key): below for key, below in value.items()}
    return {} if value == [] else items_of(value) or None


def _told(path: Path) -> str:
    """The path as it is kept; what is too long ends above the field."""
    while max(len(shown(path)), len(pointer(path))) > _LONGEST_PATH:
        path = path[:-1]
    return shown(path).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _kept(value: object) -> object:
    """The value as it can be kept: a database holds no NUL, and nobody reads a megabyte."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > _LONGEST_VALUE:
        return {CUT: len(text)}
    if "\\u0000" not in text:
        return value
    return json.loads(text.replace("\\u0000", "\N{REPLACEMENT CHARACTER}"))
