"""What KubeNova has KubeVela add to a component beyond what was declared of it. Pure.

Native delivery marks and hardens every pod; KubeVela's definitions do neither. What the trait
`securitycontext` can say of containers it says, the rest is patched into what KubeVela renders, by
its traits `json-patch` and `json-merge-patch`, which are in nobody's reach but KubeNova's.
"""

from collections.abc import Iterator

from delivery.adapters.native_pods import labels_of, secrets_of
from delivery.intents import AppIntent, Component
from reconcile.values import JSON, digest

# Of a task that changes KubeVela makes the Job anew: the path is one that Kubernetes adds nothing
# to, and has no dot or dash in it.
RUN = "kubenovaRun"
RUN_PATH = f"metadata.annotations.{RUN}"

_SECURITY = "securitycontext"
_DROP_ALL = ["ALL"]
# As KubeVela's trait has it, which would forbid root unless it is told otherwise.
_HARDENED: JSON = {
    "allowPrivilegeEscalation": False,
    "dropCapabilities": _DROP_ALL,
    "privileged": False,
    "readOnlyRootFilesystem": False,
    "runAsNonRoot": False,
}
_CONTEXT: JSON = {"allowPrivilegeEscalation": False, "capabilities": {"drop": _DROP_ALL}}
_POD = "/spec/template/spec"
_CRON_POD = "/spec/jobTemplate/spec/template/spec"


def traits_of(intent: AppIntent, component: Component) -> list[JSON]:
    """The traits as declared, then what concerns the containers that those may have added."""
    if component.published:
        return [*_as_declared(component), _named(intent, component)]
    declared = [(type_, given) for type_, given in component.traits.items() if type_ != _SECURITY]
    added = (*_security(component), *_patched(component), _marked(intent, component))
    return [{"type": type_, "properties": given} for type_, given in (*declared, *added)]


def _as_declared(component: Component) -> Iterator[JSON]:
    for type_, given in component.traits.items():
        yield {"type": type_, "properties": given}


def _named(intent: AppIntent, component: Component) -> JSON:
    """Whose it is; what else its definition makes of it is the operator's who has published it."""
    head = {"metadata": {"labels": {**intent.labels, **labels_of(intent, component)}}}
    return {"type": "json-merge-patch", "properties": head}


def _security(component: Component) -> Iterator[tuple[str, JSON]]:
    """One for the container of the component, and for its sidecar as native delivery has it."""
    if component.type == "cron-task":
        return
    own = {**_HARDENED, **_asked(component)}
    sidecar = component.traits.get("sidecar")
    if sidecar is None:
        yield _SECURITY, own
        return
    named = ((component.name, own), (sidecar["name"], _HARDENED))
    yield _SECURITY, {"containers": [{"containerName": name, **each} for name, each in named]}


def _asked(component: Component) -> JSON:
    """Only ever stricter than without the trait, as on plain Kubernetes."""
    asked = component.traits.get(_SECURITY)
    if asked is None:
        return {}
    return {"runAsNonRoot": True, **asked, "dropCapabilities": _DROP_ALL}


def _patched(component: Component) -> Iterator[tuple[str, JSON]]:
    """The containers that the trait does not reach; there is one of each at most."""
    places = []
    if component.type == "cron-task":
        places.append(f"{_CRON_POD}/containers/0")
    if "init-container" in component.traits:
        places.append(f"{_POD}/initContainers/0")
    if places:
        adding = ({"op": "add", "path": f"{place}/securityContext"} for place in places)
        yield "json-patch", {"operations": [{**each, "value": _CONTEXT} for each in adding]}


def _marked(intent: AppIntent, component: Component) -> tuple[str, JSON]:
    """Whose the workload and its pods are, and what holds for its pods as a whole."""
    labels = labels_of(intent, component)
    meta: JSON = {"labels": labels}
    if noted := secrets_of(intent, component):
        meta["annotations"] = noted
    template = {"metadata": meta, "spec": _pod(intent, component)}
    spec: JSON = {"template": template}
    if component.type == "cron-task":
        spec = {"jobTemplate": {"spec": spec}}
    head: JSON = {"labels": {**intent.labels, **labels}}
    if component.type == "task":
        declared = [component.properties, dict(component.traits), template]
        head["annotations"] = {RUN: digest(declared)}
    return "json-merge-patch", {"metadata": head, "spec": spec}


def _pod(intent: AppIntent, component: Component) -> JSON:
    spec: JSON = {
        "automountServiceAccountToken": "service-account" in component.traits,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    }
    return spec | ({"nodeSelector": dict(intent.node_selector)} if intent.node_selector else {})
