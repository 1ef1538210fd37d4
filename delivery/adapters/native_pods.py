"""The pods of components: hardened always, whatever their traits say. Pure."""

from delivery.intents import AppIntent, Component, Port
from delivery.rules.secrets import names_used
from delivery.rules.volumes import WORKDIR, volumes_of
from reconcile.values import APP, JSON, PROJECT, TENANT

COMPONENT = "kubenova.io/component"
REVISION = "kubenova.io/revision"
SECRETS = "kubenova.io/secrets"

_COPIED = {
    "imagePullPolicy": "imagePullPolicy",
    "cmd": "command",
    "args": "args",
    "livenessProbe": "livenessProbe",
    "readinessProbe": "readinessProbe",
}
_SETTINGS = ("readOnlyRootFilesystem", "runAsUser", "runAsGroup")
_DURING = "DuringSchedulingIgnoredDuringExecution"


def labels_of(intent: AppIntent, component: Component) -> dict[str, str]:
    """What tells whose every object of a component is."""
    return {
        "app.kubernetes.io/name": component.name,
        "app.kubernetes.io/part-of": intent.name,
        TENANT: intent.tenant,
        PROJECT: intent.project,
        APP: intent.name,
        COMPONENT: component.name,
    }


def selector_of(component: Component) -> dict[str, str]:
    """Never changes, as the API server demands: the name is the workload's own."""
    return {COMPONENT: component.name}


def meta_of(intent: AppIntent, component: Component, name: str = "") -> JSON:
    """The metadata of an object of a component, which bears its name unless told otherwise."""
    return {
        "name": name or component.name,
        "namespace": intent.namespace,
        "labels": {**intent.labels, **labels_of(intent, component)},
    }


def secrets_of(intent: AppIntent, component: Component) -> dict[str, str]:
    """The annotation that restarts the pods when a secret they have variables of has changed."""
    used = names_used([component.properties, dict(component.traits)])
    told = [f"{name}={intent.secrets[name]}" for name in sorted(used & set(intent.secrets))]
    return {SECRETS: ",".join(told)} if told else {}


def template_of(intent: AppIntent, component: Component) -> JSON:
    """The template of the pods of a component.

    The trait `labels` reaches the pods of all but a cron-task, as with KubeVela.
    """
    properties, traits = component.properties, component.traits
    added = {} if component.type == "cron-task" else traits.get("labels", {})
    given = {**properties.get("labels", {}), **added}
    meta: JSON = {"labels": {**given, **labels_of(intent, component)}}
    noted = secrets_of(intent, component)
    if annotations := {
        **properties.get("annotations", {}),
        **traits.get("annotations", {}),
        **noted,
    }:
        meta["annotations"] = annotations
    return {"metadata": meta, "spec": _pod(intent, component)}


def _pod(intent: AppIntent, component: Component) -> JSON:
    account = component.traits.get("service-account")
    spec: JSON = {
        "automountServiceAccountToken": account is not None,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(component), *_sidecars(component)],
    }
    secrets = component.properties.get("imagePullSecrets", ())
    volumes = {item.name: {"name": item.name, **item.source} for item in volumes_of(component)}
    affinity = component.traits.get("affinity", {})
    optional: JSON = {
        "nodeSelector": dict(intent.node_selector),
        "serviceAccountName": account["name"] if account else "",
        "imagePullSecrets": [{"name": name} for name in secrets],
        "initContainers": _init_containers(component),
        "volumes": list(volumes.values()),
        "affinity": _affinity(affinity),
        "tolerations": [{"operator": "Equal", **item} for item in affinity.get("tolerations", ())],
    }
    if component.type in ("task", "cron-task"):
        spec["restartPolicy"] = component.properties.get("restart", "Never")
    return spec | {field: value for field, value in optional.items() if value}


def _hardened(**more: object) -> JSON:
    """What Kubernetes' restricted pod security asks for, as far as any image can live with it."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, **more}


def _container(component: Component) -> JSON:
    properties, traits = component.properties, component.traits
    container: JSON = {
        "name": component.name,
        "image": properties["image"],
        "securityContext": _security(traits.get("securitycontext")),
    }
    container |= {field: properties[key] for key, field in _COPIED.items() if key in properties}
    optional: JSON = {
        "ports": [_port(port) for port in component.ports],
        "env": component.env,
        "resources": component.resources,
        "startupProbe": traits.get("startup-probe", {}),
        "volumeMounts": [volume.mount for volume in volumes_of(component)],
    }
    return container | {field: value for field, value in optional.items() if value}


def _security(trait: JSON | None) -> JSON:
    """Only ever stricter than without the trait, but for the one capability that is harmless."""
    if trait is None:
        return _hardened()
    context = _hardened(runAsNonRoot=True)
    if added := trait.get("addCapabilities"):
        context["capabilities"] = {"add": added, "drop": ["ALL"]}
    return context | {key: trait[key] for key in _SETTINGS if key in trait}


def _port(port: Port) -> JSON:
    return {"name": port.name, "containerPort": port.target, "protocol": port.protocol}


def _beside(declared: JSON) -> JSON:
    """What sidecars and init containers have in common."""
    container: JSON = {
        "name": declared["name"],
        "image": declared["image"],
        "securityContext": _hardened(),
    }
    container |= {field: declared[key] for key, field in _COPIED.items() if key in declared}
    if env := declared.get("env"):
        container["env"] = [item if "valueFrom" in item else {"value": "", **item} for item in env]
    return container


def _sidecars(component: Component) -> list[JSON]:
    declared = component.traits.get("sidecar")
    if declared is None:
        return []
    mounts = [
        {"name": item["name"], "mountPath": item["path"]} for item in declared.get("volumes", ())
    ]
    return [_beside(declared) | ({"volumeMounts": mounts} if mounts else {})]


def _init_containers(component: Component) -> list[JSON]:
    declared = component.traits.get("init-container")
    if declared is None:
        return []
    shared = {
        "name": declared.get("mountName", WORKDIR),
        "mountPath": declared["initMountPath"],
    }
    mounts = [shared, *declared.get("extraVolumeMounts", ())]
    policy = {"imagePullPolicy": declared.get("imagePullPolicy", "IfNotPresent")}
    return [_beside(declared) | policy | {"volumeMounts": mounts}]


def _affinity(declared: JSON) -> JSON:
    """The trait's words for what has to be, and for what would be nice, in those of a pod."""
    found: JSON = {}
    for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity"):
        for when in ("required", "preferred"):
            if terms := declared.get(kind, {}).get(when):
                found.setdefault(kind, {})[f"{when}{_DURING}"] = terms
    return found
