"""Which objects a workflow's step may apply, and what is wrong with one. Pure.

A short list of kinds of a namespace that KubeNova's own account may write there, and that give
nobody more rights than a developer of the project has anyway (threat A3): no Secrets, no accounts,
no RBAC, no rules of networks or quotas. What they hold is data: nothing in it is evaluated.
"""

from collections.abc import Callable, Iterator, Mapping

from clusters.kinds import CONFIG_MAP, JOB, PERSISTENT_VOLUME_CLAIM, SERVICE
from delivery.rules.schema import Path, Problem, schema_problems, within
from delivery.rules.shapes import LABEL, PAIRS, obj
from delivery.rules.storable import reserved_keys
from reconcile.spelling import annotation_faults, label_faults, reserved, sentence
from reconcile.values import JSON, Kind

KINDS: Mapping[str, Kind] = {
    kind.name: kind for kind in (CONFIG_MAP, JOB, PERSISTENT_VOLUME_CLAIM, SERVICE)
}
_NAMESPACE = "It comes to the namespace of the project. Leave this out."
_STATUS = "The cluster says how it fares. Leave this out."
_FRAME = obj(
    ("apiVersion", "kind", "metadata"),
    apiVersion={"type": "string"},
    kind={"type": "string"},
    metadata=obj(("name",), name=LABEL, labels=PAIRS, annotations=PAIRS),
) | {"additionalProperties": True}

# Fields of a pod by which it would leave its namespace, its node's confines or its own account.
_OF_PODS = (
    *("serviceAccount", "serviceAccountName", "automountServiceAccountToken"),
    *("hostNetwork", "hostPID", "hostIPC", "nodeName", "priorityClassName", "runtimeClassName"),
)
_OF_CONTAINERS = ("privileged", "procMount", "hostPath", "hostPort")


def object_name(value: JSON) -> str:
    """Return the name of a valid object in its project, such as `configmap-settings`."""
    return f"{str(value['kind']).lower()}-{value['metadata']['name']}"


def object_problems(value: object) -> Iterator[Problem]:
    """Yield what is wrong with an object; at the places of its fields."""
    if not isinstance(value, dict):
        yield Problem((), "type", "Use an object.")
        return
    kind = KINDS.get(str(value.get("kind")))
    if "kind" in value and kind is None:
        text = f"Objects of this kind are not applied. Use {', '.join(sorted(KINDS))}."
        yield Problem(("kind",), "kind", text)
        return
    if "status" in value:
        yield Problem(("status",), "unknown", _STATUS)
    yield from _frame(value)
    yield from reserved_keys(value)
    yield from _metadata(value.get("metadata"))
    if kind and value.get("apiVersion") not in (None, kind.api_version):
        yield Problem(("apiVersion",), "kind", f"Use {kind.api_version}.")
    if kind and (judge := _JUDGES.get(kind)) and isinstance(value.get("spec"), dict):
        yield from within(("spec",), judge(value["spec"]))


def _frame(value: JSON) -> Iterator[Problem]:
    for problem in schema_problems(value, _FRAME):
        if problem.path == ("metadata", "namespace"):
            yield Problem(problem.path, problem.code, _NAMESPACE)
        else:
            yield problem


def _metadata(metadata: object) -> Iterator[Problem]:
    if not isinstance(metadata, dict):
        return
    for place, faults in (("labels", label_faults), ("annotations", annotation_faults)):
        for key, fault in faults(metadata.get(place, {})).items():
            path = ("metadata", place, *([key] if key else []))
            if not reserved(key):  # which is told already
                yield Problem(path, "value", sentence(key or place, fault))


# --- By kind.


def _service(spec: JSON) -> Iterator[Problem]:
    if spec.get("externalIPs"):
        yield Problem(("externalIPs",), "unknown", "Addresses of others are not taken.")
    if spec.get("type") == "ExternalName" or "externalName" in spec:
        place = ("externalName",) if "externalName" in spec else ("type",)
        yield Problem(place, "unknown", "A Service of a project leads to its own pods.")


def _job(spec: JSON) -> Iterator[Problem]:
    if "ttlSecondsAfterFinished" in spec:
        text = "It would be made anew whenever the cluster forgot it. It goes with its workflow."
        yield Problem(("ttlSecondsAfterFinished",), "unknown", text)
    template = spec.get("template")
    pod = template.get("spec") if isinstance(template, dict) else None
    if not isinstance(pod, dict):
        return
    prefix: Path = ("template", "spec")
    for key in _OF_PODS:
        if key in pod and not (key.startswith("automount") and pod[key] is False):
            yield Problem((*prefix, key), "unknown", "A step sets no such field of a pod.")
    yield from within(prefix, _deep(pod))


def _deep(pod: JSON) -> Iterator[Problem]:
    """Fields that are refused wherever they stand; depth is bounded before (`unsafe`)."""
    waiting: list[tuple[Path, object]] = [((), pod)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, dict):
            for key in sorted({*_OF_CONTAINERS} & found.keys()):
                if found[key] is not False:
                    text = "A step sets no such field of a pod."
                    yield Problem((*path, key), "unknown", text)
            waiting += [((*path, key), child) for key, child in found.items()]
        elif isinstance(found, list):
            waiting += [((*path, index), child) for index, child in enumerate(found)]


_JUDGES: Mapping[Kind, Callable[[JSON], Iterator[Problem]]] = {SERVICE: _service, JOB: _job}
