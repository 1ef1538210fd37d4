"""What a plan tells, per cluster and object: frozen, free of Django and HTTP."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from reconcile.drift import MASK, Difference
from reconcile.values import CORRELATION, JSON, OWNER, Live, Ref, Step, Verb, Why

# Objects for a namespace that does not exist yet are tried here; nothing ever lives in it.
PLAN_NAMESPACE = "kubenova-plan"

_SERVERS_OWN = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
_SECRET_VALUES = ("data", "stringData")


class Checked(StrEnum):
    """How a planned write was tried.

    server: by a dry run of the very write. schema: by a dry run in another namespace, because its
    own does not exist yet. none: not at all; it is what would be sent.
    """

    SERVER = "server"
    SCHEMA = "schema"
    NONE = "none"


class State(StrEnum):
    """How a cluster answered a plan."""

    ASKED = "asked"
    PAUSED = "paused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Trial:
    """What came of trying one step; `after` is the object as the server would store it.

    `denial` is why the server would refuse it, `message` why it was not tried.
    """

    checked: Checked
    after: Live | None = None
    denial: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Headroom:
    """One resource of a namespace's quota; quantities as Kubernetes writes them.

    `asked` is by how much the plan raises what is used: negative where it frees some.
    """

    namespace: str
    resource: str
    hard: str
    used: str
    asked: str
    left: str
    fits: bool


@dataclass(frozen=True)
class PlannedObject:
    """One write. `fields` differ on an object that exists, `manifest` is that of a new one."""

    row: str
    verb: Verb
    why: Why
    ref: Ref
    trial: Trial
    fields: tuple[Difference, ...] = ()
    manifest: JSON | None = None

    @property
    def action(self) -> str:
        """What happens to the object: create, change or delete."""
        if self.verb is Verb.DELETE:
            return "delete"
        return "create" if self.manifest is not None else "change"

    def as_json(self) -> JSON:
        """Return it as the API shows it."""
        kind = self.ref.kind
        return {
            "row": self.row,
            "action": self.action,
            "why": str(self.why),
            "api_version": kind.api_version,
            "kind": kind.name,
            "namespace": self.ref.namespace,
            "name": self.ref.name,
            "checked": str(self.trial.checked),
            "denial": self.trial.denial,
            "message": self.trial.message,
            "warnings": list(self.trial.warnings),
            "differences": [asdict(field) for field in self.fields],
            "manifest": self.manifest,
        }


@dataclass(frozen=True)
class PlannedCluster:
    """All writes on one cluster; `notes` say what a reader would not expect."""

    name: str
    state: State
    message: str = ""
    notes: tuple[str, ...] = ()
    objects: tuple[PlannedObject, ...] = ()
    headroom: tuple[Headroom, ...] = ()

    def as_json(self) -> JSON:
        """Return it as the API shows it."""
        return {
            "cluster": self.name,
            "state": str(self.state),
            "message": self.message,
            "notes": list(self.notes),
            "objects": [each.as_json() for each in self.objects],
            "headroom": [asdict(each) for each in self.headroom],
        }


@dataclass(frozen=True)
class Report:
    """A plan for people. Its hash is stable: the same intent on the same clusters has the same."""

    hash: str
    clusters: tuple[PlannedCluster, ...] = ()

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """All writes."""
        return tuple(each for cluster in self.clusters for each in cluster.objects)

    @property
    def complete(self) -> bool:
        """Whether a server has looked at every write."""
        return all(each.trial.checked is not Checked.NONE for each in self.objects)

    @property
    def summary(self) -> dict[str, int]:
        """How many writes there are of each kind, and how many would be refused."""
        actions = [each.action for each in self.objects]
        counts = {action: actions.count(action) for action in ("create", "change", "delete")}
        return counts | {"denied": sum(bool(each.trial.denial) for each in self.objects)}

    def as_json(self) -> JSON:
        """Return it as the API shows it."""
        return {
            "hash": self.hash,
            "complete": self.complete,
            "summary": self.summary,
            "clusters": [each.as_json() for each in self.clusters],
        }


def shown(ref: Ref, manifest: Mapping[str, object]) -> JSON:
    """Return a manifest fit to be shown: without what the server counts, Secrets masked."""
    body: JSON = copy.deepcopy({key: manifest[key] for key in manifest if key != "status"})
    meta = {key: value for key, value in body["metadata"].items() if key not in _SERVERS_OWN}
    notes = {key: text for key, text in meta.pop("annotations", {}).items() if key != CORRELATION}
    # The owner of what is only planned is made up.
    labels = {key: text for key, text in meta.pop("labels", {}).items() if key != OWNER}
    optional = {"labels": labels, "annotations": notes}
    body["metadata"] = meta | {key: values for key, values in optional.items() if values}
    if ref.kind.name == "Secret":
        for part in _SECRET_VALUES:
            if part in body:
                body[part] = dict.fromkeys(body[part], MASK)
    return body


def rehomed(step: Step) -> Step:
    """Return the step as a creation in the namespace of plans."""
    manifest = copy.deepcopy(step.manifest)
    manifest["metadata"]["namespace"] = PLAN_NAMESPACE
    manifest["metadata"].pop("resourceVersion", None)
    return Step(step.verb, step.why, step.ref._replace(namespace=PLAN_NAMESPACE), "", manifest)


def namespaces_of(steps: Sequence[Step]) -> list[str]:
    """Name the namespaces that the steps write in, each once."""
    applies = (step for step in steps if step.verb is Verb.APPLY)
    return sorted({step.ref.namespace for step in applies if step.ref.namespace})
