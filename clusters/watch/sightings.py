"""What was seen of one object, small enough to keep many of."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from clusters.objects import live_of
from reconcile.errors import Unreachable
from reconcile.values import JSON, OWNER, Kind, Live


class Key(NamedTuple):
    """Which object on which cluster."""

    cluster_pk: int
    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object as it was last seen; an empty `fp` means that it was gone, or ours no longer.

    Fingerprints are those of `reconcile.values.Live`: one code decides what a change is. `actor` is
    who changed it last, as far as it tells; a `dependent` object was made by a controller.
    """

    key: Key
    fp: str = ""
    status_fp: str = ""
    uid: str = ""
    owner: str = ""
    actor: str = ""
    dependent: bool = False

    @property
    def gone(self) -> bool:
        """Whether the object was not there."""
        return not self.fp

    def __str__(self) -> str:
        place = f"{self.key.namespace}/{self.key.name}" if self.key.namespace else self.key.name
        return f"{self.key.kind.name} {place}"


# What the database holds of an object; a hostile cluster names things as it likes (threat A8).
_LONGEST = (253, 253, 64, 63)
_UNTOLD = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def sighting_of(cluster_pk: int, live: Live) -> Sighting:
    """Return what matters of an object. Raises Unreachable for one that no API server has."""
    key = Key(cluster_pk, live.ref.kind, live.ref.namespace, live.ref.name)
    try:
        owner, uid = str(live.labels.get(OWNER, "")), live.uid
        texts = (key.name, key.namespace, uid, owner)
        too_long = any(len(text) > most for text, most in zip(texts, _LONGEST, strict=True))
        if too_long or _UNTOLD.search("".join(texts)):
            raise ValueError("no name of Kubernetes")
        actor, dependent = _actor(live), _is_dependent(live)
        return Sighting(key, live.fp, live.status_fp, uid, owner, actor, dependent)
    except (ValueError, RecursionError, AttributeError, TypeError):  # no Unicode, no mapping, …
        raise Unreachable(f"the answer holds an unreadable {live.ref.kind.name}") from None


def _actor(live: Live) -> str:
    """Who changed it last, as its managedFields tell; empty where they do not."""
    entries = live.body["metadata"].get("managedFields") or ()
    newest: JSON = max(entries, key=lambda entry: str(entry.get("time", "")), default={})
    return _UNTOLD.sub("", str(newest.get("manager") or ""))[:150]


def _is_dependent(live: Live) -> bool:
    """Whether a controller made it for another object (Kubernetes, OwnerReference.controller)."""
    owners = live.body["metadata"].get("ownerReferences") or ()
    return any(isinstance(owner, dict) and owner.get("controller") is True for owner in owners)


def sighting_in(cluster_pk: int, kind: Kind, body: JSON) -> Sighting:
    """Return what matters of an object of a watch event. Raises Unreachable for what is none."""
    return sighting_of(cluster_pk, live_of(kind, body))
