"""One body of an app, two adapters: what is declared means the same to each.

The table holds every type of component with every trait that it can bear. Natively each becomes
objects; for KubeVela it stays what was declared, and what comes on top is what native delivery does
of itself: marks, hardening, nodes, versions of secrets.
"""

import pytest

from delivery.adapters import APPS
from delivery.adapters.native import NativeApps
from delivery.adapters.native_workloads import WORKLOADS
from delivery.intents import Component
from delivery.rules.problems import component_problems
from delivery.rules.types import CARRIERS, COMPONENT_TYPES
from reconcile.values import JSON
from tests.delivery.bodies import CRON, EXPOSE, MOUNTS, PROBE, TRAITS
from tests.delivery.samples import component, intent, with_traits

LIVE = {key: PROBE[key] for key in ("httpGet", "periodSeconds")}
BODIES: dict[str, JSON] = {
    "webservice": component(ports=[{"port": 80}], volumeMounts=MOUNTS, livenessProbe=LIVE),
    "worker": component("web", "worker", cpu="100m", memory="64Mi"),
    "statefulset": component("web", "statefulset", ports=[{"port": 80, "containerPort": 81}]),
    "daemon": component("web", "daemon", args=["-v"]),
    "task": component("web", "task", count=2, restart="OnFailure"),
    "cron-task": component("web", "cron-task", **CRON),
}
TABLE = [
    pytest.param(with_traits(BODIES[type_], **{trait: TRAITS[trait]}), id=f"{type_} {trait}")
    for trait, carriers in CARRIERS.items()
    for type_ in carriers
    if trait != "hpa" or type_ != "statefulset"  # its hpa aims at a StatefulSet
]
ADDED = {"securitycontext", "json-patch", "json-merge-patch"}


def for_kubevela(declared: JSON, **rest: object) -> JSON:
    (application,) = APPS["delivery.kubevela"].render(intent(declared, **rest))
    (found,) = application["spec"]["components"]
    return found


def for_kubernetes(declared: JSON, **rest: object) -> JSON:
    """The workload of a component."""
    kind = WORKLOADS[declared["type"]].name
    bodies = NativeApps().render(intent(declared, **rest))
    (found,) = (body for body in bodies if body["kind"] == kind)
    return found


def template_of(workload: JSON) -> JSON:
    spec = workload["spec"]
    return spec.get("jobTemplate", {"spec": spec})["spec"]["template"]


def test_the_table_holds_every_type_and_every_trait():
    assert set(BODIES) == set(COMPONENT_TYPES)
    assert {trait for trait in TRAITS} == set(CARRIERS)


@pytest.mark.parametrize("declared", TABLE)
def test_a_body_is_valid_and_reaches_kubevela_without_a_loss(declared):
    assert component_problems([declared]) == []
    found = for_kubevela(declared)
    assert (found["name"], found["type"]) == (declared["name"], declared["type"])
    assert found["properties"] == declared["properties"]
    traits = {each["type"]: each["properties"] for each in found["traits"]}
    for each in declared["traits"]:
        given, expected = traits[each["type"]], each["properties"]
        if each["type"] == "securitycontext":
            expected = {**expected, "dropCapabilities": ["ALL"]}
        assert given == expected
    assert set(traits) - {each["type"] for each in declared["traits"]} <= ADDED


@pytest.mark.parametrize("declared", TABLE)
def test_the_workload_bears_the_same_name(declared):
    name = for_kubernetes(declared)["metadata"]["name"]
    if declared["type"] == "task":  # natively another Job takes the place of one that changes
        name = name.rpartition("-")[0]
    assert name == for_kubevela(declared)["name"]


EVERY_TYPE = [pytest.param(body, id=type_) for type_, body in BODIES.items()]


@pytest.mark.parametrize("declared", EVERY_TYPE)
def test_pods_get_the_same_on_top(declared):
    rest = {"node_selector": {"pool": "acme"}, "secrets": {"keys": 4}}
    native = template_of(for_kubernetes(declared, **rest))
    traits = {each["type"]: each["properties"] for each in for_kubevela(declared, **rest)["traits"]}
    patch = template_of(traits["json-merge-patch"])
    assert patch["metadata"]["labels"].items() <= native["metadata"]["labels"].items()
    for key, value in patch["metadata"].get("annotations", {}).items():
        assert native["metadata"]["annotations"][key] == value
    for key, value in patch["spec"].items():
        assert native["spec"][key] == value
    assert set(native["spec"]) - set(patch["spec"]) <= {
        *("containers", "restartPolicy", "volumes"),
    }


@pytest.mark.parametrize("declared", EVERY_TYPE)
def test_containers_are_hardened_alike(declared):
    (container,) = template_of(for_kubernetes(declared))["spec"]["containers"]
    native = container["securityContext"]
    traits = {each["type"]: each["properties"] for each in for_kubevela(declared)["traits"]}
    if declared["type"] == "cron-task":
        (patch,) = traits["json-patch"]["operations"]
        assert patch["value"] == native
        return
    given = traits["securitycontext"]
    assert given["dropCapabilities"] == native["capabilities"]["drop"]
    assert given["allowPrivilegeEscalation"] is native["allowPrivilegeEscalation"] is False
    off = {key for key in ("privileged", "readOnlyRootFilesystem", "runAsNonRoot") if given[key]}
    assert off == set() == off & set(native)


def test_both_count_the_same_replicas():
    declared = with_traits(component(), expose=EXPOSE, scaler={"replicas": 3})
    found = {name: each.assess(intent(declared), {}).parts for name, each in APPS.items()}
    assert {name: parts[0].wanted for name, parts in found.items()} == dict.fromkeys(APPS, 3)
    assert Component.of(declared).replicas == 3
