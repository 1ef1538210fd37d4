"""What traits and types are rendered to on plain Kubernetes."""

import pytest

from delivery.adapters.native import NativeApps
from reconcile.values import JSON
from tests.delivery.bodies import (
    AFFINITY,
    CRON,
    EXPOSE,
    GATEWAY,
    HPA,
    INIT,
    MOUNTS,
    REF,
    SECURITY,
    SIDECAR,
    STORAGE,
    TRAITS,
)
from tests.delivery.samples import NAMESPACE, component, intent, with_traits

ADAPTER = NativeApps()
HARDENED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
KINDS = {
    "webservice": "Deployment",
    "worker": "Deployment",
    "statefulset": "StatefulSet",
    "daemon": "DaemonSet",
    "task": "Job",
    "cron-task": "CronJob",
}


def rendered(declared: JSON, **rest: object) -> dict[str, JSON]:
    """What is rendered for a component, by kind and name; a Job without its hash."""
    found = {}
    for body in ADAPTER.render(intent(declared, **rest)):
        name = body["metadata"]["name"]
        found[f"{body['kind']}/{'web' if body['kind'] == 'Job' else name}"] = body
    return found


def of_type(type_: str, **properties: object) -> JSON:
    needed = {"schedule": "@daily"} if type_ == "cron-task" else {}
    return component("web", type_, **needed, **properties)


def template(declared: JSON, **rest: object) -> JSON:
    kind = KINDS[declared["type"]]
    spec = rendered(declared, **rest)[f"{kind}/web"]["spec"]
    return (spec["jobTemplate"]["spec"] if kind == "CronJob" else spec)["template"]


def pod(**traits: JSON) -> JSON:
    return template(with_traits(component(), **traits))["spec"]


@pytest.mark.parametrize("type_", KINDS)
def test_every_pod_is_hardened_and_knows_whose_it_is(type_):
    found = template(of_type(type_), node_selector={"pool": "acme"})
    spec = found["spec"]
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["automountServiceAccountToken"] is False
    assert [each["securityContext"] for each in spec["containers"]] == [HARDENED]
    assert spec["nodeSelector"] == {"pool": "acme"}
    assert found["metadata"]["labels"]["kubenova.io/component"] == "web"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()


@pytest.mark.parametrize("type_", [type_ for type_ in KINDS if type_ != "cron-task"])
def test_no_trait_weakens_any_container(type_):
    traits = {name: TRAITS[name] for name in ("sidecar", "init-container", "storage")}
    spec = template(with_traits(of_type(type_), **traits))["spec"]
    contexts = [each["securityContext"] for each in spec["containers"] + spec["initContainers"]]
    assert contexts == [HARDENED] * 3
    assert all("hostPath" not in volume for volume in spec["volumes"])


def test_securitycontext_is_stricter_or_as_strict():
    (container,) = pod(securitycontext=SECURITY)["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
    }
    (lean,) = pod(securitycontext={})["containers"]
    assert lean["securityContext"] == {**HARDENED, "runAsNonRoot": True}


def test_a_stateful_set_names_its_service_and_a_daemon_set_no_replicas():
    sets = rendered(with_traits(of_type("statefulset"), scaler={"replicas": 3}))
    spec = sets["StatefulSet/web"]["spec"]
    assert (spec["replicas"], spec["serviceName"]) == (3, "web")
    assert "replicas" not in rendered(of_type("daemon"))["DaemonSet/web"]["spec"]


def test_a_service_leads_to_the_port_of_the_container():
    ports = [{"port": 80, "containerPort": 8080, "expose": True, "nodePort": 30080}]
    found = rendered(of_type("statefulset", ports=ports, exposeType="NodePort"))
    assert found["Service/web"]["spec"]["type"] == "NodePort"
    assert found["Service/web"]["spec"]["ports"] == [
        {
            "name": "port-8080",
            "port": 80,
            "targetPort": 8080,
            "protocol": "TCP",
            "nodePort": 30080,
        }
    ]
    (container,) = found["StatefulSet/web"]["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "port-8080", "containerPort": 8080, "protocol": "TCP"}]


def job_name(**rest: object) -> str:
    properties = {key: rest.pop(key) for key in ("image", "count") if key in rest}
    (body,) = ADAPTER.render(intent(component("once", "task", **properties), **rest))
    assert body["kind"] == "Job"
    return body["metadata"]["name"]


def test_a_changed_task_is_another_job_and_an_unchanged_one_the_same():
    first = job_name()
    assert first.startswith("once-") and len(first) == len("once-") + 8
    assert job_name(revision=9, labels={"a": "b"}) == first
    assert len({first, job_name(image="nginx:2"), job_name(count=2)}) == 3
    (long,) = ADAPTER.render(intent(component("a" * 63, "task")))
    assert len(long["metadata"]["name"]) == 63


def test_a_task_runs_as_often_as_it_says():
    spec = rendered(of_type("task", count=3, restart="OnFailure"))["Job/web"]["spec"]
    assert (spec["parallelism"], spec["completions"]) == (3, 3)
    assert spec["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert template(of_type("task"))["spec"]["restartPolicy"] == "Never"


def test_a_cron_task_keeps_what_it_says_and_else_what_kubevela_says():
    spec = rendered(component("web", "cron-task", **CRON))["CronJob/web"]["spec"]
    job = spec.pop("jobTemplate")
    assert spec == {
        "schedule": "*/5 * * * *",
        "startingDeadlineSeconds": 60,
        "suspend": False,
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 0,
    }
    assert job["metadata"]["annotations"] == {"example.com/a": "b"}
    job["spec"].pop("template")
    assert job["spec"] == {
        "parallelism": 2,
        "completions": 2,
        "ttlSecondsAfterFinished": 60,
        "activeDeadlineSeconds": 600,
        "backoffLimit": 2,
    }
    lean = rendered(of_type("cron-task"))["CronJob/web"]["spec"]
    assert (lean["concurrencyPolicy"], lean["successfulJobsHistoryLimit"]) == ("Allow", 3)
    assert (lean["failedJobsHistoryLimit"], lean["jobTemplate"]["spec"]["backoffLimit"]) == (1, 6)


def test_an_autoscaler_aims_at_the_component_and_begins_where_it_may_go_no_lower():
    found = rendered(with_traits(component(), hpa=HPA))
    assert found["Deployment/web"]["spec"]["replicas"] == 2
    spec = found["HorizontalPodAutoscaler/web"]["spec"]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    assert spec["scaleTargetRef"] == target
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 4)
    cpu, memory, pods = spec["metrics"]
    assert cpu["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 60},
    }
    assert memory["resource"]["target"] == {"type": "AverageValue", "averageValue": "500000000"}
    assert pods["pods"]["metric"] == {"name": "requests"}
    lean = rendered(with_traits(component(), hpa={}))["HorizontalPodAutoscaler/web"]["spec"]
    (metric,) = lean["metrics"]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    assert (lean["minReplicas"], lean["maxReplicas"]) == (1, 10)


def test_expose_makes_the_service():
    found = rendered(with_traits(component(), expose=EXPOSE))["Service/web"]
    assert found["metadata"]["annotations"] == {"example.com/note": "x"}
    assert [(port["name"], port["port"], port["protocol"]) for port in found["spec"]["ports"]] == [
        ("port-9090", 9090, "TCP"),
        ("dns", 53, "UDP"),
    ]


def test_a_gateway_is_an_ingress_to_the_service_of_the_component():
    exposed = component(ports=[{"port": 80, "expose": True}])
    found = rendered(with_traits(exposed, gateway=GATEWAY))
    assert [port["port"] for port in found["Service/web"]["spec"]["ports"]] == [80, 8080]
    spec = found["Ingress/web"]["spec"]
    assert spec["ingressClassName"] == "traefik"
    assert spec["tls"] == [{"hosts": ["shop.example.org"], "secretName": "certificate"}]
    (rule,) = spec["rules"]
    paths = [
        (each["path"], each["pathType"], each["backend"]["service"]["port"]["number"])
        for each in rule["http"]["paths"]
    ]
    assert (rule["host"], paths) == (
        "shop.example.org",
        [("/", "Prefix", 80), ("/api", "Prefix", 8080)],
    )
    lean = {"domain": "a.example.org", "http": {"/": 80}}
    meta = rendered(with_traits(component(), gateway=lean))["Ingress/web"]["metadata"]
    assert meta["annotations"] == {"kubernetes.io/ingress.class": "nginx"}


def test_storage_makes_objects_mounts_them_and_reads_them():
    found = rendered(with_traits(component(), storage=STORAGE))
    assert set(found) == {"ConfigMap/settings", "PersistentVolumeClaim/files", "Deployment/web"}
    assert found["ConfigMap/settings"]["data"] == {"MODE": "prod", "b.ini": "x=1"}
    claim = found["PersistentVolumeClaim/files"]
    assert claim["metadata"]["namespace"] == NAMESPACE
    assert claim["spec"]["storageClassName"] == "fast"
    spec = found["Deployment/web"]["spec"]["template"]["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == [
        *("configmap-settings", "emptydir-cache", "pvc-files", "pvc-others", "secret-token"),
    ]
    (container,) = spec["containers"]
    assert container["volumeMounts"][2] == {
        "name": "pvc-files",
        "mountPath": "/files",
        "subPath": "a/b",
    }
    assert container["volumeMounts"][0]["readOnly"] is True
    assert container["env"] == [
        {"name": "MODE", "valueFrom": {"configMapKeyRef": REF}},
        {"name": "MODE2", "valueFrom": {"configMapKeyRef": REF}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}},
    ]


def test_a_claim_that_says_nothing_is_what_kubevela_makes_of_it():
    storage = {"pvc": [{"name": "data", "mountPath": "/data"}]}
    found = rendered(with_traits(component(), storage=storage))["PersistentVolumeClaim/data"]
    assert found["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": "8Gi"}},
    }


def test_properties_mount_volumes():
    spec = template(component(volumeMounts=MOUNTS))["spec"]
    assert spec["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "others"}},
        {"name": "conf", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "tmp", "emptyDir": {"medium": "Memory"}},
    ]
    (container,) = spec["containers"]
    assert container["volumeMounts"][1] == {"name": "conf", "mountPath": "/conf", "subPath": "x"}


def test_a_sidecar_and_an_init_container_share_volumes():
    sidecar = SIDECAR | {"volumes": [{"name": "shared", "path": "/seen"}]}
    found = pod(**{"sidecar": sidecar, "init-container": INIT, "storage": STORAGE})
    web, log = found["containers"]
    (init,) = found["initContainers"]
    assert {"name": "shared", "mountPath": "/srv"} in web["volumeMounts"]
    assert log["volumeMounts"] == [{"name": "shared", "mountPath": "/seen"}]
    assert log["env"] == [
        {"name": "A", "value": ""},
        {"name": "B", "valueFrom": {"secretKeyRef": REF}},
    ]
    assert init["imagePullPolicy"] == "Always"
    assert init["volumeMounts"] == [
        {"name": "shared", "mountPath": "/out"},
        {"name": "configmap-settings", "mountPath": "/in"},
    ]
    assert {"name": "shared", "emptyDir": {}} in found["volumes"]


def test_labels_and_annotations_reach_the_workload_and_its_pods():
    declared = with_traits(of_type("daemon"), **{key: TRAITS[key] for key in ("labels",)})
    declared["traits"].append({"type": "annotations", "properties": {"example.com/a": "b"}})
    body = rendered(declared)["DaemonSet/web"]
    for meta in (body["metadata"], body["spec"]["template"]["metadata"]):
        assert meta["labels"]["team"] == "checkout"
        assert meta["annotations"]["example.com/a"] == "b"
    assert body["metadata"]["annotations"]["kubenova.io/revision"] == "3"


def test_affinity_is_put_in_the_words_of_a_pod():
    found = pod(affinity=AFFINITY)
    when = "preferredDuringSchedulingIgnoredDuringExecution"
    assert found["affinity"] == {
        "nodeAffinity": {when: AFFINITY["nodeAffinity"]["preferred"]},
        "podAntiAffinity": {when: AFFINITY["podAntiAffinity"]["preferred"]},
    }
    assert found["tolerations"] == AFFINITY["tolerations"]


def test_an_account_of_the_project_brings_its_token():
    found = pod(**{"service-account": {"name": "builder"}})
    assert (found["serviceAccountName"], found["automountServiceAccountToken"]) == ("builder", True)


def test_a_value_from_a_secret_is_overridden_and_unset_like_any_other():
    env = [{"name": "A", "valueFrom": {"secretKeyRef": REF}}, {"name": "B", "value": "b"}]
    kept, _ = template(component(env=env))["spec"]["containers"][0]["env"]
    assert kept == {"name": "A", "valueFrom": {"secretKeyRef": REF}}
    trait = {"env": {"A": "plain"}, "unset": ["B"]}
    (container,) = template(with_traits(component(env=env), env=trait))["spec"]["containers"]
    assert container["env"] == [{"name": "A", "value": "plain"}]
