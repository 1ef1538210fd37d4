"""What is found of Capsule: served, too old, half installed, and the command that mends it."""

import json
import re

import pytest

from clusters.adapters.capsule import (
    CAPSULE_CONFIGURATION,
    GLOBAL_TENANT_RESOURCE,
    TENANT_KIND,
    TENANT_OWNER,
)
from clusters.discovery import Served
from clusters.intents import USERNAME
from clusters.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    MUTATING_WEBHOOKS,
    NAMESPACE,
    VALIDATING_WEBHOOKS,
)
from clusters.models import Cluster
from clusters.platforms import Ability, numbers, platforms
from reconcile.errors import Forbidden, Unreachable
from reconcile.values import Ref
from tests.capsule import KINDS, KUBENOVA, fields, install, put, schema, webhooks
from tests.clusters import platforms as vela
from tests.clusters.steps import settle
from tests.memory_cluster import MemoryCluster

ALL_FEATURES = {
    *("ingress-rules", "metadata-rules", "quota-rules", "registries", "replication", "services"),
}


@pytest.fixture
def live() -> MemoryCluster:
    return MemoryCluster(finishes=True)


def found(live: MemoryCluster) -> dict[str, Ability]:
    served: Served = live.discovery()
    return {ability.name: ability for ability in platforms(live, served)}


def features(live: MemoryCluster) -> set[str]:
    prefix = "tenancy.capsule."
    names = {name.removeprefix(prefix) for name, each in found(live).items() if each.served}
    return names & ALL_FEATURES


def test_it_finds_a_capsule_that_serves(live):
    install(live)
    assert found(live)["tenancy.capsule"] == Ability("tenancy.capsule", True, "0.14.0")
    assert features(live) == ALL_FEATURES


def test_without_capsule_nothing_of_it_is_told_but_that(live):
    capsule = [each for name, each in found(live).items() if name.startswith("tenancy")]
    assert capsule == [Ability("tenancy.capsule", False, reason="Capsule is not installed.")]


VERSIONS = [
    pytest.param("0.14.0", True, id="new enough"),
    pytest.param("v0.13.8", True, id="just"),
    pytest.param("1.0.0", True, id="much newer"),
    pytest.param("0.13.7", False, id="has holes"),
    pytest.param("0.12.4", False, id="old"),
    pytest.param("latest", False, id="nobody knows"),
]


@pytest.mark.parametrize(("version", "served"), VERSIONS)
def test_it_takes_capsule_only_without_known_holes_a41(live, version, served):
    install(live, version=version)
    capsule = found(live)["tenancy.capsule"]
    assert capsule.served == served
    assert bool(capsule.reason) != served
    assert found(live)["tenancy.capsule.installed"].served


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/projectcapsule/capsule:v0.14.0", "v0.14.0"),
        ("ghcr.io/projectcapsule/capsule:v0.14.0@sha256:00", "v0.14.0"),
        ("ghcr.io/projectcapsule/capsule", ""),
    ],
    ids=["tag", "tag and digest", "nothing"],
)
def test_it_reads_the_version_off_the_image(live, image, version):
    install(live)
    manager = Ref(DEPLOYMENT, "capsule-system", "capsule-controller-manager")
    live.remove(manager)
    pod = {"spec": {"containers": [{"name": "manager", "image": image}]}}
    labels = {"app.kubernetes.io/name": "capsule"}
    put(
        live,
        DEPLOYMENT,
        manager.name,
        manager.namespace,
        labels=labels,
        spec={"template": pod},
    )
    capsule = found(live)["tenancy.capsule"]
    assert (capsule.version, capsule.served) == (version, bool(version))


OTHERS = [
    pytest.param((), id="nobody"),
    pytest.param((("User", "olga"), ("ServiceAccount", "system:serviceaccount:a:b")), id="others"),
    pytest.param((("User", USERNAME),), id="a user of that name"),
]


@pytest.mark.parametrize("administrators", OTHERS)
def test_the_reason_is_the_command_that_makes_kubenova_an_administrator(live, administrators):
    install(live, administrators=administrators)
    capsule = found(live)["tenancy.capsule"]
    assert not capsule.served and len(capsule.reason) <= 300
    command = re.search(r"kubectl patch (\w+) (\S+) --type=json -p '(.*)'$", capsule.reason)
    assert command and command.groups()[:2] == ("capsuleconfiguration", "default")
    (change,) = json.loads(command[3])
    entries = [{"kind": kind, "name": name} for kind, name in administrators]
    if change["path"] == "/spec/administrators":
        assert entries == []
        entries = change["value"]
    else:
        assert change["path"] == "/spec/administrators/-"
        entries.append(change["value"])
    live.edit(
        Ref(CAPSULE_CONFIGURATION, "", "default"),
        "kubectl",
        lambda body: body["spec"].update(administrators=entries),
    )
    assert found(live)["tenancy.capsule"].served


HALVES = [
    pytest.param({"kinds": (TENANT_KIND,)}, "TenantOwner is not served", id="no owners"),
    pytest.param(
        {"kinds": (TENANT_KIND, TENANT_OWNER)},
        "CapsuleConfiguration is not served",
        id="no kind of configuration",
    ),
    pytest.param({"administrators": None}, "no CapsuleConfiguration", id="no configuration"),
    pytest.param({"policy": ""}, "guards no namespaces", id="no webhooks"),
    pytest.param({"policy": "Ignore"}, "set failurePolicy to Fail", id="webhooks passed by"),
]


@pytest.mark.parametrize(("how", "told"), HALVES)
def test_a_half_installed_capsule_is_told_apart(live, how, told):
    install(live, **how)
    capsule = found(live)["tenancy.capsule"]
    assert not capsule.served
    assert told in capsule.reason


@pytest.mark.parametrize("kind", [MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS], ids=lambda kind: kind[1])
def test_either_webhook_configuration_is_needed(live, kind):
    install(live)
    (ref,) = live.refs(kind)
    live.remove(ref)
    assert ref.name in found(live)["tenancy.capsule"].reason


def test_webhooks_that_look_elsewhere_may_be_passed_by(live):
    install(live)
    webhooks(live, "Fail", ["namespaces", "pods"])
    assert found(live)["tenancy.capsule"].served
    webhooks(live, "Ignore", ["nodes"])
    assert "guards no namespaces" in found(live)["tenancy.capsule"].reason


def test_webhooks_are_looked_for_under_the_names_that_the_configuration_tells(live):
    install(live, policy="")
    names = {"mutatingWebhookConfigurationName": "m", "validatingWebhookConfigurationName": "v"}
    configuration = Ref(CAPSULE_CONFIGURATION, "", "default")
    live.edit(configuration, "helm", lambda body: body["spec"].update(overrides=names))
    assert "MutatingWebhookConfiguration m " in found(live)["tenancy.capsule"].reason
    hook = {"name": "n", "rules": [{"resources": ["namespaces"]}], "failurePolicy": "Fail"}
    put(live, MUTATING_WEBHOOKS, "m", webhooks=[hook])
    put(live, VALIDATING_WEBHOOKS, "v", webhooks=[hook])
    assert found(live)["tenancy.capsule"].served


SCHEMAS = [
    pytest.param(schema(), ALL_FEATURES, id="0.14"),
    pytest.param(
        schema(("metadata",), quota=False), {"metadata-rules", "replication"}, id="some rules"
    ),
    pytest.param(fields(), {"replication"}, id="no rules"),
]


@pytest.mark.parametrize(("tenant", "expected"), SCHEMAS)
def test_features_are_what_the_schema_of_a_tenant_has(live, tenant, expected):
    install(live, tenant=tenant)
    assert features(live) == expected
    missing = ALL_FEATURES - expected
    assert all(found(live)[f"tenancy.capsule.{name}"].reason for name in missing)


def test_replication_is_a_kind_of_its_own(live):
    install(live, kinds=[kind for kind in KINDS if kind != GLOBAL_TENANT_RESOURCE])
    assert features(live) == ALL_FEATURES - {"replication"}
    assert found(live)["tenancy.capsule"].served


def test_who_may_not_look_is_told_what_is_missing(live):
    install(live)
    live.fail_on("list_page", CAPSULE_CONFIGURATION, Forbidden("no"))
    live.fail_on(
        "get", Ref(CUSTOM_RESOURCE_DEFINITION, "", "tenants.capsule.clastix.io"), Forbidden("no")
    )
    assert "fresh credential" in found(live)["tenancy.capsule"].reason
    assert features(live) == {"replication"}


def test_a_cluster_that_does_not_answer_says_nothing_of_its_platforms(live):
    install(live)
    live.fail_on("list_page", CAPSULE_CONFIGURATION, Unreachable("down"))
    with pytest.raises(Unreachable):
        found(live)


NONSENSE = [
    pytest.param("text", id="text"),
    pytest.param({"administrators": "all"}, id="text for a list"),
    pytest.param({"administrators": ["x", 7]}, id="no entries"),
    pytest.param({"administrators": [{"kind": ["ServiceAccount"]}]}, id="lists for texts"),
]


@pytest.mark.parametrize("spec", NONSENSE)
def test_a_hostile_configuration_is_no_administrator(live, spec):
    install(live, administrators=())
    configuration = Ref(CAPSULE_CONFIGURATION, "", "default")
    live.edit(configuration, "x", lambda body: body.update(spec=spec))
    assert not found(live)["tenancy.capsule"].served


@pytest.mark.parametrize(
    ("text", "expected"),
    [("v1.36.3", (1, 36, 3)), ("0.14", (0, 14, 0)), ("x", (0, 0, 0)), ("", (0, 0, 0))],
)
def test_it_reads_the_numbers_of_a_version(text, expected):
    assert numbers(text) == expected


# --- On a registered cluster.


def test_a_cluster_with_a_faulty_capsule_stays_registered_and_shows_the_fix(fleet, db):
    fleet.start("prod-a")
    install(fleet["prod-a"], administrators=())
    cluster = fleet.register("prod-a")
    shown = cluster.capabilities.get(name="tenancy.capsule")
    assert not shown.served and "kubectl patch capsuleconfiguration" in shown.reason
    assert cluster.phase == "Deployed"


def test_the_mended_capsule_is_found_by_the_next_look(fleet, db):
    fleet.start("prod-a")
    install(fleet["prod-a"], administrators=())
    cluster = fleet.register("prod-a")
    put(
        fleet["prod-a"],
        CAPSULE_CONFIGURATION,
        "default",
        spec={"administrators": [{"kind": KUBENOVA[0], "name": KUBENOVA[1]}]},
    )
    cluster.reprobe(by="olga")
    settle()
    assert Cluster.objects.get().serves("tenancy.capsule")


def test_a_namespace_of_capsules_is_no_sign_of_it(live):
    put(live, NAMESPACE, "capsule-system")
    assert found(live)["tenancy.capsule"].reason == "Capsule is not installed."


# --- KubeVela.


AUTHENTICATED = "--feature-gates=AuthenticateApplication=true"
VELA = [
    pytest.param((), None, "", id="as its chart has it"),
    pytest.param((AUTHENTICATED,), None, "authentication is on", id="it runs apps as the writer"),
    pytest.param((), "resourcetrackers", "it lacks resourcetrackers", id="a definition is missing"),
]


@pytest.mark.parametrize(("arguments", "lacking", "reason"), VELA)
def test_it_takes_a_kubevela_that_runs_apps_as_it_is_told(live, arguments, lacking, reason):
    vela.kubevela(live, *arguments)
    for kind in vela.VELA_KINDS:
        if kind.plural == lacking:
            live.unserve(kind)
    known = found(live)
    assert known["delivery.kubevela"].served is not bool(reason)
    assert reason in known["delivery.kubevela"].reason
    assert known["delivery.kubevela.installed"] == Ability(
        "delivery.kubevela.installed", True, "1.10.3"
    )
    assert known["delivery.kubevela.authentication"].served is (arguments == (AUTHENTICATED,))


def test_workflow_runs_are_a_capability_of_their_own(live):
    vela.kubevela(live)
    assert not found(live)["delivery.workflowrun"].served
    live.serve(vela.WORKFLOW_RUNS)
    assert found(live)["delivery.workflowrun"] == Ability("delivery.workflowrun", True)
