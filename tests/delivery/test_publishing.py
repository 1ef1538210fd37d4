"""Definitions that operators publish: kept as data, carried by an administrator's credential."""

import json

import pytest
import yaml
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from clusters.adapters.kubevela import COMPONENT_DEFINITION, STEP_DEFINITION, TRAIT_DEFINITION
from clusters.adapters.roles import cluster_roles
from clusters.bundles import bundle, read
from clusters.credentials import dump
from clusters.models import BootstrapRun, Capability, Cluster
from delivery.models import Publication, PublishedDefinition
from delivery.rules.publishing import (
    BUILT_IN,
    MAX_TEMPLATE,
    PublishedKind,
    definition_problems,
    manifest,
)
from reconcile.models import Event
from reconcile.values import JSON, Ref
from tests.api.conftest import problem
from tests.clusters import platforms
from tests.clusters.steps import settle
from tests.delivery.paths import pointers
from tests.fleet import Fleet, admin
from tests.memory_cluster import MemoryCluster

PATH = "/api/v1/definitions/published"
CANARY, PUBLISH = f"{PATH}/components/canary", "/api/v1/clusters/prod-a:publish"
CUE = 'import "http"\noutput: {\n\tapiVersion: "v1"\n\tkind: "\\(parameter.kind)"\n}\n'
SPEC: JSON = {
    "workload": {"definition": {"apiVersion": "apps/v1", "kind": "Deployment"}},
    "schematic": {"cue": {"template": CUE}},
}
BODY = {"spec": SPEC, "description": "A webservice that comes up slowly."}
THERE = Ref(COMPONENT_DEFINITION, "vela-system", "canary")


def templated(template: object) -> JSON:
    return {"schematic": {"cue": {"template": template}}}


def at_hand(cluster: Cluster) -> None:
    """Keep a credential of an administrator, as from a registration just now."""
    cluster.refresh_from_db()
    cluster.bootstrap = dump(admin("prod-a"))
    cluster.save(update_fields=["bootstrap"])


@pytest.fixture
def live(prod: Cluster, fleet: Fleet) -> MemoryCluster:
    """The cluster prod-a: KubeVela is there, and the credential of its registration at hand."""
    platforms.kubevela(fleet["prod-a"])
    for kind in (COMPONENT_DEFINITION, TRAIT_DEFINITION, STEP_DEFINITION):
        fleet["prod-a"].serve(kind)
    prod.baseline.mark()
    settle()
    at_hand(prod)
    fleet["prod-a"].writes.clear()
    return fleet["prod-a"]


@pytest.fixture
def olgas(as_) -> APIClient:
    return as_("olga")


def kept(client: APIClient, path: str = CANARY, status: int = 201, **fields: object) -> dict:
    answer = client.put(path, {**BODY, **fields}, format="json")
    assert answer.status_code == status, answer.content
    return answer.json()


def publish(client: APIClient, *names: str, query: str = "", **headers: str):
    return client.post(f"{PUBLISH}{query}", {"definitions": names}, format="json", **headers)


def fares(client: APIClient, path: str = CANARY) -> list[tuple]:
    rows = client.get(path).json()["publications"]
    return [(row["cluster"], row["version"], row["outdated"], row["phase"]) for row in rows]


# --- What a definition is.


@pytest.mark.parametrize(
    ("name", "spec", "place", "code"),
    [
        ("Canary", SPEC, ("name",), "name"),
        ("webservice", SPEC, ("name",), "built_in"),
        ("canary", [], ("spec",), "object"),
        ("canary", {}, ("spec", "schematic", "cue", "template"), "required"),
        ("canary", templated(" \n"), ("spec", "schematic", "cue", "template"), "required"),
        ("canary", templated(1), ("spec", "schematic", "cue", "template"), "required"),
        (
            "canary",
            {"schematic": {**SPEC["schematic"], "terraform": {"configuration": "x"}}},
            ("spec", "schematic", "cue", "template"),
            "required",
        ),
        (
            "canary",
            templated("x" * (MAX_TEMPLATE + 1)),
            ("spec", "schematic", "cue", "template"),
            "too_large",
        ),
        ("canary", {**SPEC, "status": "x" * 300_000}, ("spec",), "too_large"),
        ("canary", {**SPEC, "status": "a\x00b"}, ("spec", "status"), "value"),
    ],
)
def test_what_is_no_definition_is_refused_at_its_place(name, spec, place, code):
    (found,) = definition_problems(PublishedKind.COMPONENT, name, spec, shadows=False)
    assert (found.path, found.code) == (place, code)
    assert found.text.endswith(".") and len(found.text) < 200


def test_one_of_kubevelas_own_is_replaced_only_by_who_says_so():
    for kind, names in BUILT_IN.items():
        for name in names:
            assert list(definition_problems(kind, name, SPEC, shadows=True)) == []
            assert list(definition_problems(kind, name, SPEC, shadows=False)) != []


@given(st.text(min_size=1, max_size=200))
def test_a4_a_template_reaches_the_bundle_as_it_is(text):
    spec = {**templated(text), "status": {"details": text}, "extension": [text, text]}
    problems = [found.code for found in definition_problems("traits", "x", spec, shadows=False)]
    if problems:
        assert problems in (["value"], ["required"])
        return
    (item,) = read(bundle([manifest("traits", "x", text, spec)])).items
    assert (item.kind, item.namespace, item.name) == ("TraitDefinition", "vela-system", "x")
    assert item.body["spec"] == spec
    assert item.body["metadata"]["annotations"] == {"definition.oam.dev/description": text}


def test_a_bundle_holds_no_alias_even_of_what_is_in_it_twice():
    found = manifest("components", "x", "", SPEC)
    assert len(list(yaml.safe_load_all(bundle([found, found])))) == 2
    assert b"&id" not in bundle([found, found])


def test_no_account_of_kubenovas_own_may_write_definitions():
    for name, rules in cluster_roles().items():
        for rule in rules:
            if "core.oam.dev" in rule.get("apiGroups", ()):
                written = {*rule["verbs"]} & {"create", "update", "patch", "delete", "*"}
                assert not written or rule["resources"] == ["applications", "workflowruns"], name


# --- Kept.


def test_an_operator_keeps_definitions_and_each_change_is_a_version(people, olgas):
    assert kept(olgas)["version"] == 1
    assert kept(olgas, status=200)["version"] == 1, "the same again"
    changed = kept(olgas, status=200, description="Slower.")
    assert (changed["version"], changed["changed_by"], changed["publications"]) == (2, "olga", [])
    assert olgas.get(CANARY).json() == changed
    assert olgas.get(PATH).json() == {"items": [changed], "next": None, "previous": None}


def test_the_list_has_pages_and_kinds(people, olgas):
    kept(olgas)
    kept(olgas, f"{PATH}/traits/audit")
    page = olgas.get(f"{PATH}?limit=1").json()
    rest = olgas.get(page["next"]).json()
    assert [row["name"] for row in page["items"] + rest["items"]] == ["canary", "audit"]
    found = olgas.get(f"{PATH}?kind=traits").json()["items"]
    assert [row["name"] for row in found] == ["audit"]
    problem(olgas.get(f"{PATH}?kind=x"), 400, "KN-INVALID")
    problem(olgas.get(f"{PATH}?page=2"), 400, "KN-INVALID")


@pytest.mark.parametrize(
    ("path", "fields", "place"),
    [
        (f"{PATH}/components/webservice", {}, "/name"),
        (CANARY, {"spec": {}}, "/spec/schematic/cue/template"),
        (CANARY, {"spec": "x"}, "/spec"),
        (CANARY, {"description": 3}, "/description"),
        (CANARY, {"clusters": []}, "/clusters"),
    ],
)
def test_what_is_wrong_is_refused_where_it_is(people, olgas, path, fields, place):
    answer = olgas.put(path, {**BODY, **fields}, format="json")
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == [place]
    assert not PublishedDefinition.objects.exists()


@pytest.mark.parametrize("name", ["alice", "bob", "charlie"])
def test_nobody_but_operators_knows_of_them(live, acme, as_, olgas, name):
    kept(olgas)
    client = as_(name)
    assert client.get(PATH).json()["items"] == []
    assert client.get(CANARY).status_code == client.delete(CANARY).status_code == 404
    assert client.put(CANARY, BODY, format="json").status_code == 404
    assert publish(client).status_code == 404
    assert PublishedDefinition.objects.count() == 1 and not BootstrapRun.objects.exists()


# --- On their way.


def test_they_are_carried_beside_kubevelas_own(live, olgas):
    kept(olgas)
    kept(olgas, f"{PATH}/traits/audit")
    answer = publish(olgas)
    assert answer.status_code == 202, answer.content
    assert [row["phase"] for row in answer.json()["items"]] == ["Pending", "Pending"]
    settle()
    assert fares(olgas) == [("prod-a", 1, False, "Deployed")]
    body = live.get(THERE).body
    assert body["spec"]["schematic"]["cue"]["template"] == CUE
    assert "kubenova" not in json.dumps(body["metadata"].get("labels", {}))
    assert live.exists(Ref(TRAIT_DEFINITION, "vela-system", "audit"))
    run = BootstrapRun.objects.get()
    assert (run.credential, run.bundle) == (None, None), "dropped when it was done"


def test_a_change_is_outdated_until_it_is_published_too(live, prod, olgas):
    kept(olgas)
    publish(olgas, "components/canary")
    settle()
    kept(olgas, status=200, description="Slower.")
    assert fares(olgas) == [("prod-a", 1, True, "Deployed")]
    at_hand(prod)
    assert publish(olgas, "components/canary").status_code == 202
    settle()
    assert fares(olgas) == [("prod-a", 2, False, "Deployed")]
    kept(olgas, f"{PATH}/traits/audit")
    at_hand(prod)
    assert publish(olgas, "traits/audit").status_code == 202
    assert fares(olgas) == [("prod-a", 2, False, "Deployed")], "what was there is still there"


def test_what_is_on_its_way_is_not_pushed_aside(live, olgas):
    kept(olgas)
    kept(olgas, f"{PATH}/traits/audit")
    publish(olgas, "components/canary")
    body = problem(publish(olgas, "traits/audit"), 409, "KN-CONFLICT")
    assert "on their way to Cluster prod-a" in body["detail"]
    assert publish(olgas, "components/canary").status_code == 202, "the same goes on"
    assert publish(olgas).status_code == 202, "and more beside it"
    settle()
    assert fares(olgas) == [("prod-a", 1, False, "Deployed")]


def test_what_has_failed_is_told_and_makes_room(live, olgas):
    kept(olgas)
    kept(olgas, f"{PATH}/traits/audit")
    publish(olgas, "components/canary")
    BootstrapRun.objects.update(
        phase="Error", conditions=[{"type": "Synced", "message": "It is refused."}]
    )
    (row,) = olgas.get(CANARY).json()["publications"]
    assert (row["phase"], row["message"]) == ("Error", "It is refused.")
    assert publish(olgas, "traits/audit").status_code == 202
    (row,) = olgas.get(CANARY).json()["publications"]
    assert (row["phase"], row["message"]) == (
        "Error",
        "Another publication took its place before it was done.",
    )


def test_a_plan_tells_what_would_come_and_writes_nothing(live, olgas):
    kept(olgas)
    found = publish(olgas, query="?dryRun=plan").json()
    assert found["summary"]["create"] == 1
    assert live.writes == [] and not BootstrapRun.objects.exists()
    problem(publish(olgas, HTTP_IF_PLAN="0" * 32), 409, "KN-PLAN-STALE")
    assert publish(olgas, HTTP_IF_PLAN=found["hash"]).status_code == 202


def test_without_kubevela_there_is_nowhere_to_publish(live, olgas):
    kept(olgas)
    Capability.objects.filter(name="delivery.kubevela").update(served=False, reason="Not there.")
    problem(publish(olgas), 422, "KN-CAPABILITY")
    assert not Publication.objects.exists()


def test_without_a_credential_nothing_is_published(live, prod, olgas):
    kept(olgas)
    Cluster.objects.update(bootstrap=None)
    answer = publish(olgas)
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == ["/kubeconfig"]
    assert not Publication.objects.exists()


@pytest.mark.parametrize(
    ("names", "place"), [(["traits/none"], "/definitions/0"), ([], "/definitions")]
)
def test_what_there_is_not_cannot_be_published(live, olgas, names, place):
    answer = publish(olgas, *names)
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == [place]


# --- Off again, and found changed.


def asked(live: MemoryCluster, prod: Cluster) -> None:
    """Have the cluster be asked what it can do."""
    prod.baseline.mark()
    settle()


def test_a_definition_on_no_cluster_goes_at_once(live, olgas):
    kept(olgas)
    assert olgas.delete(CANARY).status_code == 204
    assert olgas.get(CANARY).status_code == 404


def test_a_deletion_takes_it_off_its_clusters_with_the_next_publication(live, prod, olgas):
    kept(olgas)
    publish(olgas)
    settle()
    body = olgas.delete(CANARY)
    assert (body.status_code, body.json()["deleting"]) == (202, True)
    (row,) = olgas.get(CANARY).json()["publications"]
    assert row["phase"] == "Pending" and "POST /clusters/prod-a:publish" in row["message"]
    problem(olgas.put(CANARY, BODY, format="json"), 409, "KN-DELETING")
    assert live.exists(THERE), "KubeNova's own account may not take it off"
    at_hand(prod)
    plan = publish(olgas, query="?dryRun=plan").json()
    assert plan["summary"]["delete"] == 1 and live.exists(THERE)
    assert publish(olgas).status_code == 202
    assert olgas.get(CANARY).json()["deleting"] is True
    settle()
    assert not live.exists(THERE)
    assert olgas.get(CANARY).status_code == 404
    assert kept(olgas)["version"] == 1


def test_a_deletion_leaves_alone_what_somebody_else_has_made_meanwhile(live, prod, olgas):
    kept(olgas)
    publish(olgas)
    settle()
    olgas.delete(CANARY)
    live.remove(THERE)
    platforms.put(live, THERE, spec={"workload": {"type": "autodetects.core.oam.dev"}})
    at_hand(prod)
    publish(olgas)
    settle()
    assert live.exists(THERE) and olgas.get(CANARY).status_code == 404


def test_what_stands_in_for_kubevelas_own_stays_on_its_clusters(live, olgas):
    path = f"{PATH}/components/worker"
    kept(olgas, path, shadows=True)
    publish(olgas)
    settle()
    assert olgas.delete(path).status_code == 204
    settle()
    assert live.exists(Ref(COMPONENT_DEFINITION, "vela-system", "worker"))


def test_what_goes_is_not_published_where_it_is_not(live, olgas):
    kept(olgas)
    Publication.objects.create(
        definition=PublishedDefinition.objects.get(),
        cluster=Cluster.objects.create(name="elsewhere"),
        version=1,
        run_generation=1,
    )
    assert olgas.delete(CANARY).status_code == 202
    answer = publish(olgas)
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == ["/definitions"]


def test_it_is_told_when_somebody_changes_or_deletes_it_there(live, prod, olgas):
    kept(olgas)
    publish(olgas)
    settle()
    asked(live, prod)
    assert fares(olgas) == [("prod-a", 1, False, "Deployed")]
    live.edit(THERE, "eve", lambda body: body["spec"].update(status={"details": "x"}))
    asked(live, prod)
    (row,) = olgas.get(CANARY).json()["publications"]
    assert row["phase"] == "Drifted"
    assert row["message"] == "Somebody has changed it there. Publish it again to put it back."
    live.remove(THERE)
    platforms.put(live, Ref(COMPONENT_DEFINITION, "vela-system", "other"), spec={})
    asked(live, prod)
    (row,) = olgas.get(PATH).json()["items"][0]["publications"]
    assert row["message"] == "Somebody has deleted it there. Publish it again."
    at_hand(prod)
    publish(olgas)
    settle()
    assert fares(olgas) == [("prod-a", 1, False, "Deployed")]


@pytest.mark.parametrize(
    ("plural", "kind"),
    [
        ("components", COMPONENT_DEFINITION),
        ("traits", TRAIT_DEFINITION),
        ("workflow-steps", STEP_DEFINITION),
    ],
)
def test_every_kind_is_looked_at_by_the_longest_name_that_it_can_have(
    live, prod, olgas, plural, kind
):
    longest = "x" * 63
    path, ref = f"{PATH}/{plural}/{longest}", Ref(kind, "vela-system", longest)
    kept(olgas, path)
    publish(olgas)
    settle()
    asked(live, prod)
    assert fares(olgas, path) == [("prod-a", 1, False, "Deployed")]
    assert prod.capabilities.filter(name__endswith=longest, served=True).exists()
    live.edit(ref, "eve", lambda body: body["spec"].update(status={"details": "x"}))
    asked(live, prod)
    assert fares(olgas, path)[0][-1] == "Drifted"

    answer = olgas.put(f"{PATH}/{plural}/{'x' * 64}", BODY, format="json")
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == ["/name"]


def test_a20_no_event_holds_the_credential(live, olgas):
    kept(olgas)
    publish(olgas)
    settle()
    said = " ".join(str(event.data) + event.message for event in Event.objects.all())
    assert admin("prod-a").token not in said


def test_operators_see_them_in_the_admin(live, olgas, people):
    kept(olgas)
    publish(olgas)
    settle()
    people["olga"].is_superuser = True
    people["olga"].save()
    client = Client()
    client.force_login(people["olga"])
    row = PublishedDefinition.objects.get()
    path = "/admin/delivery/publisheddefinition/"
    assert "canary" in client.get(path).content.decode()
    page = client.get(f"{path}{row.pk}/change/").content.decode()
    assert "prod-a" in page and "Deployed" in page
    assert client.post(f"{path}{row.pk}/change/", {"name": "x"}).status_code == 403
