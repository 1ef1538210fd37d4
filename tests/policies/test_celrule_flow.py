"""Rules in CEL over HTTP: kept, published, named, and taken away again."""

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from clusters.kinds import ADMISSION_POLICY, ADMISSION_POLICY_BINDING
from clusters.models import BootstrapRun, Capability, Cluster
from clusters.rule_names import BINDINGS
from policies.models import CelRule, Simulation
from policies.models.simulation import SimulationFinding
from reconcile.errors import Refused
from reconcile.values import JSON, Ref
from tenancy.models import Tenant
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.paths import pointers
from tests.delivery.test_publishing import asked, at_hand
from tests.fleet import Fleet
from tests.memory_cluster import MemoryCluster
from tests.policies.conftest import SETS, attach, make_set, parameters
from tests.policies.simulated import service
from tests.policies.test_simulating import rest

API = "/api/v1"
PATH = f"{API}/celrules/few-replicas"
PUBLISH = f"{API}/clusters/prod-a:publish-rules"
ABILITY = "kubenova.cel.few-replicas"
BODY = {
    "description": "Not more than five.",
    "resources": ["deployments.apps"],
    "validations": [{"expression": "object.spec.replicas <= 5", "message": "At most five."}],
}
NAMED = {"rules": ["few-replicas"]}
THERE = Ref(ADMISSION_POLICY, "", "kubenova-cel-few-replicas")
ALL = [
    THERE,
    *(Ref(ADMISSION_POLICY_BINDING, "", f"{THERE.name}{end}") for end in BINDINGS),
]


@pytest.fixture
def olgas(as_) -> APIClient:
    return as_("olga")


@pytest.fixture
def live(shop, prod: Cluster, fleet: Fleet) -> MemoryCluster:
    """The cluster of acme's shop, with the credential of its registration at hand."""
    at_hand(prod)
    return fleet["prod-a"]


def kept(client: APIClient, status: int = 201, path: str = PATH, **fields: object) -> JSON:
    answer = client.put(path, {**BODY, **fields}, format="json")
    assert answer.status_code == status, answer.content
    return answer.json()


def publish(client: APIClient, *names: str, query: str = ""):
    return client.post(f"{PUBLISH}{query}", {"rules": names}, format="json")


def published(client: APIClient, prod: Cluster) -> None:
    """Have the rule be on the cluster, and be seen there."""
    kept(client)
    assert publish(client).status_code == 202
    settle()
    assert Capability.objects.get(name=ABILITY).served


def fares(client: APIClient) -> list[tuple]:
    rows = client.get(PATH).json()["publications"]
    return [(row["cluster"], row["version"], row["outdated"], row["phase"]) for row in rows]


# --- Keeping one.


def test_an_operator_keeps_a_rule_and_each_change_is_a_version(people, olgas):
    assert kept(olgas)["version"] == 1
    assert kept(olgas, 200)["version"] == 1, "the same is no change"
    assert kept(olgas, 200, operations=["CREATE"])["version"] == 2
    (found,) = olgas.get(f"{API}/celrules").json()["items"]
    assert (found["name"], found["operations"]) == ("few-replicas", ["CREATE"])


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"validations": [{**BODY["validations"][0], "expression": "(1"}]}, "/0/expression"),
        ({"validations": []}, "/validations"),
        ({"resources": ["secrets"]}, "/resources"),
        ({"failurePolicy": "Ignore"}, "/failurePolicy"),
    ],
)
def test_what_is_wrong_is_refused_where_it_is(people, olgas, fields, place):
    answer = olgas.put(PATH, {**BODY, **fields}, format="json")
    problem(answer, 400, "KN-INVALID")
    assert [each for each in pointers(answer) if each.endswith(place)]
    assert not CelRule.objects.exists()


@pytest.mark.parametrize("name", ["alice", "bob", "charlie"])
def test_nobody_but_operators_writes_them_or_knows_of_them(live, as_, olgas, name):
    kept(olgas)
    client = as_(name)
    problem(client.get(PATH), 404, "KN-NOT-FOUND")
    problem(client.put(PATH, BODY, format="json"), 404, "KN-NOT-FOUND")
    problem(client.delete(PATH), 404, "KN-NOT-FOUND")
    problem(publish(client), 404, "KN-NOT-FOUND")
    assert client.get(f"{API}/celrules").json()["items"] == []


def test_who_writes_policy_sets_reads_them_and_changes_none(live, people, as_, olgas):
    kept(olgas)
    people["alice"].user_permissions.add(Permission.objects.get(codename="add_policyset"))
    client = as_("alice")
    assert client.get(PATH).status_code == 200
    problem(client.put(PATH, BODY, format="json"), 403, "KN-FORBIDDEN")
    problem(client.delete(PATH), 403, "KN-FORBIDDEN")


# --- Publishing it.


def test_it_is_put_on_a_cluster_with_the_credential_that_is_given_for_it(live, prod, olgas):
    published(olgas, prod)
    assert fares(olgas) == [("prod-a", 1, False, "Deployed")]
    assert all(live.exists(ref) for ref in ALL)
    assert not live.get(THERE).labels, "it is no object that KubeNova's account could mend"
    run = BootstrapRun.objects.get(step_name="rules")
    assert (run.credential, run.bundle) == (None, None), "dropped when it was done"


def test_a_plan_tells_what_would_come_and_writes_nothing(live, olgas):
    kept(olgas)
    plan = publish(olgas, query="?dryRun=plan").json()
    assert plan["summary"] == {"create": 5, "change": 0, "delete": 0, "denied": 0}
    assert not live.exists(THERE)


def test_what_the_cluster_cannot_compile_is_refused_where_it_was_written(live, olgas, monkeypatch):
    kept(olgas)
    told = (
        'ValidatingAdmissionPolicy "kubenova-cel-few-replicas" is invalid: '
        "spec.variables[0].expression: Invalid value: compilation failed: ERROR: <input>:1:8"
    )
    apply = MemoryCluster.apply

    def refusing(self, ref, manifest, **how):  # the tests' cluster compiles nothing
        if ref == THERE:
            raise Refused(told)
        return apply(self, ref, manifest, **how)

    monkeypatch.setattr(MemoryCluster, "apply", refusing)
    answer = publish(olgas)
    body = problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == ["/validations/0/expression"]
    assert "<input>:1:8" in body["errors"][0]["detail"]
    assert not BootstrapRun.objects.filter(step_name="rules").exists()


def test_a_change_is_outdated_until_it_is_published_too(live, prod, olgas):
    published(olgas, prod)
    kept(olgas, 200, operations=["CREATE"])
    assert fares(olgas) == [("prod-a", 1, True, "Deployed")]
    at_hand(prod)
    publish(olgas)
    settle()
    assert fares(olgas) == [("prod-a", 2, False, "Deployed")]


def test_it_is_told_when_somebody_changes_or_deletes_a_part_of_it(live, prod, olgas):
    published(olgas, prod)
    live.edit(ALL[1], "eve", lambda body: body["spec"].update(validationActions=["Audit"]))
    asked(live, prod)
    assert fares(olgas) == [("prod-a", 1, False, "Drifted")]
    live.remove(ALL[1])
    asked(live, prod)
    (row,) = olgas.get(PATH).json()["publications"]
    assert row["message"] == "Somebody has deleted it there. Publish it again."


def test_a_type_check_of_the_cluster_is_told(live, prod, olgas):
    published(olgas, prod)
    warnings = [{"fieldRef": "spec.variables[0]", "warning": "undefined field 'replica'"}]
    live.edit(
        THERE,
        "kube-apiserver",
        lambda body: body.update(status={"typeChecking": {"expressionWarnings": warnings}}),
    )
    asked(live, prod)
    (row,) = olgas.get(PATH).json()["publications"]
    assert row["message"] == "The cluster doubts it: undefined field 'replica'"


# --- Naming it.


def test_a_policy_set_names_it_and_its_namespaces_do(live, prod, olgas, fleet):
    published(olgas, prod)
    row = attach(make_set(cel=NAMED), mode="warn")
    settle()
    assert parameters(fleet, "warn") == {"cel.rules": "few-replicas"}
    row.promote("olga")
    settle()
    assert parameters(fleet) == {"cel.rules": "few-replicas"}
    tenant = Tenant.objects.get(name="acme")
    assert tenant.phase == "Deployed", tenant.conditions


def test_where_it_is_not_published_a_set_that_names_it_binds_nobody(live, prod, olgas):
    kept(olgas)
    olgas.post(SETS, {"name": "strict", "rules": {"cel": NAMED}}, format="json")
    body = {"name": "all", "mode": "warn", "tenants": ["acme"]}
    answer = olgas.post(f"{SETS}/strict/attachments", body, format="json")
    found = problem(answer, 422, "KN-CAPABILITY")
    assert (found["capability"], found["cluster"]) == (ABILITY, "prod-a")
    assert found["clusters"] == []


def test_a_tenant_names_it_as_well(live, prod, olgas):
    tenant = f"{API}/tenants/acme"
    body = {"restrictions": {"cel": NAMED}}
    answer = olgas.patch(tenant, body, format="json")
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == ["/restrictions/cel/rules/0"], "there is none"
    kept(olgas)
    problem(olgas.patch(tenant, body, format="json"), 422, "KN-CAPABILITY")
    publish(olgas)
    settle()
    assert olgas.patch(tenant, body, format="json").status_code == 200


def test_a_set_cannot_name_what_there_is_not(live, olgas):
    answer = olgas.post(SETS, {"name": "strict", "rules": {"cel": NAMED}}, format="json")
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == ["/rules/cel/rules/0"]


def test_a_placement_says_when_the_rule_has_gone_from_its_cluster(live, prod, olgas):
    published(olgas, prod)
    attach(make_set(cel=NAMED))
    settle()
    live.remove(THERE)
    asked(live, prod)
    tenant = Tenant.objects.get(name="acme")
    told = " ".join(each["message"] for each in tenant.conditions)
    placements = [row.conditions for row in tenant.placements.all()]
    projects = [row.conditions for row in tenant.projects.get().placements.all()]
    assert ABILITY in told + str(placements) + str(projects)


# --- Simulating it.


def test_a_simulation_tries_it_like_every_other_rule(live, prod, olgas, fleet):
    published(olgas, prod)
    service(fleet, "few-replicas-broken", "ClusterIP")
    service(fleet, "fine", "ClusterIP")
    make_set(cel=NAMED)
    answer = olgas.post(f"{SETS}/strict:simulate", {"tenants": ["acme"]}, format="json")
    assert answer.status_code == 202, answer.content
    rest()
    assert Simulation.objects.get().state == "done"
    (found,) = SimulationFinding.objects.all()
    assert (found.name, found.rule, found.verdict) == ("few-replicas-broken", "cel", "denied")
    assert found.message.startswith("few-replicas: ")


def test_a_simulation_of_what_a_cluster_does_not_have_ends_at_once_and_says_so(live, olgas):
    kept(olgas)
    make_set(cel=NAMED)
    olgas.post(f"{SETS}/strict:simulate", {"tenants": ["acme"]}, format="json")
    settle()
    (run,) = Simulation.objects.get().runs.all()
    assert run.fault == f"The cluster lacks {ABILITY}: see its capabilities."


# --- Taking it away.


def test_what_a_set_or_tenant_names_is_not_deleted(live, prod, olgas):
    published(olgas, prod)
    make_set(cel=NAMED)
    body = problem(olgas.delete(PATH), 409, "KN-CONFLICT")
    assert body["users"] == ["policy set strict"]


def test_a_version_that_binds_somebody_counts_too(live, prod, olgas):
    published(olgas, prod)
    strict = make_set(cel=NAMED)
    attach(strict, version=1)
    strict.rules = {}
    strict.declare(by="olga")
    assert problem(olgas.delete(PATH), 409, "KN-CONFLICT")["users"] == ["policy set strict"]


def test_a_deletion_leaves_no_policy_object(live, prod, olgas):
    published(olgas, prod)
    assert olgas.delete(PATH).status_code == 202
    answer = olgas.post(SETS, {"name": "strict", "rules": {"cel": NAMED}}, format="json")
    problem(answer, 400, "KN-INVALID")
    at_hand(prod)
    assert publish(olgas).status_code == 202
    settle()
    assert not any(live.exists(ref) for ref in ALL)
    assert olgas.get(PATH).status_code == 404
    asked(live, prod)
    assert not Capability.objects.filter(name=ABILITY).exists()
