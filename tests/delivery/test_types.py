"""Every type of component with every trait: accepted, or refused by name."""

import pytest

from delivery.adapters.native import NativeApps
from delivery.rules.problems import component_problems
from delivery.rules.types import CARRIERS, COMPONENT_TYPES, TRAIT_TYPES
from reconcile.values import Wanted
from tests.delivery.bodies import CRON, HPA, INIT, MOUNTS, REF, TRAITS
from tests.delivery.samples import component, intent, with_traits

ADAPTER = NativeApps()
NEEDED = {"cron-task": {"schedule": "@daily"}}
SERVED = ("webservice", "statefulset", "daemon")


def of_type(type_: str, **properties: object):
    return component("web", type_, **NEEDED.get(type_, {}), **properties)


def bearing(type_: str, trait: str):
    """The component with the trait, which aims at what the component is."""
    properties = TRAITS[trait]
    if (type_, trait) == ("statefulset", "hpa"):
        properties = {**properties, "targetKind": "StatefulSet"}
    return with_traits(of_type(type_), **{trait: properties})


def where(*components) -> dict[str, str]:
    """The code of each problem by its JSON pointer."""
    return {
        "".join(f"/{part}" for part in path): code
        for path, code, _ in component_problems(list(components))
    }


PAIRS = [(type_, trait) for type_ in COMPONENT_TYPES for trait in TRAIT_TYPES]


@pytest.mark.parametrize(
    ("type_", "trait"), PAIRS, ids=[f"{type_} with {trait}" for type_, trait in PAIRS]
)
def test_a_trait_is_borne_or_refused_by_name(type_, trait):
    declared = bearing(type_, trait)
    if type_ not in CARRIERS[trait]:
        assert where(declared)["/0/traits/0/type"] == "carrier"
        return
    assert where(declared) == {}
    plain, rendered = (ADAPTER.render(intent(each)) for each in (of_type(type_), declared))
    assert rendered != plain, "the trait does nothing"
    assert all(Wanted.of(body, ADAPTER.kinds) for body in rendered)


def test_the_tables_know_each_other():
    assert set(TRAITS) == set(TRAIT_TYPES) == set(CARRIERS)
    assert {name for bearers in CARRIERS.values() for name in bearers} == set(COMPONENT_TYPES)


@pytest.mark.parametrize("type_", [*SERVED, "worker", "cron-task"])
def test_volumes_are_mounted_by_properties(type_):
    assert where(of_type(type_, volumeMounts=MOUNTS)) == {}
    host = {"hostPath": [{"name": "a", "mountPath": "/a", "path": "/"}]}
    pointer = "/0/properties/volumeMounts/hostPath"
    assert where(of_type(type_, volumeMounts=host)) == {pointer: "unknown"}


VOLUMES = {
    "a claim": ({"type": "pvc", "claimName": "data"}, None),
    "a secret": ({"type": "secret", "secretName": "keys", "defaultMode": 0o400}, None),
    "memory": ({"type": "emptyDir", "medium": "Memory"}, None),
    "a node's folder": ({"type": "hostPath", "path": "/"}, "oneOf"),
    "no type": ({"claimName": "data"}, "oneOf"),
    "a claim without a name": ({"type": "pvc"}, "oneOf"),
}


@pytest.mark.parametrize(("volume", "code"), VOLUMES.values(), ids=VOLUMES)
def test_a_task_has_volumes(volume, code):
    found = where(of_type("task", volumes=[{"name": "v", "mountPath": "/v", **volume}]))
    assert found == ({"/0/properties/volumes/0": code} if code else {})


def test_every_property_of_a_cron_task():
    assert where(component("often", "cron-task", **CRON)) == {}


SCHEDULES = {
    "five fields": ("0 4 1-7 * MON", True),
    "steps": ("*/15 0,12 * * ?", True),
    "a name": ("@hourly", True),
    "four fields": ("0 4 * *", False),
    "six fields": ("0 0 4 * * *", False),
    "another time zone": ("TZ=UTC 0 4 * * *", False),
    "never": ("@reboot", False),
    "a new line": ("0 4 * * *\n", False),
    "nothing": ("", False),
}


@pytest.mark.parametrize(("schedule", "fine"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_is_one_of_cron(schedule, fine):
    found = where(component("often", "cron-task", schedule=schedule))
    assert found == ({} if fine else {"/0/properties/schedule": "pattern"})


SOURCES = {
    "a secret": ({"valueFrom": {"secretKeyRef": REF}}, None),
    "a config map": ({"valueFrom": {"configMapKeyRef": REF}}, None),
    "both": ({"valueFrom": {"secretKeyRef": REF, "configMapKeyRef": REF}}, "/valueFrom"),
    "a value besides": ({"value": "x", "valueFrom": {"secretKeyRef": REF}}, ""),
    "a field of the pod": ({"valueFrom": {"fieldRef": {}}}, "/valueFrom/fieldRef"),
    "no key": ({"valueFrom": {"secretKeyRef": {"name": "a"}}}, "/valueFrom/secretKeyRef/key"),
    "optional": (
        {"valueFrom": {"secretKeyRef": {**REF, "optional": True}}},
        "/valueFrom/secretKeyRef/optional",
    ),
}


@pytest.mark.parametrize(("source", "pointer"), SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("type_", COMPONENT_TYPES)
def test_variables_come_from_objects_of_the_project(type_, source, pointer):
    found = where(of_type(type_, env=[{"name": "A", **source}]))
    assert list(found) == ([] if pointer is None else [f"/0/properties/env/0{pointer}"])


def refused(trait: str, change: dict, pointer: str, code: str, name: str):
    return pytest.param(trait, change, pointer, code, id=f"{trait}: {name}")


CLAIM = {"name": "a", "mountPath": "/a"}
LEAN = {"name": "a", "mountOnly": True, "mountPath": "/a"}
NODE = {"key": "disk", "operator": "In"}
FAR = {"topologyKey": "zone", "namespaces": ["kube-system"]}


@pytest.mark.parametrize(
    ("trait", "change", "pointer", "code"),
    [
        refused("hpa", {"min": 5}, "max", "greedy", "more at least than at most"),
        refused("hpa", {"targetKind": "StatefulSet"}, "targetKind", "target", "another kind"),
        refused("hpa", {"targetKind": "Pod"}, "targetKind", "enum", "no such kind"),
        refused("hpa", {"max": 0}, "max", "minimum", "none at most"),
        refused("securitycontext", {"privileged": True}, "privileged", "enum", "privileged"),
        refused(
            "securitycontext",
            {"allowPrivilegeEscalation": True},
            "allowPrivilegeEscalation",
            "enum",
            "escalation",
        ),
        refused(
            "securitycontext",
            {"addCapabilities": ["SYS_ADMIN"]},
            "addCapabilities/0",
            "enum",
            "admin",
        ),
        refused("securitycontext", {"runAsNonRoot": False}, "runAsNonRoot", "enum", "as root"),
        refused("securitycontext", {"runAsUser": 0}, "runAsUser", "minimum", "user 0"),
        refused("securitycontext", {"seccompProfile": {}}, "seccompProfile", "unknown", "seccomp"),
        refused("service-account", {"name": "kubenova-deployer"}, "name", "pattern", "ours"),
        refused("service-account", {"name": "a:b"}, "name", "pattern", "no name"),
        refused("service-account", {"create": True}, "create", "enum", "a new one"),
        refused("service-account", {"privileges": []}, "privileges", "unknown", "rights"),
        refused("storage", {"hostPath": []}, "hostPath", "unknown", "a node's folder"),
        refused(
            "storage", {"pvc": [{**CLAIM, "volumeName": "pv"}]}, "pvc/0/volumeName", "unknown", "pv"
        ),
        refused(
            "storage",
            {"secret": [{**LEAN, "mountOnly": False}]},
            "secret/0/mountOnly",
            "enum",
            "a new secret",
        ),
        refused(
            "storage",
            {"secret": [{**LEAN, "data": {}}]},
            "secret/0/data",
            "unknown",
            "secret values",
        ),
        refused(
            "storage",
            {"configMap": [{"name": "kubenova-rules"}]},
            "configMap/0/name",
            "taken",
            "our own",
        ),
        refused(
            "storage",
            {"configMap": [{"name": "a", "mountOnly": True, "data": {}}]},
            "configMap/0/data",
            "conflict",
            "data of others",
        ),
        refused(
            "storage",
            {"pvc": [{**CLAIM, "mountPath": "/a/../../etc"}]},
            "pvc/0/mountPath",
            "pattern",
            "out of a folder",
        ),
        refused(
            "storage", {"pvc": [CLAIM, {**CLAIM, "name": "b"}]}, "pvc/1", "repeated", "one place"
        ),
        refused(
            "storage", {"pvc": [{**CLAIM, "subPath": "../x"}]}, "pvc/0/subPath", "pattern", "up"
        ),
        refused(
            "sidecar", {"volumes": [{"name": "x", "path": "/x"}]}, "volumes/0/name", "unknown", "x"
        ),
        refused("sidecar", {"name": "web"}, "name", "repeated", "the component's name"),
        refused(
            "sidecar", {"env": [{"name": "A"}, {"name": "A"}]}, "env/1/name", "repeated", "twice"
        ),
        refused("init-container", INIT, "extraVolumeMounts/0/name", "unknown", "no such volume"),
        refused("init-container", {"appMountPath": "etc"}, "appMountPath", "pattern", "relative"),
        refused("gateway", {"domain": "a b"}, "domain", "pattern", "no domain"),
        refused("gateway", {"http": {}}, "http", "minProperties", "no path"),
        refused("gateway", {"http": {"x": 80}}, "http/x", "name", "a relative path"),
        refused("gateway", {"http": {"/": "80"}}, "http//", "type", "a port in quotes"),
        refused(
            "gateway", {"annotations": {"a b": "c"}}, "annotations/a b", "annotations", "annotation"
        ),
        refused("expose", {"ports": []}, "ports", "minItems", "no ports"),
        refused("expose", {"type": "ExternalName"}, "type", "enum", "another name"),
        refused("expose", {"matchLabels": {}}, "matchLabels", "unknown", "others' pods"),
        refused(
            "expose",
            {"ports": [{"port": 80, "nodePort": 30080}]},
            "ports/0/nodePort",
            "conflict",
            "a port of nodes without them",
        ),
        refused(
            "expose", {"ports": [{"port": 80}, {"port": 80}]}, "ports/1/port", "repeated", "twice"
        ),
        refused(
            "affinity", {"tolerations": [{}]}, "tolerations/0/key", "required", "whatever taint"
        ),
        refused(
            "affinity",
            {"tolerations": [{"key": "node-role.kubernetes.io/control-plane"}]},
            "tolerations/0/key",
            "reserved",
            "the control plane",
        ),
        refused(
            "affinity",
            {"podAffinity": {"required": [FAR]}},
            "podAffinity/required/0/namespaces",
            "unknown",
            "other namespaces",
        ),
        refused(
            "affinity",
            {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [NODE]}]}}},
            "nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values",
            "values",
            "in nothing",
        ),
        refused("labels", {"a b": "c"}, "a b", "labels", "no label"),
        refused("labels", {"kubenova.io/app": "x"}, "kubenova.io/app", "reserved", "ours"),
        refused("annotations", {"a": None}, "a", "annotations", "null"),
        refused("startup-probe", {"tcpSocket": {"port": 1}}, "tcpSocket", "unknown", "a socket"),
        refused("startup-probe", {"exec": {"command": ["a"]}}, "", "oneOf", "two ways"),
    ],
)
def test_a_wrong_trait_is_refused_where_it_is_wrong(trait, change, pointer, code):
    declared = with_traits(of_type("webservice"), **{trait: TRAITS[trait] | change})
    at = f"/0/traits/0/properties/{pointer}" if pointer else "/0/traits/0/properties"
    assert where(declared).get(at) == code


def test_traits_that_contradict_each_other_or_the_component():
    both = with_traits(component(), scaler={}, hpa=HPA)
    assert where(both) == {"/0/traits/1/type": "conflict"}
    exposed = component(ports=[{"port": 80, "expose": True}])
    assert where(with_traits(exposed, expose={"ports": [{"port": 81}]})) == {
        "/0/traits/0/type": "conflict"
    }
    port = {"port": 80, "expose": True, "nodePort": 30080}
    found = where(component("web", "statefulset", ports=[port]))
    assert found == {"/0/properties/ports/0/nodePort": "conflict"}
    assert where(component("web", "statefulset", ports=[port], exposeType="NodePort")) == {}
    assert where(with_traits(component("7up"), expose={"ports": [{"port": 81}]})) == {
        "/0/name": "name"
    }


def test_an_object_is_made_by_one_trait_alone():
    one, two = (
        with_traits(component(name), storage={"pvc": [{"name": "data", "mountPath": "/d"}]})
        for name in ("one", "two")
    )
    assert where(one, two) == {"/1/traits/0/properties/pvc/0/name": "repeated"}
    two["traits"][0]["properties"]["pvc"][0]["mountOnly"] = True
    assert where(one, two) == {}


def waiting(**waits: list[str]):
    return [{**component(name), "dependsOn": names} for name, names in waits.items()]


CHAINS = {
    "a chain": ({"a": [], "b": ["a"], "c": ["a", "b"]}, []),
    "nobody": ({"a": ["z"]}, ["/0/dependsOn/0"]),
    "itself": ({"a": ["a"]}, ["/0/dependsOn/0"]),
    "each other": ({"a": ["b"], "b": ["a"]}, ["/0/dependsOn/0", "/1/dependsOn/0"]),
    "a circle, and one beside it": (
        {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]},
        ["/0/dependsOn/0", "/1/dependsOn/0", "/2/dependsOn/0"],
    ),
    "twice": ({"a": [], "b": ["a", "a"]}, ["/1/dependsOn/1"]),
}


@pytest.mark.parametrize(("waits", "pointers"), CHAINS.values(), ids=CHAINS)
def test_components_wait_for_known_ones_and_never_in_circles(waits, pointers):
    assert where(*waiting(**waits)) == dict.fromkeys(pointers, "depends")


def test_a_wait_for_no_text_is_refused_where_it_stands():
    assert where({**component(), "dependsOn": [5]}) == {"/0/dependsOn/0": "type"}
    assert where({**component(), "dependsOn": "web"}) == {"/0/dependsOn": "type"}
