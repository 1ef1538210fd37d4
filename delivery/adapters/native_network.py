"""What makes components reachable and scales them: Services, Ingresses, autoscalers. Pure."""

from collections.abc import Iterator

from clusters.kinds import HORIZONTAL_POD_AUTOSCALER, INGRESS, SERVICE
from delivery.adapters.native_pods import meta_of, selector_of
from delivery.adapters.native_workloads import WORKLOADS
from delivery.intents import AppIntent, Component, Port
from reconcile.values import JSON

_CLASS = "kubernetes.io/ingress.class"
_UTILIZATION: JSON = {"type": "Utilization", "value": 50}


def services_of(intent: AppIntent, component: Component) -> Iterator[JSON]:
    """Yield the Service of a component with exposed ports, by whatever way they are exposed."""
    ports = _exposed(component)
    if not ports:
        return
    expose = component.traits.get("expose", {})
    type_ = expose.get("type") or component.properties.get("exposeType", "ClusterIP")
    meta = meta_of(intent, component)
    if annotations := expose.get("annotations"):
        meta["annotations"] = dict(annotations)
    spec = {
        "type": type_,
        "selector": selector_of(component),
        "ports": [_service_port(port) for port in ports],
    }
    yield {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.name,
        "metadata": meta,
        "spec": spec,
    }


def _exposed(component: Component) -> list[Port]:
    """The ports of its Service: one's own, then those of the traits that are not among them."""
    own = [port for port in component.ports if port.exposed]
    own += [Port.of(port) for port in component.traits.get("expose", {}).get("ports", ())]
    known = {port.number for port in own if port.protocol == "TCP"}
    paths = component.traits.get("gateway", {}).get("http", {})
    behind = sorted({number for number in paths.values() if number not in known})
    return [*own, *(Port.of({"port": number}) for number in behind)]


def _service_port(port: Port) -> JSON:
    found = {
        "name": port.name,
        "port": port.number,
        "targetPort": port.target,
        "protocol": port.protocol,
    }
    return found | ({"nodePort": port.node_port} if port.node_port else {})


def ingresses_of(intent: AppIntent, component: Component) -> Iterator[JSON]:
    """Yield the Ingress of a component that has a gateway."""
    gateway = component.traits.get("gateway")
    if gateway is None:
        return
    meta, class_ = meta_of(intent, component), gateway.get("class", "nginx")
    meta["labels"] = {**gateway.get("labels", {}), **meta["labels"]}
    annotations, spec = dict(gateway.get("annotations", {})), {"rules": [_rule(component, gateway)]}
    if gateway.get("classInSpec"):
        spec["ingressClassName"] = class_
    else:
        annotations[_CLASS] = class_
    if annotations:
        meta["annotations"] = annotations
    if secret := gateway.get("secretName"):
        spec["tls"] = [{"hosts": [gateway["domain"]], "secretName": secret}]
    yield {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.name,
        "metadata": meta,
        "spec": spec,
    }


def _rule(component: Component, gateway: JSON) -> JSON:
    path_type = gateway.get("pathType", "ImplementationSpecific")
    paths = [
        {
            "path": path,
            "pathType": path_type,
            "backend": {"service": {"name": component.name, "port": {"number": number}}},
        }
        for path, number in sorted(gateway["http"].items())
    ]
    return {"host": gateway["domain"], "http": {"paths": paths}}


def autoscalers_of(intent: AppIntent, component: Component) -> Iterator[JSON]:
    """Yield the autoscaler of a component; it owns the replicas from its first act on."""
    hpa = component.traits.get("hpa")
    if hpa is None:
        return
    kind = WORKLOADS[component.type]
    spec = {
        "scaleTargetRef": {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "name": component.name,
        },
        "minReplicas": hpa.get("min", 1),
        "maxReplicas": hpa.get("max", 10),
        "metrics": list(_metrics(hpa)),
    }
    yield {
        "apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version,
        "kind": HORIZONTAL_POD_AUTOSCALER.name,
        "metadata": meta_of(intent, component),
        "spec": spec,
    }


def _metrics(hpa: JSON) -> Iterator[JSON]:
    """CPU counts always, as with KubeVela."""
    wanted = {"cpu": hpa.get("cpu", {}), "memory": hpa.get("mem")}
    for name, target in wanted.items():
        if target is not None:
            yield {"type": "Resource", "resource": {"name": name, "target": _target(target)}}
    for metric in hpa.get("podCustomMetrics", ()):
        target = {"type": "AverageValue", "averageValue": metric["value"]}
        yield {"type": "Pods", "pods": {"metric": {"name": metric["name"]}, "target": target}}


def _target(declared: JSON) -> JSON:
    target = _UTILIZATION | declared
    if target["type"] == "Utilization":
        return {"type": "Utilization", "averageUtilization": target["value"]}
    return {"type": "AverageValue", "averageValue": str(target["value"])}
