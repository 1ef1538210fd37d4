"""What contradicts itself, another part or the API server in components that fit their schemas."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from delivery.intents import Component
from delivery.rules.published_types import BEARABLE
from delivery.rules.schema import Path, Problem, within
from delivery.rules.types import CARRIERS
from delivery.rules.volumes import WORKDIR, made_by, volumes_of
from reconcile.spelling import (
    annotation_faults,
    label_faults,
    label_key_fault,
    reserved,
    sentence,
)
from reconcile.values import JSON
from tenancy.rules.quantities import parse

# Objects that a namespace has already, and whose names begin so.
_TAKEN = ("kube-root-ca.crt", "openshift-service-ca.crt")
_OURS = "kubenova"


def meaning_problems(declared: JSON) -> Iterator[Problem]:
    """Yield what is wrong with one component beyond its schemas; paths lead from the component."""
    component = judged(Component.of(declared))
    places = {trait["type"]: index for index, trait in enumerate(declared.get("traits", []))}
    found = chain.from_iterable(check(component) for check in _CHECKS)
    for path, code, text in found:
        if path[:1] == ("traits",):
            path = ("traits", places[str(path[1])], *path[2:])
        yield Problem(path, code, text)


def judged(component: Component) -> Component:
    """Leave out what is of published types: what it means their definitions know alone."""
    traits = {name: each for name, each in component.traits.items() if name in CARRIERS}
    properties = {} if component.published else component.properties
    return replace(component, properties=properties, traits=traits)


def _carried(component: Component) -> Iterator[Problem]:
    """Traits that the type of the component has no place for, and those that exclude each other."""
    for name in component.traits:
        if component.published:
            if name not in BEARABLE:
                text = f"Of our own traits it can bear {' and '.join(sorted(BEARABLE))} alone."
                yield Problem(("traits", name, "type"), "carrier", text)
            continue
        bearers = CARRIERS[name]
        if component.type not in bearers:
            text = f"A {component.type} cannot bear it. These can: {', '.join(bearers)}."
            yield Problem(("traits", name, "type"), "carrier", text)
    if {"scaler", "hpa"} <= component.traits.keys():
        text = "scaler and hpa both say how many replicas there are. Use one of them."
        yield Problem(("traits", "hpa", "type"), "conflict", text)
    if "expose" in component.traits and any(port.exposed for port in component.ports):
        text = "Its ports are exposed already, and a component has one Service. Use either."
        yield Problem(("traits", "expose", "type"), "conflict", text)


def _marked(component: Component) -> Iterator[Problem]:
    """Labels and annotations, wherever they stand."""
    traits = component.traits
    yield from within(("properties",), _pairs(component.properties))
    for name, faults in (("labels", label_faults), ("annotations", annotation_faults)):
        for key, fault in faults(traits.get(name, {})).items():
            path = ("traits", name, "properties")
            yield Problem((*path, key) if key else path, name, sentence(key, fault))
    for name in ("expose", "gateway"):
        yield from within(("traits", name, "properties"), _pairs(traits.get(name, {})))


def _pairs(properties: JSON) -> Iterator[Problem]:
    for key, faults in (("labels", label_faults), ("annotations", annotation_faults)):
        for name, fault in faults(properties.get(key, {})).items():
            yield Problem((key, name) if name else (key,), key, sentence(name, fault))


def _env(component: Component) -> Iterator[Problem]:
    names = [item["name"] for item in component.properties.get("env", [])]
    yield from within(("properties", "env"), twice(names, "name"))
    for trait in ("sidecar", "init-container"):
        names = [item["name"] for item in component.traits.get(trait, {}).get("env", [])]
        yield from within(("traits", trait, "properties", "env"), twice(names, "name"))


def _ports(component: Component) -> Iterator[Problem]:
    ports, own = component.ports, ("properties", "ports")
    yield from within(own, twice([port.name for port in ports], "name"))
    yield from within(own, twice([(port.number, port.protocol) for port in ports], "port"))
    exposed = component.traits.get("expose", {}).get("ports", [])
    place = ("traits", "expose", "properties", "ports")
    yield from within(place, twice([port.get("name") for port in exposed], "name"))
    numbers = [(port["port"], port.get("protocol", "TCP")) for port in exposed]
    yield from within(place, twice(numbers, "port"))
    served = any(port.exposed for port in ports) or component.traits.keys() & {"expose", "gateway"}
    if component.name[:1].isdigit() and served:
        text = "The name must start with a letter: a Service with exposed ports bears it."
        yield Problem(("name",), "name", text)


def _node_ports(component: Component) -> Iterator[Problem]:
    """A port of nodes is quietly ignored where the Service is not on them."""
    text = "Only a Service of type NodePort has ports on nodes."
    if component.properties.get("exposeType") != "NodePort":
        for index, port in enumerate(component.properties.get("ports", [])):
            if "nodePort" in port:
                yield Problem(("properties", "ports", index, "nodePort"), "conflict", text)
    expose = component.traits.get("expose", {})
    if expose.get("type") != "NodePort":
        for index, port in enumerate(expose.get("ports", [])):
            if "nodePort" in port:
                path = ("traits", "expose", "properties", "ports", index, "nodePort")
                yield Problem(path, "conflict", text)


def _greedy(component: Component) -> Iterator[Problem]:
    """The API server refuses to ask for more than the limit; only a trait can say so."""
    requests, limits = (component.resources.get(side, {}) for side in ("requests", "limits"))
    for key in requests.keys() & limits.keys():
        if parse(requests[key]) > parse(limits[key]):
            text = f"The requests of {key} are more than its limits allow."
            yield Problem(("traits", "resource", "properties"), "greedy", text)


def _scaled(component: Component) -> Iterator[Problem]:
    """An autoscaler has room to act in, and aims at what the component is."""
    hpa = component.traits.get("hpa")
    if hpa is None:
        return
    place = ("traits", "hpa", "properties")
    if hpa.get("min", 1) > hpa.get("max", 10):
        yield Problem((*place, "max"), "greedy", "It is less than min (1 unless given).")
    target = "StatefulSet" if component.type == "statefulset" else "Deployment"
    if hpa.get("targetKind", "Deployment") != target:
        text = f"A {component.type} is a {target}: use targetKind {target}."
        yield Problem((*place, "targetKind"), "target", text)


def _mounted(component: Component) -> Iterator[Problem]:
    """Each place in a container holds one volume, and a name stands for one volume."""
    places: set[str] = set()
    sources: dict[str, JSON] = {}
    for volume in volumes_of(component):
        place = volume.mount_path.rstrip("/")
        if place in places:
            yield Problem(volume.where, "repeated", "Another volume is mounted there.")
        if sources.setdefault(volume.name, volume.source) != volume.source:
            yield Problem(volume.where, "repeated", "Another volume has this name.")
        places.add(place)


def _containers(component: Component) -> Iterator[Problem]:
    """Names of containers differ, and what they mount is there."""
    known, names = {volume.name for volume in volumes_of(component)}, {component.name}
    for trait, key in (("sidecar", "volumes"), ("init-container", "extraVolumeMounts")):
        properties = component.traits.get(trait)
        if properties is None:
            continue
        place = ("traits", trait, "properties")
        if properties["name"] in names:
            yield Problem((*place, "name"), "repeated", "Another container has this name.")
        names |= {properties["name"]}
        for index, item in enumerate(properties.get(key, ())):
            if item["name"] not in known:
                text = f"The component has no volume of this name. It has: {_words(known)}."
                yield Problem((*place, key, index, "name"), "unknown", text)
    init = component.traits.get("init-container", {})
    shared = ("traits", "init-container", "properties", "mountName")
    others = [item for item in volumes_of(component) if item.where[1:2] != ("init-container",)]
    if init and init.get("mountName", WORKDIR) in {item.name for item in others}:
        yield Problem(shared, "repeated", "Another volume has this name.")


def _words(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _made(component: Component) -> Iterator[Problem]:
    for _, name, where in made_by(component):
        if name in _TAKEN or name.startswith(_OURS):
            yield Problem(where, "taken", "This name belongs to the platform.")
    for index, item in enumerate(component.traits.get("storage", {}).get("configMap", ())):
        if item.get("mountOnly") and "data" in item:
            path = ("traits", "storage", "properties", "configMap", index, "data")
            yield Problem(path, "conflict", "What is only mounted is not written: leave out data.")


def _placed(component: Component) -> Iterator[Problem]:
    """Pods of an app keep off nodes that the platform keeps for itself or has found fault with."""
    properties = component.traits.get("affinity", {})
    for index, item in enumerate(properties.get("tolerations", ())):
        place: Path = ("traits", "affinity", "properties", "tolerations", index)
        if label_key_fault(item["key"]):
            yield Problem((*place, "key"), "key", sentence("", label_key_fault(item["key"])))
        elif reserved(item["key"]):
            yield Problem((*place, "key"), "reserved", "This taint belongs to the platform.")
        if item.get("operator") == "Exists" and item.get("value"):
            text = "With the operator Exists there is no value."
            yield Problem((*place, "value"), "conflict", text)
        if "tolerationSeconds" in item and item.get("effect") != "NoExecute":
            text = "Only the effect NoExecute is tolerated for a while."
            yield Problem((*place, "tolerationSeconds"), "conflict", text)
    yield from within(("traits", "affinity", "properties"), _expressions(properties))


def _expressions(properties: JSON) -> Iterator[Problem]:
    """Whether each expression has the values that its operator needs."""
    waiting: list[tuple[Path, Any]] = [((), properties)]
    while waiting:
        path, found = waiting.pop()
        children = found.items() if isinstance(found, dict) else enumerate(found)
        waiting += [
            ((*path, key), value) for key, value in children if isinstance(value, dict | list)
        ]
        in_list = path[-2:-1] == ("matchExpressions",) and isinstance(found, dict)
        if in_list and (text := _values_fault(found["operator"], found.get("values", []))):
            yield Problem((*path, "values"), "values", text)
        if path[-1:] == ("matchLabels",):
            for key, fault in label_faults(found).items():
                yield Problem((*path, key), "labels", sentence(key, fault))


def _values_fault(operator: str, values: Sequence[str]) -> str:
    if operator in ("In", "NotIn") and not values:
        return f"{operator} needs values."
    if operator in ("Exists", "DoesNotExist") and values:
        return f"With the operator {operator} there are no values."
    if operator in ("Gt", "Lt") and not (len(values) == 1 and values[0].isdecimal()):
        return f"{operator} needs one whole number."
    return ""


def twice(values: Sequence[object], field: str) -> Iterator[Problem]:
    """Yield each value that stands in the list before; None is no value."""
    for index, value in enumerate(values):
        if value is not None and value in values[:index]:
            yield Problem((index, field), "repeated", f"Another one has this {field}.")


_CHECKS: tuple[Callable[[Component], Iterator[Problem]], ...] = (
    *(_carried, _marked, _env, _ports, _node_ports, _greedy, _scaled),
    *(_mounted, _containers, _made, _placed),
)
