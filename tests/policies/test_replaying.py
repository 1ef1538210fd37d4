"""What a simulation sends, and what it reads in the answer."""

import pytest

from clusters.intents import SIMULATION_NAMESPACE
from clusters.kinds import (
    DEPLOYMENT,
    JOB,
    NAMESPACE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    SERVICE,
)
from policies.rules import profiles
from policies.rules.replaying import (
    NEXT_REVISIONS,
    alone,
    broken_in,
    concerns,
    holds,
    parameters,
    replayed,
    subjects,
)
from policies.rules.values import Broken
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.values import JSON, Kind, Live, Ref
from tenancy.rules.profiles import ENFORCE
from tests.policies.simulated import HUB, containers, owned

START = "Validation failed for ValidatingAdmissionPolicy"
TOLD = "The Service type NodePort is not allowed here. Allowed: ClusterIP."
SERVICES = f"{START} 'kubenova-service-types' with binding 'kubenova-service-types-warn': {TOLD}"


def live(kind: Kind, spec: JSON, name: str = "web", **meta: object) -> Live:
    metadata = {"name": name, "namespace": "acme--shop", "uid": "u", "resourceVersion": "7", **meta}
    body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
    return Live(Ref(kind, "acme--shop", name), {**body, "status": {"replicas": 1}})


def copied(*given: Live) -> list[JSON]:
    return [each.manifest for each in subjects(given)]


def test_only_kinds_are_read_that_the_rules_concern():
    assert replayed({"service_types": ["ClusterIP"]}) == [SERVICE, NEXT_REVISIONS]
    assert DEPLOYMENT in replayed(HUB) and SERVICE not in replayed(HUB)
    assert replayed({"namespaces": {"count": 1}}) == []


def test_a_namespace_is_asked_for_a_profile_and_names_the_pods_that_break_it():
    assert replayed({"pod_security": "restricted"}) == [NAMESPACE]
    labels = {"team": "blue", ENFORCE: "baseline"}
    body = {"metadata": {"name": "acme--shop", "labels": labels, "annotations": {"a": "b"}}}
    found = profiles.asking(Live(Ref(NAMESPACE, "", "acme--shop"), body), "restricted")
    assert found["metadata"]["labels"] == {"team": "blue", ENFORCE: "restricted"}
    assert found["metadata"]["annotations"] == {"a": "b"}
    head = 'existing pods in namespace "a" violate the new PodSecurity enforce level "x:latest"'
    told = [head, "web-1 (and 2 other pods): seccompProfile", "job-2: runAsNonRoot != true"]
    named = profiles.breaking(told)
    assert named == [("web-1", "seccompProfile", 2), ("job-2", "runAsNonRoot != true", 0)]
    assert profiles.breaking(told[1:]) == [], "somebody else's warnings"
    assert list(profiles.telling(named, {})) == [
        ("web-1", "seccompProfile (and 2 other pods)"),
        ("job-2", "runAsNonRoot != true"),
    ]


@pytest.mark.parametrize(
    ("apart", "told"),
    [
        pytest.param({"b": "seccompProfile"}, ["a: {} (and 1 other pod)", "b: {}"], id="one"),
        pytest.param(
            {"b": "seccompProfile", "c": "seccompProfile", "d": ""},
            ["a: {}", "b: {}", "c: {}"],
            id="all of them, and one that breaks nothing",
        ),
        pytest.param(
            {"b": "hostPort"},
            ["a: {} (and 2 other pods)", "b: hostPort"],
            id="one that has other reasons by now",
        ),
    ],
)
def test_pods_that_were_only_counted_are_told_by_their_own_warnings(apart, told):
    found = profiles.telling([profiles.Alike("a", "seccompProfile", 2)], apart)
    assert [": ".join(each) for each in found] == [each.format("seccompProfile") for each in told]


def test_the_reasons_of_one_pod_are_worded_as_those_of_a_namespace():
    warning = (
        'would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
        '(container "main" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "main" must set '
        'securityContext.capabilities.drop=["ALL"]), seccompProfile (pod or container "main" must '
        'set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )
    told = "allowPrivilegeEscalation != false, unrestricted capabilities, seccompProfile"
    assert profiles.reasons(["something else", warning]) == told
    assert profiles.reasons(['would violate PodSecurity "baseline:latest": hostPort']) == ""
    assert profiles.reasons([]) == ""


def test_pods_that_nothing_else_makes_are_tried_alone_where_plans_are():
    bare, made = live(POD, containers("nginx")), owned("ReplicaSet", "web")
    others = [live(POD, {}, "a"), live(POD, {}, "b", ownerReferences=made)]
    (subject,) = alone([bare, *others], {"a"})
    assert (subject.name, subject.ref.namespace) == ("web", PLAN_NAMESPACE)
    assert subject.manifest["metadata"]["namespace"] == PLAN_NAMESPACE
    assert subject.manifest["kind"] == "Deployment"


def test_the_rules_warn_and_nothing_refuses():
    (hard, empty), (soft, full) = parameters(HUB)
    assert (hard.name, empty["data"]) == ("kubenova-rules", {})
    assert (soft.name, full["data"]) == (
        *("kubenova-rules-warn", {"image_registries.deny": "docker.io"}),
    )


def test_a_copy_keeps_what_people_wrote_and_lies_elsewhere():
    (copy,) = copied(live(DEPLOYMENT, {"replicas": 3}, labels={"app": "web"}))
    assert copy == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web-kn-sim",
            "namespace": SIMULATION_NAMESPACE,
            "labels": {"app": "web"},
        },
        "spec": {"replicas": 3},
    }


@pytest.mark.parametrize(
    ("kind", "spec", "left"),
    [
        (SERVICE, {"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"]}, {}),
        (SERVICE, {"clusterIP": "None"}, {"clusterIP": "None"}),
        (SERVICE, {"ports": [{"port": 80, "nodePort": 30000}]}, {"ports": [{"port": 80}]}),
        (PERSISTENT_VOLUME_CLAIM, {"volumeName": "pv-1", "volumeMode": "Block"}, None),
        (JOB, {"selector": {"matchLabels": {"controller-uid": "x"}}}, {}),
    ],
    ids=["address", "headless", "node port", "volume", "selector"],
)
def test_what_the_cluster_filled_in_is_left_out(kind, spec, left):
    (copy,) = copied(live(kind, spec))
    assert copy["spec"] == ({"volumeMode": "Block"} if left is None else left)


def test_a_job_loses_the_labels_that_the_cluster_gave_it():
    labels = {"controller-uid": "x", "batch.kubernetes.io/job-name": "web", "app": "web"}
    template = {"metadata": {"labels": labels, "creationTimestamp": None}}
    (copy,) = copied(live(JOB, {"template": template}, labels=labels))
    kept = {"app": "web"}
    assert copy["metadata"]["labels"] == copy["spec"]["template"]["metadata"]["labels"] == kept


def test_what_is_read_is_not_changed():
    given = live(SERVICE, {"clusterIP": "10.0.0.9"})
    copied(given)
    assert given.body["spec"] == {"clusterIP": "10.0.0.9"}


@pytest.mark.parametrize(
    "given",
    [
        live(POD, {**containers("nginx"), "restartPolicy": "Never", "nodeName": "n"}),
        live(REPLICA_SET, {"replicas": 1, "template": {"spec": containers("nginx")}}),
    ],
    ids=["pod", "replica set"],
)
def test_what_kubenova_may_not_make_is_tried_as_a_deployment(given):
    (subject,) = subjects([given])
    assert subject.kind == given.ref.kind.name and subject.ref.kind == DEPLOYMENT
    pod = subject.manifest["spec"]["template"]["spec"]
    assert pod == {**containers("nginx"), "restartPolicy": "Always"}


def test_a_pod_that_is_tried_as_a_deployment_keeps_its_labels_and_annotations():
    (copy,) = copied(live(POD, containers("nginx"), labels={"app": "web"}, annotations={"a": "b"}))
    meta = copy["spec"]["template"]["metadata"]
    assert meta["annotations"] == {"a": "b"}
    assert meta["labels"] == {"app": "web", **copy["spec"]["selector"]["matchLabels"]}


def test_rules_that_do_not_concern_an_object_are_not_those_of_its_copy():
    assert concerns("replicas", REPLICA_SET) and not concerns("replicas", POD)
    assert concerns("api_kinds", SERVICE) and not concerns("api_kinds", POD)
    assert concerns("host_access", POD) and not concerns("pod_security", POD)
    (copy,) = copied(live(REPLICA_SET, {"replicas": 4, "template": {"spec": containers("nginx")}}))
    assert copy["spec"]["replicas"] == 4


@pytest.mark.parametrize(
    "given",
    [
        live(POD, {}, ownerReferences=owned("ReplicaSet", "web-1")),
        live(JOB, {}, ownerReferences=owned("CronJob", "nightly", "batch/v1")),
        live(REPLICA_SET, {"replicas": 0}, ownerReferences=owned("Rollout", "web", "x.org/v1")),
        live(DEPLOYMENT, {}, deletionTimestamp="2026-01-01T00:00:00Z"),
    ],
    ids=["of a workload", "of a cron job", "emptied", "going"],
)
def test_what_is_tried_with_its_owner_or_goes_is_not_tried(given):
    assert copied(given) == []


@pytest.mark.parametrize("name", ["kubenova-proof-kubenova-service-types", "a" * 63, "a-" * 31])
def test_no_copy_is_called_as_a_proof_is_or_too_long(name):
    (copy,) = copied(live(SERVICE, {}, name))
    made = copy["metadata"]["name"]
    assert not made.startswith("kubenova-proof-") and len(made) <= 52
    assert made.endswith("-kn-sim") and "--kn" not in made


def test_an_answer_names_every_rule_that_is_broken():
    others = ["would violate PodSecurity", f"{START} 'x' with binding 'x-warn': no", "Deprecated"]
    assert broken_in([SERVICES, *others]) == [Broken("service_types", TOLD)]


def test_parameters_of_other_values_are_no_proof():
    assert holds(Broken("service_types", TOLD), [SERVICES])
    assert holds(Broken("service_types", TOLD), [f"{SERVICES[:-5]}…"])
    assert not holds(Broken("service_types", f"Another one. {TOLD}"), [SERVICES])
    assert not holds(Broken("service_types", TOLD), [])
