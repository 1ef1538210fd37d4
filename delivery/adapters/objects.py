"""Objects that steps of workflows have applied, on plain Kubernetes: one each, as it is."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from clusters.kinds import JOB
from delivery.rules.objects import KINDS
from reconcile.values import JSON, PROJECT, TENANT, Assessment, Health, Kind, Live, Ref


@dataclass(frozen=True)
class ObjectIntent:
    """An object on a cluster, as it was declared and found valid; None: none is wanted here.

    `made` says that KubeNova has written it there before.
    """

    tenant: str
    project: str
    namespace: str
    body: JSON | None
    made: bool = False


class Objects:
    """Of the kinds that steps may apply."""

    name = "delivery.objects"
    kinds: Sequence[Kind] = tuple(KINDS.values())

    def render(self, intent: ObjectIntent) -> list[JSON]:
        """The object, in the namespace of its project and with the labels of it."""
        return rendered(intent)

    def assess(self, intent: ObjectIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready when it is there; a Job when it is complete."""
        if intent.body is None:
            return Assessment(Health.READY, "NotWanted")
        kind = KINDS[intent.body["kind"]]
        live = seen.get(Ref(kind, intent.namespace, intent.body["metadata"]["name"]))
        if live is None:
            return Assessment(Health.PROGRESSING, "Writing", "The object is being written.")
        return _job(live.body) if kind == JOB else Assessment(Health.READY, "Written")


def rendered(intent: ObjectIntent) -> list[JSON]:
    """Return the object as it is to be in the namespace of its project; none where none is."""
    if intent.body is None:
        return []
    body = deepcopy(intent.body)
    labels = body["metadata"].get("labels") or {}
    body["metadata"] |= {
        "namespace": intent.namespace,
        "labels": {**labels, TENANT: intent.tenant, PROJECT: intent.project},
    }
    return [body]


def _job(body: JSON) -> Assessment:
    """As `kubectl wait` judges it: by the conditions Complete and Failed."""
    status: JSON = body.get("status") or {}
    found = {
        each["type"]: each for each in status.get("conditions") or () if each["status"] == "True"
    }
    if failed := found.get("Failed"):
        message = str(failed.get("message") or failed.get("reason") or "The Job has failed.")
        return Assessment(Health.FAILED, "JobFailed", message[:500])
    if "Complete" in found:
        return Assessment(Health.READY, "JobComplete")
    return Assessment(Health.PROGRESSING, "JobRunning", "The Job is not complete yet.")
