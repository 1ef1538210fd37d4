"""The values that the loop passes on: frozen, complete, free of Django and HTTP.

Shapes follow the Kubernetes API conventions (object meta, conditions).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from reconcile.fingerprints import key_for

JSON = dict[str, Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "kubenova"
OWNER = "kubenova.io/owner"
TENANT = "kubenova.io/tenant"
PROJECT = "kubenova.io/project"
APP = "kubenova.io/app"
CORRELATION = "kubenova.io/correlation-id"

_VOLATILE = ("resourceVersion", "generation", "managedFields")


class Kind(NamedTuple):
    """A Kubernetes resource type: `api_version` as in manifests, `plural` as in paths."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]


class Ref(NamedTuple):
    """Which object: `namespace` is empty for cluster-scoped kinds."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind.name} {place}"


def digest(value: object, key: bytes = b"") -> str:
    """Return a stable hash (32 hex digits) of anything that JSON can hold.

    Under a `key` it is a MAC (RFC 7693, keyed BLAKE2): worth nothing to whoever lacks the key.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16, key=key).hexdigest()


def ref_of(body: JSON, kinds: Iterable[Kind]) -> Ref:
    """Name the object of a manifest or answer. Raises KeyError for a kind not among `kinds`."""
    found = {(kind.api_version, kind.name): kind for kind in kinds}
    kind = found[body["apiVersion"], body["kind"]]
    meta = body["metadata"]
    return Ref(kind, meta.get("namespace", "") if kind.namespaced else "", meta["name"])


@dataclass(frozen=True)
class Wanted:
    """An object as we want it, before it is stamped with owner and correlation id."""

    ref: Ref
    manifest: JSON = field(compare=False)
    hash: str

    @classmethod
    def of(cls, manifest: JSON, kinds: Iterable[Kind]) -> "Wanted":
        """Wrap a rendered manifest; its kind must be one of the adapter's kinds."""
        ref = ref_of(manifest, kinds)
        return cls(ref, manifest, digest(manifest, key_for(ref.kind.name)))


@dataclass(frozen=True)
class Live:
    """An object as the API server returned it; `warnings` are those that came with the answer."""

    ref: Ref
    body: JSON = field(compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def uid(self) -> str:
        """The identity that survives edits and never comes back after a deletion."""
        return str(self.body["metadata"]["uid"])

    @cached_property
    def fp(self) -> str:
        """Fingerprint: everything but status and what the server counts by itself."""
        body = {key: value for key, value in self.body.items() if key != "status"}
        meta = body["metadata"]
        body["metadata"] = {key: meta[key] for key in meta if key not in _VOLATILE}
        return digest(body, key_for(self.ref.kind.name))

    @cached_property
    def status_fp(self) -> str:
        """Fingerprint of the status alone."""
        return digest(self.body.get("status"))

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, empty when it has none."""
        return self.body["metadata"].get("labels") or {}

    @property
    def terminating(self) -> bool:
        """Whether its deletion is under way."""
        return "deletionTimestamp" in self.body["metadata"]


@dataclass(frozen=True)
class Recorded:
    """What we remember of an object since the last convergence (a row of AppliedObject).

    `live_fp` and `status_fp` are as last seen, by us or by the watcher.
    """

    ref: Ref
    uid: str
    wanted_hash: str
    applied_fp: str
    correlation_id: str = ""
    live_fp: str = ""
    status_fp: str = ""


class Verb(StrEnum):
    """What a step does; the API server decides between create and update by itself."""

    APPLY = "apply"
    DELETE = "delete"


class Why(StrEnum):
    """Why a step is planned."""

    NEW = "new"
    CHANGED = "changed"
    DRIFT = "drift"
    MISSING = "missing"
    ADOPT = "adopt"
    UNWANTED = "unwanted"
    EXTRA = "extra"


@dataclass(frozen=True)
class Step:
    """One write of a plan. `uid` guards it: empty only where the object does not exist yet.

    After a `partial` one drift may be left that nobody has looked at: the object is examined next.
    """

    verb: Verb
    why: Why
    ref: Ref
    uid: str = ""
    manifest: JSON = field(default_factory=dict, compare=False)
    wanted_hash: str = ""
    partial: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.ref} ({self.why})"


@dataclass(frozen=True)
class Plan:
    """Ordered steps; empty means at rest. `waves` may run in parallel inside, never across.

    `checks` are repairs that nobody has approved yet: they are tried by dry run and shown.
    """

    waves: tuple[tuple[Step, ...], ...] = ()
    checks: tuple[Step, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps that write, in order."""
        return tuple(step for wave in self.waves for step in wave)

    @property
    def hash(self) -> str:
        """Stable over wanted manifests, live identity and order; never over resource versions."""
        return digest(
            [[step.verb, str(step.ref), step.uid, step.wanted_hash] for step in self.steps]
        )

    def __bool__(self) -> bool:
        return any(self.waves)


class Health(StrEnum):
    """How an object or row is doing."""

    READY = "Ready"
    PROGRESSING = "Progressing"
    FAILED = "Failed"


@dataclass(frozen=True)
class Part:
    """One part of an assessment, as a component of an app: numbers are replicas."""

    name: str
    health: Health
    ready: int
    wanted: int
    message: str = ""


@dataclass(frozen=True)
class Assessment:
    """What an adapter makes of the live objects. `message` has no times, so that it never flaps.

    `facts` are observations that belong to no health, such as what is used of a quota.
    """

    health: Health
    reason: str
    message: str = ""
    parts: tuple[Part, ...] = ()
    facts: JSON = field(default_factory=dict)


class RepairMode(StrEnum):
    """What happens to drift: it is repaired at once, or shown until a person decides."""

    AUTO = "auto"
    MANUAL = "manual"


class Phase(StrEnum):
    """The five phases, in the order of their names in the specification."""

    PENDING = "Pending"
    APPLYING = "Applying"
    DEPLOYED = "Deployed"
    DRIFTED = "Drifted"
    ERROR = "Error"


class Status(StrEnum):
    """Status of a condition (Kubernetes API conventions)."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Condition:
    """A condition for people: `type` is Synced or Ready, `reason` CamelCase."""

    type: str
    status: Status
    reason: str
    message: str = ""


WAITING = "Waiting"
DRIFT_REASONS = frozenset({"Drifted", "RepairManual"})


def phase_of(synced: Condition, ready: Condition, *, deleting: bool = False) -> Phase:
    """Derive the phase from the conditions; the only place that does."""
    if synced.status == Status.FALSE:
        return Phase.DRIFTED if synced.reason in DRIFT_REASONS else Phase.ERROR
    if deleting:
        return Phase.APPLYING
    if synced.status == Status.UNKNOWN:
        return Phase.ERROR if synced.reason == "Unreachable" else Phase.PENDING
    if ready.status == Status.TRUE:
        return Phase.DEPLOYED
    if ready.status == Status.FALSE and ready.reason != Health.PROGRESSING:
        return Phase.ERROR
    return Phase.APPLYING


_WORST_FIRST = (Phase.ERROR, Phase.DRIFTED, Phase.APPLYING, Phase.PENDING, Phase.DEPLOYED)


def worst(phases: Sequence[Phase]) -> Phase:
    """Sum up the phases of placements: Error > Drifted > Applying > Pending > Deployed.

    No placement at all is Pending: nothing was selected.
    """
    return next((phase for phase in _WORST_FIRST if phase in phases), Phase.PENDING)
