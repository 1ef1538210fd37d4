"""Apps on plain Kubernetes: what is rendered, and how its status is judged."""

import json

import pytest

from delivery.adapters.native import DEPLOYMENT, SERVICE, NativeApps
from reconcile.values import Wanted
from tests.delivery.samples import (
    NAMESPACE,
    component,
    intent,
    with_traits,
)

ADAPTER = NativeApps()


def rendered(*declared, **rest):
    """What is rendered for these components, by kind and name."""
    found = ADAPTER.render(intent(*declared, **rest))
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


def container_of(declared):
    (found,) = rendered(declared)["Deployment", declared["name"]]["spec"]["template"]["spec"][
        "containers"
    ]
    return found


def pod_of(**rest):
    return rendered(component(), **rest)["Deployment", "web"]["spec"]["template"]["spec"]


def test_pods_select_the_nodes_of_their_tenant_and_any_node_where_it_has_none():
    assert pod_of(node_selector={"pool": "acme"})["nodeSelector"] == {"pool": "acme"}
    assert "nodeSelector" not in pod_of()


def test_it_renders_a_deployment_that_is_complete():
    found = rendered(component(), labels={"team": "checkout"})["Deployment", "web"]
    identity = {
        "app.kubernetes.io/name": "web",
        "app.kubernetes.io/part-of": "site",
        "kubenova.io/tenant": "acme",
        "kubenova.io/project": "shop",
        "kubenova.io/app": "site",
        "kubenova.io/component": "web",
    }
    assert found == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": NAMESPACE,
            "labels": {"team": "checkout", **identity},
            "annotations": {"kubenova.io/revision": "3"},
        },
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": 300,
            "selector": {"matchLabels": {"kubenova.io/component": "web"}},
            "template": {
                "metadata": {"labels": identity},
                "spec": {
                    "automountServiceAccountToken": False,
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {
                            "name": "web",
                            "image": "nginx:1.27",
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                },
            },
        },
    }


def test_it_renders_a_service_for_exposed_ports_alone():
    ports = [
        {"port": 80, "name": "http", "expose": True},
        {"port": 53, "protocol": "UDP", "expose": True},
        {"port": 9090},
    ]
    found = rendered(component(ports=ports))
    assert found["Service", "web"]["spec"] == {
        "type": "ClusterIP",
        "selector": {"kubenova.io/component": "web"},
        "ports": [
            {"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"},
            {"name": "port-53-udp", "port": 53, "targetPort": 53, "protocol": "UDP"},
        ],
    }
    assert container_of(component(ports=ports))["ports"] == [
        {"name": "http", "containerPort": 80, "protocol": "TCP"},
        {"name": "port-53-udp", "containerPort": 53, "protocol": "UDP"},
        {"name": "port-9090", "containerPort": 9090, "protocol": "TCP"},
    ]


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(component(), id="no port"),
        pytest.param(component(ports=[{"port": 80}]), id="nothing exposed"),
        pytest.param(component(ports=[{"port": 80, "expose": False}]), id="exposed: false"),
        pytest.param(component(type_="worker"), id="worker"),
    ],
)
def test_it_renders_no_service_without_exposed_ports(declared):
    assert list(rendered(declared)) == [("Deployment", "web")]


@pytest.mark.parametrize(
    ("properties", "field", "value"),
    [
        pytest.param({"image": "a:2"}, "image", "a:2", id="image"),
        pytest.param({"imagePullPolicy": "Always"}, "imagePullPolicy", "Always", id="policy"),
        pytest.param({"cmd": ["a", "b"]}, "command", ["a", "b"], id="cmd"),
        pytest.param({"args": ["-v"]}, "args", ["-v"], id="args"),
        pytest.param(
            {"env": [{"name": "B", "value": "1"}, {"name": "A"}]},
            "env",
            [{"name": "B", "value": "1"}, {"name": "A", "value": ""}],
            id="env in order",
        ),
        pytest.param(
            {"cpu": "1"}, "resources", {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}, id="cpu"
        ),
        pytest.param(
            {"cpu": "1", "memory": "1Gi"},
            "resources",
            {
                "requests": {"cpu": "1", "memory": "1Gi"},
                "limits": {"cpu": "1", "memory": "1Gi"},
            },
            id="cpu and memory",
        ),
        pytest.param(
            {"livenessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 5}},
            "livenessProbe",
            {"tcpSocket": {"port": 1}, "periodSeconds": 5},
            id="livenessProbe",
        ),
        pytest.param(
            {"readinessProbe": {"exec": {"command": ["ls"]}}},
            "readinessProbe",
            {"exec": {"command": ["ls"]}},
            id="readinessProbe",
        ),
    ],
)
def test_it_renders_properties(properties, field, value):
    assert container_of(component(**properties))[field] == value


@pytest.mark.parametrize(
    ("trait", "expected"),
    [
        pytest.param({"env": {"B": "2", "A": "1"}}, ["X=x", "Y=y", "A=1", "B=2"], id="added"),
        pytest.param({"env": {"X": "new"}}, ["X=new", "Y=y"], id="overridden in place"),
        pytest.param({"env": {}, "unset": ["X"]}, ["Y=y"], id="unset"),
        pytest.param({"env": {"A": "1"}, "replace": True}, ["A=1"], id="replaced"),
        pytest.param({"env": {"A": "1"}, "unset": ["A"]}, ["X=x", "Y=y"], id="unset beats env"),
        pytest.param({"env": {}, "replace": True}, [], id="replaced by nothing"),
    ],
)
def test_it_applies_the_env_trait_as_kubevela_does(trait, expected):
    own = [{"name": "X", "value": "x"}, {"name": "Y", "value": "y"}]
    found = container_of(with_traits(component(env=own), env=trait))
    assert [f"{item['name']}={item['value']}" for item in found.get("env", [])] == expected


BOTH = {"cpu": "2", "memory": "2Gi"}


@pytest.mark.parametrize(
    ("trait", "requests", "limits"),
    [
        pytest.param(BOTH, BOTH, BOTH, id="both sides"),
        pytest.param(
            {"cpu": 0.25, "memory": "1Gi"},
            {"cpu": "250m", "memory": "1Gi"},
            {"cpu": "250m", "memory": "1Gi"},
            id="a number of CPUs",
        ),
        pytest.param({"limits": BOTH}, {"cpu": "1"}, BOTH, id="limits alone"),
        pytest.param(
            {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": BOTH},
            {"cpu": "500m", "memory": "1Gi"},
            BOTH,
            id="each side",
        ),
    ],
)
def test_it_applies_the_resource_trait(trait, requests, limits):
    found = container_of(with_traits(component(cpu="1"), resource=trait))["resources"]
    assert found == {"requests": requests, "limits": limits}


@pytest.mark.parametrize(
    ("trait", "replicas"),
    [({"replicas": 5}, 5), ({"replicas": 0}, 0), ({}, 1)],
    ids=["five", "none", "unsaid"],
)
def test_it_applies_the_scaler_trait(trait, replicas):
    found = rendered(with_traits(component(), scaler=trait))["Deployment", "web"]
    assert found["spec"]["replicas"] == replicas


def test_labels_and_annotations_of_a_webservice_go_to_its_pods():
    labels = {"team": "checkout", "kubenova.io/app": "forged"}
    declared = component(labels=labels, annotations={"example.com/a": "b"})
    meta = rendered(declared)["Deployment", "web"]["spec"]["template"]["metadata"]
    assert meta["labels"]["team"] == "checkout"
    assert meta["labels"]["kubenova.io/app"] == "site"
    assert meta["annotations"] == {"example.com/a": "b"}


def test_labels_of_the_app_and_its_revision_restart_no_pods():
    before = rendered(component(), labels={"a": "1"}, revision=1)["Deployment", "web"]
    after = rendered(component(), labels={"a": "2"}, revision=2)["Deployment", "web"]
    assert before["metadata"] != after["metadata"]
    assert before["spec"] == after["spec"]


def test_the_selector_never_changes():
    full = with_traits(component(labels={"kubenova.io/component": "x"}), scaler={"replicas": 3})
    for declared in (component(), component(type_="worker"), full):
        found = rendered(declared, revision=9, labels={"a": "b"})["Deployment", "web"]["spec"]
        assert found["selector"] == {"matchLabels": {"kubenova.io/component": "web"}}
        assert found["template"]["metadata"]["labels"]["kubenova.io/component"] == "web"


def test_the_health_deadline_is_the_progress_deadline():
    spec = rendered(component(), health_deadline=30)["Deployment", "web"]["spec"]
    assert spec["progressDeadlineSeconds"] == 30


def test_it_renders_the_same_again_whatever_the_order_of_keys():
    declared = with_traits(
        component(env=[{"name": "A", "value": "1"}]), env={"env": {"B": "2", "C": "3"}}
    )
    turned = json.loads(json.dumps(declared, sort_keys=True))
    turned["traits"][0]["properties"]["env"] = {"C": "3", "B": "2"}
    assert ADAPTER.render(intent(declared)) == ADAPTER.render(intent(turned))
    again = [Wanted.of(item, ADAPTER.kinds).hash for item in ADAPTER.render(intent(declared))]
    assert again == [Wanted.of(item, ADAPTER.kinds).hash for item in ADAPTER.render(intent(turned))]


def test_everything_it_renders_is_of_its_kinds_and_in_the_namespace():
    declared = [component(ports=[{"port": 80, "expose": True}]), component("jobs", "worker")]
    found = [Wanted.of(item, ADAPTER.kinds).ref for item in ADAPTER.render(intent(*declared))]
    assert [(ref.kind, ref.name) for ref in found] == [
        (DEPLOYMENT, "web"),
        (DEPLOYMENT, "jobs"),
        (SERVICE, "web"),
    ]
    assert {ref.namespace for ref in found} == {NAMESPACE}
