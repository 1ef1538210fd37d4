"""What components may be: every refusal says where and why."""

import copy

import pytest

from delivery.rules.problems import MAX_COMPONENTS, component_problems
from delivery.rules.types import COMPONENT_TYPES, TRAIT_TYPES
from tests.delivery.samples import component, with_traits

HTTP = {"httpGet": {"path": "/healthz", "port": 8080}}
FULL = {
    "imagePullPolicy": "IfNotPresent",
    "cmd": ["/bin/serve"],
    "env": [{"name": "MODE", "value": "prod"}, {"name": "EMPTY"}],
    "cpu": "500m",
    "memory": "256Mi",
    "livenessProbe": {**HTTP, "periodSeconds": 5, "failureThreshold": 3},
    "readinessProbe": {"tcpSocket": {"port": 8080}, "successThreshold": 2},
}
WEB = {
    **FULL,
    "args": ["--port", "8080"],
    "ports": [
        {"port": 8080, "expose": True},
        {"port": 8080, "protocol": "UDP"},
        {"port": 9090, "name": "metrics"},
    ],
    "labels": {"team": "checkout", "example.com/tier": "front"},
    "annotations": {"example.com/note": "two words"},
}


def where(components) -> dict[str, str]:
    """The code of each problem by its JSON pointer."""
    return {
        "".join(f"/{part}" for part in path): code
        for path, code, _ in component_problems(components)
    }


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(component(), id="an image is enough"),
        pytest.param(component(**WEB), id="every property of a webservice"),
        pytest.param(component("jobs", "worker", **FULL), id="every property of a worker"),
        pytest.param(component(image="registry.example.com:5000/a/b@sha256:0f"), id="a digest"),
        pytest.param(component(cpu="0.5", memory="1.5Gi"), id="decimals"),
        pytest.param(component(readinessProbe={"exec": {"command": ["ls"]}}), id="an exec probe"),
        pytest.param(with_traits(component(), scaler={}), id="scaler: one replica unless told"),
        pytest.param(with_traits(component(), scaler={"replicas": 0}), id="scaled to nothing"),
        pytest.param(
            with_traits(component(), env={"env": {"A.b-c_d": "x"}, "unset": ["B"]}), id="env trait"
        ),
        pytest.param(
            with_traits(component(), resource={"cpu": 0.5, "memory": "1Gi"}), id="resource trait"
        ),
        pytest.param(
            with_traits(
                component(),
                resource={
                    "requests": {"cpu": "250m", "memory": "1Gi"},
                    "limits": {"cpu": 1, "memory": "2Gi"},
                },
            ),
            id="each side on its own",
        ),
        pytest.param(
            with_traits(component("7zip"), scaler={"replicas": 2}), id="a digit first, no Service"
        ),
    ],
)
def test_it_accepts(declared):
    assert component_problems([declared]) == []


@pytest.mark.parametrize(
    ("properties", "pointer", "code"),
    [
        pytest.param({"image": ""}, "image", "pattern", id="no image"),
        pytest.param({"image": "nginx latest"}, "image", "pattern", id="a space in the image"),
        pytest.param({"image": "nginx\n"}, "image", "pattern", id="a final newline"),
        pytest.param({"image": "../../etc"}, "image", "pattern", id="a path for an image"),
        pytest.param({"image": 7}, "image", "type", id="a number for an image"),
        pytest.param({"image": "a" * 513}, "image", "maxLength", id="an endless image"),
        pytest.param({"imagePullPolicy": "Maybe"}, "imagePullPolicy", "enum", id="pull policy"),
        pytest.param({"cmd": "ls -l"}, "cmd", "type", id="a command line for a list"),
        pytest.param({"args": [1]}, "args/0", "type", id="a number for an argument"),
        pytest.param({"env": {"A": "b"}}, "env", "type", id="a map for env"),
        pytest.param({"env": [{"value": "x"}]}, "env/0/name", "required", id="nameless variable"),
        pytest.param({"env": [{"name": "1A"}]}, "env/0/name", "pattern", id="a digit first"),
        pytest.param({"env": [{"name": "A=B"}]}, "env/0/name", "pattern", id="'=' in a name"),
        pytest.param(
            {"env": [{"name": "A", "value": 5}]}, "env/0/value", "type", id="a number for a value"
        ),
        pytest.param(
            {"env": [{"name": "A", "valueFrom": {}}]},
            "env/0/valueFrom",
            "minProperties",
            id="a value from nowhere",
        ),
        pytest.param(
            {"env": [{"name": "A"}, {"name": "A"}]}, "env/1/name", "repeated", id="variable twice"
        ),
        pytest.param({"cpu": 1}, "cpu", "type", id="a number for CPUs"),
        pytest.param({"cpu": "0"}, "cpu", "pattern", id="no CPU at all"),
        pytest.param({"cpu": "-1"}, "cpu", "pattern", id="less than no CPU"),
        pytest.param({"cpu": "1e3"}, "cpu", "pattern", id="an exponent"),
        pytest.param({"memory": "lots"}, "memory", "pattern", id="no amount of memory"),
        pytest.param({"memory": "256MB"}, "memory", "pattern", id="a suffix of another trade"),
        pytest.param({"ports": [{}]}, "ports/0/port", "required", id="a port without a number"),
        pytest.param({"ports": [{"port": 0}]}, "ports/0/port", "minimum", id="port 0"),
        pytest.param({"ports": [{"port": 70000}]}, "ports/0/port", "maximum", id="port 70000"),
        pytest.param({"ports": [{"port": "80"}]}, "ports/0/port", "type", id="a port in quotes"),
        pytest.param({"ports": [{"port": True}]}, "ports/0/port", "type", id="true for a port"),
        pytest.param(
            {"ports": [{"port": 80, "protocol": "HTTP"}]}, "ports/0/protocol", "enum", id="protocol"
        ),
        pytest.param(
            {"ports": [{"port": 80, "name": "99"}]}, "ports/0/name", "pattern", id="no letter"
        ),
        pytest.param(
            {"ports": [{"port": 80}, {"port": 80, "name": "web"}]},
            "ports/1/port",
            "repeated",
            id="port twice",
        ),
        pytest.param(
            {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]},
            "ports/1/name",
            "repeated",
            id="port name twice",
        ),
        pytest.param({"livenessProbe": {}}, "livenessProbe", "oneOf", id="a probe of nothing"),
        pytest.param(
            {"livenessProbe": {**HTTP, "tcpSocket": {"port": 1}}},
            "livenessProbe",
            "oneOf",
            id="a probe of two",
        ),
        pytest.param(
            {"livenessProbe": {**HTTP, "successThreshold": 2}},
            "livenessProbe/successThreshold",
            "maximum",
            id="alive twice",
        ),
        pytest.param(
            {"readinessProbe": {"httpGet": {"path": "/", "port": 80, "host": "169.254.169.254"}}},
            "readinessProbe/httpGet/host",
            "unknown",
            id="the node's agent is no proxy",
        ),
        pytest.param({"port": 80}, "port", "unknown", id="the deprecated port"),
        pytest.param({"hostNetwork": True}, "hostNetwork", "unknown", id="hostNetwork"),
        pytest.param({"volumes": []}, "volumes", "unknown", id="the deprecated volumes"),
        pytest.param({"labels": {"a b": "c"}}, "labels/a b", "labels", id="a label that is none"),
        pytest.param({"labels": {"a": 5}}, "labels/a", "labels", id="a number for a label"),
        pytest.param(
            {"annotations": {"a/b/c": "d"}}, "annotations/a/b/c", "annotations", id="annotation"
        ),
        pytest.param({"labels": []}, "labels", "type", id="a list for labels"),
    ],
)
def test_it_points_at_a_wrong_property(properties, pointer, code):
    declared = component(**properties)
    assert where([component("fine"), declared]) == {f"/1/properties/{pointer}": code}


@pytest.mark.parametrize(
    ("trait", "properties", "pointer", "code"),
    [
        pytest.param("scaler", {"replicas": -1}, "replicas", "minimum", id="fewer than none"),
        pytest.param("scaler", {"replicas": 1001}, "replicas", "maximum", id="too many replicas"),
        pytest.param("scaler", {"replicas": 1.5}, "replicas", "type", id="half a replica"),
        pytest.param("scaler", {"min": 1}, "min", "unknown", id="no autoscaler"),
        pytest.param("env", {}, "env", "required", id="env of nothing"),
        pytest.param("env", {"env": {"A": None}}, "env/A", "type", id="null for a value"),
        pytest.param("env", {"env": {"9": "x"}}, "env/9", "name", id="a digit for a name"),
        pytest.param("env", {"env": {}, "unset": ["="]}, "unset/0", "pattern", id="unset '='"),
        pytest.param("env", {"env": {}, "containers": []}, "containers", "unknown", id="others"),
        pytest.param("resource", {}, "", "oneOf", id="nothing at all"),
        pytest.param("resource", {"cpu": 1}, "", "oneOf", id="KubeVela would ignore half of it"),
        pytest.param(
            "resource",
            {"cpu": 1, "memory": "1Gi", "limits": {"cpu": 1, "memory": "1Gi"}},
            "",
            "oneOf",
            id="KubeVela would ignore cpu and memory",
        ),
        pytest.param(
            "resource",
            {"requests": {"cpu": 1}},
            "requests/memory",
            "required",
            id="KubeVela would fill in 2048Mi",
        ),
        pytest.param(
            "resource", {"cpu": 1, "memory": "1K"}, "memory", "pattern", id="no such suffix"
        ),
        pytest.param("resource", {"cpu": 0, "memory": "1Gi"}, "cpu", "anyOf", id="no CPU"),
        pytest.param(
            "resource",
            {
                "requests": {"cpu": 2, "memory": "1Gi"},
                "limits": {"cpu": "1500m", "memory": "1Gi"},
            },
            "",
            "greedy",
            id="requests over limits",
        ),
    ],
)
def test_it_points_at_a_wrong_trait(trait, properties, pointer, code):
    declared = with_traits(component(), **{trait: properties})
    at = f"/0/traits/0/properties/{pointer}".removesuffix("/")
    assert where([declared]) == {at: code}


def test_it_compares_a_trait_with_the_properties_it_overrides():
    limits = {"limits": {"cpu": "100m", "memory": "1Gi"}}
    declared = with_traits(component(cpu="1"), scaler={}, resource=limits)
    assert where([declared]) == {"/0/traits/1/properties": "greedy"}


@pytest.mark.parametrize(
    ("components", "pointer", "code"),
    [
        pytest.param([], "", "required", id="none"),
        pytest.param({}, "", "required", id="a map"),
        pytest.param(None, "", "required", id="null"),
        pytest.param(["web"], "/0", "type", id="a text for a component"),
        pytest.param([{"type": "worker"}], "/0/name", "required", id="nameless"),
        pytest.param([{"name": "web"}], "/0/type", "required", id="typeless"),
        pytest.param(
            [{"name": "web", "type": "worker"}], "/0/properties/image", "required", id="no image"
        ),
        pytest.param([component("Web")], "/0/name", "name", id="a capital"),
        pytest.param([component("a--b")], "/0/name", "name", id="two dashes"),
        pytest.param([component("a" * 64)], "/0/name", "name", id="64 characters"),
        pytest.param([component("web\n")], "/0/name", "name", id="a final newline"),
        pytest.param([component("../web")], "/0/name", "name", id="a path"),
        pytest.param([component(), component()], "/1/name", "repeated", id="a name twice"),
        pytest.param(
            [component("7up", ports=[{"port": 80, "expose": True}])],
            "/0/name",
            "name",
            id="no Service may be called so",
        ),
        pytest.param([{**component(), "inputs": []}], "/0/inputs", "unknown", id="unknown"),
        pytest.param(
            [component(str(number) + "x") for number in range(MAX_COMPONENTS + 1)],
            "",
            "too_many",
            id="31 components",
        ),
        pytest.param(
            [{**component(), "traits": [{"type": "scaler"}, {"type": "scaler"}]}],
            "/0/traits/1/type",
            "repeated",
            id="a trait twice",
        ),
    ],
)
def test_it_points_at_a_wrong_frame(components, pointer, code):
    assert where(components) == {pointer: code}


def test_it_reports_every_wrong_component_at_once():
    components = [component(image=""), component("fine"), component("Bad"), component("x", "job")]
    assert where(components) == {
        "/0/properties/image": "pattern",
        "/2/name": "name",
        "/3/type": "type",
    }


def test_it_leaves_what_it_judges_as_it_is():
    declared = [with_traits(component(**WEB), scaler={"replicas": 2})]
    before = copy.deepcopy(declared)
    component_problems(declared)
    assert declared == before


_CONTAINER = {"image", "imagePullPolicy", "imagePullSecrets", "cmd", "env", "cpu", "memory"}
_PROBED = _CONTAINER | {"livenessProbe", "readinessProbe"}
_SERVED = {
    *(*_PROBED, "args", "labels", "annotations", "ports", "port", "exposeType"),
    *("addRevisionLabel", "volumeMounts", "volumes", "hostAliases"),
}
_RUN = _PROBED | {"labels", "annotations", "count", "restart", "volumes"}
# Read from KubeVela's definitions of the same names: properties that mean the same there.
KUBEVELA = {
    **dict.fromkeys(("webservice", "statefulset", "daemon"), _SERVED),
    "worker": _PROBED | {"volumeMounts", "volumes"},
    "task": _RUN,
    "cron-task": {
        *(*_RUN, "volumeMounts", "hostAliases", "schedule", "startingDeadlineSeconds"),
        *("suspend", "concurrencyPolicy", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"),
        *("ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit"),
    },
    "scaler": {"replicas"},
    "hpa": {"min", "max", "targetAPIVersion", "targetKind", "cpu", "mem", "podCustomMetrics"},
    "env": {"containerName", "replace", "env", "unset", "containers"},
    "resource": {"cpu", "memory", "requests", "limits"},
    "expose": {"port", "ports", "annotations", "matchLabels", "type"},
    "gateway": {
        *("domain", "http", "class", "classInSpec", "secretName", "gatewayHost", "name"),
        *("pathType", "annotations", "labels", "existingServiceName"),
    },
    "storage": {"pvc", "configMap", "secret", "emptyDir", "hostPath"},
    "sidecar": {
        *("name", "image", "cmd", "args", "env", "volumes", "livenessProbe", "readinessProbe"),
    },
    "init-container": {
        *("name", "image", "imagePullPolicy", "cmd", "args", "env", "mountName"),
        *("appMountPath", "initMountPath", "extraVolumeMounts"),
    },
    "startup-probe": {
        *("containerName", "exec", "httpGet", "grpc", "tcpSocket", "initialDelaySeconds"),
        *("periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"),
        *("terminationGracePeriodSeconds", "probes"),
    },
    "service-account": {"name", "create", "privileges"},
    "affinity": {"podAffinity", "podAntiAffinity", "nodeAffinity", "tolerations"},
    "securitycontext": {
        *("containerName", "addCapabilities", "dropCapabilities", "allowPrivilegeEscalation"),
        *("privileged", "readOnlyRootFilesystem", "runAsNonRoot", "runAsUser", "runAsGroup"),
        "containers",
    },
}


@pytest.mark.parametrize("type_", [*COMPONENT_TYPES, *TRAIT_TYPES])
def test_it_knows_no_property_that_kubevela_does_not_know(type_):
    schema = (COMPONENT_TYPES | TRAIT_TYPES)[type_]
    assert set(schema.get("properties", {})) <= KUBEVELA.get(type_, set())
