"""Apps on KubeVela: the Application that is rendered."""

import json

import pytest

from clusters.adapters.kubevela import APPLICATION
from clusters.kinds import LIMIT_RANGE, RESOURCE_QUOTA
from delivery.adapters.kubevela import PUBLISHED, KubeVelaApps, application_name
from delivery.adapters.kubevela_traits import RUN
from reconcile.spelling import label_value_fault
from reconcile.values import JSON, Live, Ref
from tests.delivery.bodies import INIT, SECURITY, SIDECAR
from tests.delivery.samples import NAMESPACE, component, intent, with_traits

ADAPTER = KubeVelaApps()
HARDENED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
MARKS = {
    "app.kubernetes.io/name": "web",
    "app.kubernetes.io/part-of": "site",
    "kubenova.io/tenant": "acme",
    "kubenova.io/project": "shop",
    "kubenova.io/app": "site",
    "kubenova.io/component": "web",
}


def application(*declared: JSON, **rest: object) -> JSON:
    (found,) = ADAPTER.render(intent(*declared, **rest))
    return found


def traits_of(declared: JSON, **rest: object) -> dict[str, JSON]:
    (found,) = application(declared, **rest)["spec"]["components"]
    return {each["type"]: each["properties"] for each in found["traits"]}


def pod_of(declared: JSON, **rest: object) -> JSON:
    """What is patched into the template of the pods."""
    spec = traits_of(declared, **rest)["json-merge-patch"]["spec"]
    return spec.get("jobTemplate", {"spec": spec})["spec"]["template"]


def test_where_nothing_is_to_run_yet_there_is_no_application():
    assert ADAPTER.render(intent(components=(), revision=0)) == []


def test_it_renders_one_application_that_is_complete():
    declared = [component(), {**component("work", "worker"), "dependsOn": ["web"]}]
    found = application(*declared, labels={"team": "checkout"}, publication="r3-7-abcdef01")
    assert (found["apiVersion"], found["kind"]) == ("core.oam.dev/v1beta1", "Application")
    assert found["metadata"] == {
        "name": "site",
        "namespace": NAMESPACE,
        "labels": {
            "team": "checkout",
            "kubenova.io/tenant": "acme",
            "kubenova.io/project": "shop",
            "kubenova.io/app": "site",
        },
        "annotations": {
            "app.oam.dev/publishVersion": "r3-7-abcdef01",
            "app.oam.dev/service-account-name": "kubenova-deployer",
        },
    }
    web, work = found["spec"]["components"]
    assert {key: web[key] for key in ("name", "type", "properties")} == {
        key: declared[0][key] for key in ("name", "type", "properties")
    }
    assert "dependsOn" not in web and work["dependsOn"] == ["web"]
    assert "policies" not in found["spec"]


def test_a_second_render_gives_the_same():
    texts = {json.dumps(application(component("a"), component("b", "task"))) for _ in range(3)}
    assert len(texts) == 1


def test_pods_are_marked_and_hardened_as_on_plain_kubernetes():
    found = traits_of(component(), labels={"team": "checkout"})
    assert found == {
        "securitycontext": {
            "allowPrivilegeEscalation": False,
            "dropCapabilities": ["ALL"],
            "privileged": False,
            "readOnlyRootFilesystem": False,
            "runAsNonRoot": False,
        },
        "json-merge-patch": {
            "metadata": {"labels": {"team": "checkout", **MARKS}},
            "spec": {
                "template": {
                    "metadata": {"labels": MARKS},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    },
                }
            },
        },
    }


def test_what_was_asked_of_security_is_kept_and_every_capability_dropped():
    found = traits_of(with_traits(component(), securitycontext=SECURITY))
    assert found["securitycontext"] == {**SECURITY, "dropCapabilities": ["ALL"]}


def test_the_trait_of_security_forbids_root_by_itself_as_with_kubevela():
    found = traits_of(with_traits(component(), securitycontext={}))
    assert found["securitycontext"]["runAsNonRoot"] is True


def test_every_container_is_hardened():
    declared = with_traits(component(), **{"sidecar": SIDECAR, "init-container": INIT})
    found = traits_of(declared)
    assert list(found)[:2] == ["sidecar", "init-container"], "a container comes before its context"
    listed = found["securitycontext"]["containers"]
    assert [each["containerName"] for each in listed] == ["web", "log"]
    assert all(each["dropCapabilities"] == ["ALL"] for each in listed)
    (patch,) = found["json-patch"]["operations"]
    assert patch == {
        "op": "add",
        "path": "/spec/template/spec/initContainers/0/securityContext",
        "value": HARDENED,
    }


def test_a_cron_task_is_hardened_where_no_trait_reaches():
    declared = component("often", "cron-task", schedule="@daily")
    found = traits_of(declared, node_selector={"pool": "acme"})
    assert "securitycontext" not in found
    (patch,) = found["json-patch"]["operations"]
    assert patch["path"] == "/spec/jobTemplate/spec/template/spec/containers/0/securityContext"
    assert pod_of(declared, node_selector={"pool": "acme"})["spec"]["nodeSelector"] == {
        "pool": "acme"
    }


def test_pods_select_the_nodes_of_their_tenant_and_any_node_where_it_has_none():
    assert pod_of(component(), node_selector={"a": "b"})["spec"]["nodeSelector"] == {"a": "b"}
    assert "nodeSelector" not in pod_of(component())["spec"]


def test_pods_restart_when_a_secret_has_another_version():
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
    one, two = (
        pod_of(component(env=env), secrets={"db": version, "other": 1})["metadata"]
        for version in (1, 2)
    )
    assert one["annotations"] == {"kubenova.io/secrets": "db=1"}
    assert two["annotations"] == {"kubenova.io/secrets": "db=2"}


def test_a_pod_has_a_token_only_with_an_account_of_its_own():
    declared = with_traits(component(), **{"service-account": {"name": "builder"}})
    assert pod_of(declared)["spec"]["automountServiceAccountToken"] is True


def test_an_autoscaler_keeps_the_replicas_that_it_has_set():
    declared = with_traits(component(), hpa={"min": 2})
    (policy,) = application(declared, component("work", "worker"))["spec"]["policies"]
    (rule,) = policy["properties"]["rules"]
    assert policy["type"] == "apply-once"
    assert rule["selector"]["componentNames"] == ["web"]
    assert rule["strategy"] == {"path": ["spec.replicas"], "affect": "always"}


def test_a_task_that_changes_runs_anew():
    def mark(image: str) -> str:
        found = traits_of(component("once", "task", image=image))["json-merge-patch"]
        return found["metadata"]["annotations"][RUN]

    assert mark("a:1") == mark("a:1") != mark("a:2")
    (policy,) = application(component("once", "task"))["spec"]["policies"]
    (rule,) = policy["properties"]["rules"]
    assert rule["strategy"]["recreateFields"] == [f"metadata.annotations.{RUN}"]


# --- Names.


@pytest.mark.parametrize("length", [1, 52, 53, 63])
def test_the_name_of_a_revision_fits_into_a_label(length):
    name = application_name("a" * length)
    assert label_value_fault(f"{name}-v{10**8}") == ""
    assert (name == "a" * length) is (length <= 52)


def test_two_long_names_never_meet():
    assert application_name("a" * 60 + "b") != application_name("a" * 60 + "c")


def test_the_version_is_told_by_the_annotation():
    found = application(publication="")["metadata"]["annotations"]
    assert found[PUBLISHED] == "r3"


# --- Types.


def test_it_names_the_types_that_a_cluster_has_to_have():
    declared = with_traits(component("once", "task"), labels={"a": "b"})
    assert dict(ADAPTER.types(intent(component(), declared))) == {
        "delivery.kubevela.component.webservice": "components.web",
        "delivery.kubevela.component.task": "components.once",
        "delivery.kubevela.trait.labels": "components.once",
        "delivery.kubevela.trait.securitycontext": "components.once",
        "delivery.kubevela.trait.json-merge-patch": "components.once",
    }


# --- Headroom.


def seen_with(components: object) -> dict[Ref, Live]:
    """The Application and the quota of the project as somebody finds them."""
    quota = Ref(RESOURCE_QUOTA, NAMESPACE, "kubenova")
    status = {"hard": {"pods": "4"}, "used": {"pods": "2"}}
    bodies = {
        Ref(APPLICATION, NAMESPACE, "site"): {"spec": {"components": components}},
        quota: {"spec": {"hard": {"pods": "4"}}, "status": status},
    }
    return {
        ref: Live(ref, {"metadata": {"name": ref.name, "uid": "u"}, **body})
        for ref, body in bodies.items()
    }


def asked(components: object, *declared: JSON) -> str:
    """What of the pods a change asks for beyond what is there."""
    wanted: dict[Ref, JSON] = {}
    rows = ADAPTER.headroom(intent(*declared), seen_with(components), wanted)
    (row,) = (each for each in rows if each.resource == "pods")
    return row.asked


def test_headroom_is_what_the_application_will_say_beyond_what_it_says():
    now = application(with_traits(component(), scaler={"replicas": 2}))["spec"]["components"]
    assert asked(now, with_traits(component(), scaler={"replicas": 3})) == "1"


@pytest.mark.parametrize(
    "components",
    [
        pytest.param(None, id="none"),
        pytest.param("x", id="a text"),
        pytest.param([1, None, {}], id="no components"),
        pytest.param([{"name": 1, "type": [], "properties": "x"}], id="odd types"),
        pytest.param(
            [{**component(), "traits": [{"type": "gateway"}, {"type": []}, 3]}], id="half a trait"
        ),
        pytest.param([component("a", "helm")], id="a type of others"),
    ],
)
def test_headroom_makes_nothing_of_what_makes_no_sense(components):
    assert asked(components, component()) == "1"


def test_it_looks_at_the_quota_and_the_defaults_of_the_project():
    assert [ref.kind for ref in ADAPTER.beside(intent())] == [RESOURCE_QUOTA, LIMIT_RANGE]
