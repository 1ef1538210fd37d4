"""Policy sets over HTTP: who may what, versions, attachments, what is refused."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, transaction
from django.utils import timezone

from clusters.models import Capability
from delivery.models.revision import Unchangeable
from policies.models import Attachment, PolicySet, PolicyVersion
from tenancy.models import Tenant
from tests.api.conftest import pointers, problem, signed_in
from tests.clusters.steps import hurry, settle
from tests.people import person
from tests.policies.conftest import SETS, attach, make_set

pytestmark = pytest.mark.django_db
BODY = {"name": "strict", "rules": {"service_types": ["ClusterIP"]}}
EVERYONE = {"name": "everyone", "mode": "enforce", "every_tenant": True}


@pytest.fixture
def olgas(as_):
    return as_("olga")


def json(answer, status: int = 200) -> dict:
    assert answer.status_code == status, answer.content
    return answer.json()


# --- Sets and their versions.


def test_an_operator_creates_changes_and_deletes_one(olgas):
    made = olgas.post(SETS, BODY)
    assert json(made, 201)["version"] == 1 and made["Location"] == f"{SETS}/strict"
    assert json(olgas.post(SETS, BODY))["uid"] == made.json()["uid"], "the same again"
    problem(olgas.post(SETS, {**BODY, "description": "x"}), 409, "KN-CONFLICT")

    changed = olgas.patch(f"{SETS}/strict", {"rules": {"storage_classes": ["fast"]}})
    assert json(changed)["version"] == 2
    assert json(changed)["rules"] == {**BODY["rules"], "storage_classes": ["fast"]}
    replaced = olgas.put(f"{SETS}/strict", {"rules": {}, "description": "Nothing."})
    assert (json(replaced)["rules"], json(replaced)["version"]) == ({}, 3)

    assert olgas.delete(f"{SETS}/strict").status_code == 202
    settle()
    problem(olgas.get(f"{SETS}/strict"), 404, "KN-NOT-FOUND")


def test_only_a_change_of_the_rules_makes_a_version(olgas):
    olgas.post(SETS, BODY)
    assert json(olgas.patch(f"{SETS}/strict", {"description": "For all."}))["version"] == 1
    assert [each["number"] for each in json(olgas.get(f"{SETS}/strict/versions"))["items"]] == [1]


def test_versions_are_kept_and_compared(olgas):
    olgas.post(SETS, BODY)
    olgas.put(f"{SETS}/strict", {"rules": {"service_types": ["NodePort"]}})
    first = json(olgas.get(f"{SETS}/strict/versions/1"))
    assert (first["rules"], first["author"]) == (BODY["rules"], "olga")
    found = json(olgas.get(f"{SETS}/strict/versions/2/diff"))
    assert found["changes"] == [
        {"path": ["service_types"], "before": ["ClusterIP"], "after": ["NodePort"]}
    ]
    assert "-- ClusterIP\n+- NodePort\n" in found["text"] and found["against"] == 1
    assert json(olgas.get(f"{SETS}/strict/versions/1/diff"))["against"] is None
    assert json(olgas.get(f"{SETS}/strict/versions/1/diff?against=2"))["against"] == 2
    problem(olgas.get(f"{SETS}/strict/versions/1/diff?against=9"), 400, "KN-INVALID")
    problem(olgas.get(f"{SETS}/strict/versions/9"), 404, "KN-NOT-FOUND")


def test_a_version_never_changes(olgas):
    olgas.post(SETS, BODY)
    row = PolicyVersion.objects.get()
    with pytest.raises(Unchangeable):
        row.save()
    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        PolicyVersion.objects.update(rules={})


@pytest.mark.parametrize(
    ("rules", "pointer"),
    [
        pytest.param({"nonsense": 1}, "/rules/nonsense", id="no such kind"),
        pytest.param({"service_types": ["Local"]}, "/rules/service_types/0", id="no such value"),
        pytest.param({"namespaces": {"count": 0}}, "/rules/namespaces/count", id="a number"),
        pytest.param(["service_types"], "/rules", id="no map"),
    ],
)
def test_what_is_wrong_with_rules_is_pointed_at(olgas, rules, pointer):
    found = problem(olgas.post(SETS, {"name": "strict", "rules": rules}), 400, "KN-INVALID")
    assert pointers(found) == [pointer]


def test_the_catalogue_can_be_created_as_it_is(olgas):
    found = json(olgas.get(f"{SETS}:catalogue"))["items"]
    assert [each["name"] for each in found] == ["baseline", "restricted", "pci-like", "sandbox"]
    for each in found:
        body = {name: each[name] for name in ("name", "description", "rules")}
        json(olgas.post(SETS, body), 201)


# --- Who may.


def test_a_stranger_sees_nothing_of_it(as_, acme, globex):
    attach(make_set())
    settle()
    charlie = as_("charlie")
    assert json(charlie.get(SETS))["items"] == []
    paths = ("", "/versions", "/versions/1", "/versions/1/diff", "/attachments")
    for path in (*paths, "/attachments/everyone", "/attachments/everyone/exceptions"):
        there, nowhere = (charlie.get(f"{SETS}/{name}{path}") for name in ("strict", "nowhere"))
        assert there.status_code == nowhere.status_code == 404
        volatile = there.json()["correlation_id"], nowhere.json()["correlation_id"]
        assert there.content.replace(volatile[0].encode(), b"") == nowhere.content.replace(
            volatile[1].encode(), b""
        ).replace(b"nowhere", b"strict")
    problem(charlie.post(SETS, BODY), 403, "KN-FORBIDDEN")
    problem(charlie.put(f"{SETS}/strict", BODY), 404, "KN-NOT-FOUND")
    problem(charlie.get("/api/v1/tenants/acme/policies"), 404, "KN-NOT-FOUND")


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
def test_members_read_what_binds_their_tenant_and_change_nothing(as_, acme, globex, name):
    attach(make_set())
    attach(make_set("other"), tenants=["globex"])
    settle()
    hurry()
    member = as_(name)
    (found,) = json(member.get(SETS))["items"]
    assert found["name"] == "strict"
    assert (found["status"]["tenants"], found["status"]["settled"]) == (1, 1)
    assert json(member.get(f"{SETS}/strict/versions/1"))["rules"] == BODY["rules"]
    assert json(member.get(f"{SETS}/strict/attachments"))["items"] == []
    problem(member.get(f"{SETS}/strict/attachments/everyone"), 404, "KN-NOT-FOUND")
    problem(member.get(f"{SETS}/other"), 404, "KN-NOT-FOUND")
    problem(member.patch(f"{SETS}/strict", {"rules": {}}), 403, "KN-FORBIDDEN")
    problem(member.put(f"{SETS}/strict", {"rules": {}}), 403, "KN-FORBIDDEN")
    problem(member.delete(f"{SETS}/strict"), 403, "KN-FORBIDDEN")
    problem(member.post(f"{SETS}/strict/attachments", EVERYONE), 403, "KN-FORBIDDEN")
    problem(member.put(f"{SETS}/strict/attachments/mine", EVERYONE), 403, "KN-FORBIDDEN")


def test_members_count_their_own_tenants_alone(as_, olgas, acme, globex):
    attach(make_set(), every_tenant=True)
    settle()
    assert json(olgas.get(f"{SETS}/strict"))["status"]["tenants"] == 2
    assert json(as_("alice").get(f"{SETS}/strict"))["status"]["tenants"] == 1


def test_who_has_the_permission_writes_them_as_operators_do(acme):
    dana = person("charlie")
    dana.user_permissions.add(Permission.objects.get(codename="add_policyset"))
    client = signed_in(type(dana).objects.get(pk=dana.pk))
    json(client.post(SETS, BODY), 201)
    json(client.post(f"{SETS}/strict/attachments", EVERYONE), 201)
    json(client.get(f"{SETS}/strict/attachments/everyone"))


def test_lists_cost_the_same_however_many_there_are(olgas, acme, django_assert_num_queries):
    for number in range(5):
        attach(make_set(f"set-{number}"), f"all-{number}")
    settle()
    with django_assert_num_queries(5):
        assert len(json(olgas.get(SETS))["items"]) == 5


# --- Attachments.


def test_it_is_attached_changed_promoted_and_detached(olgas, shop):
    olgas.post(SETS, BODY)
    where = f"{SETS}/strict/attachments"
    made = olgas.post(where, {"name": "everyone", "tenants": ["acme"]})
    assert json(made, 201)["mode"] == "audit"
    assert made["Location"] == f"{where}/everyone"
    assert json(olgas.post(f"{where}/everyone:promote"), 202)["mode"] == "warn"
    assert json(olgas.post(f"{where}/everyone:promote"), 202)["mode"] == "enforce"
    problem(olgas.post(f"{where}/everyone:promote"), 409, "KN-CONFLICT")
    assert json(olgas.post(f"{where}/everyone:promote", {"mode": "audit"}), 202)["mode"] == "audit"
    settle()
    hurry()
    shown = json(olgas.get(f"{where}/everyone"))["status"]
    assert (shown["phase"], shown["tenants"], shown["settled"]) == ("Deployed", 1, 1)
    assert json(olgas.get(f"{SETS}/strict"))["status"]["phase"] == "Deployed"
    assert olgas.delete(f"{where}/everyone").status_code == 202
    hurry()
    hurry()
    problem(olgas.get(f"{where}/everyone"), 404, "KN-NOT-FOUND")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({}, "/tenants", id="nobody"),
        pytest.param({"tenants": ["nobody"]}, "/tenants", id="no such tenant"),
        pytest.param({"projects": ["acme/none"]}, "/projects", id="no such project"),
        pytest.param({"projects": ["shop"]}, "/projects", id="no tenant named"),
        pytest.param({"tenant_selector": "a in ("}, "/tenant_selector", id="no selector"),
        pytest.param({"every_tenant": True, "version": 7}, "/version", id="no such version"),
        pytest.param({"every_tenant": True, "mode": "off"}, "/mode", id="no such mode"),
        pytest.param({"every_tenant": True, "cluster": []}, "/cluster", id="no such field"),
    ],
)
def test_what_is_wrong_with_an_attachment_is_pointed_at(olgas, acme, body, pointer):
    olgas.post(SETS, BODY)
    answer = olgas.post(f"{SETS}/strict/attachments", {"name": "a", **body})
    assert pointer in pointers(problem(answer, 400, "KN-INVALID"))


def test_it_is_promoted_although_a_tenant_that_it_names_is_gone(olgas, acme, globex):
    attach(make_set(), mode="warn", tenants=["acme", "globex"], projects=[])
    globex.request_deletion(by="olga")
    hurry()
    assert not Tenant.objects.filter(name="globex").exists()
    where = f"{SETS}/strict/attachments/everyone"
    assert json(olgas.post(f"{where}:promote"), 202)["mode"] == "enforce"
    unknown = problem(olgas.patch(where, {"tenants": ["acme", "globex", "no"]}), 400, "KN-INVALID")
    assert "There is no tenant no." in str(unknown)


def test_a_contradiction_is_refused_with_both_sources(olgas, acme):
    acme.restrictions = {"node_selector": {"pool": "acme"}}
    acme.declare(by="olga")
    olgas.post(SETS, {"name": "nodes", "rules": {"node_selector": {"pool": "all"}}})
    found = problem(olgas.post(f"{SETS}/nodes/attachments", {**EVERYONE}), 409, "KN-CONFLICT")
    (told,) = found["conflicts"]
    assert (told["tenant"], told["kind"]) == ("acme", "node_selector")
    assert told["sources"] == [
        "Tenant acme",
        "policy set nodes, version 1 (attachment everyone)",
    ]
    assert pointers(found) == ["/mode"] and "pool=acme" in found["detail"]
    assert not Attachment.objects.exists()


def test_a_change_of_a_set_that_contradicts_another_is_refused(olgas, acme):
    attach(make_set("one", node_selector={"pool": "a"}))
    attach(make_set("two", service_types=["ClusterIP"]), "also")
    answer = olgas.patch(f"{SETS}/two", {"rules": {"node_selector": {"pool": "b"}}})
    found = problem(answer, 409, "KN-CONFLICT")
    assert pointers(found) == ["/rules"]
    assert {each.partition(",")[0] for each in found["conflicts"][0]["sources"]} == {
        "policy set one",
        "policy set two",
    }
    assert PolicySet.objects.get(name="two").version == 1


def test_a_tenant_that_contradicts_what_binds_it_is_refused(olgas, acme):
    attach(make_set("one", node_selector={"pool": "a"}))
    settle()
    answer = olgas.patch("/api/v1/tenants/acme", {"restrictions": {"node_selector": {"pool": "b"}}})
    found = problem(answer, 409, "KN-CONFLICT")
    assert pointers(found) == ["/restrictions/node_selector"]
    assert "policy set one, version 1" in found["detail"]


@pytest.mark.parametrize(("mode", "needed"), [("warn", "baseline.5"), ("audit", "baseline.5")])
def test_a_cluster_with_an_older_baseline_cannot_warn(olgas, acme, prod, mode, needed):
    Capability.objects.filter(name__startswith="baseline.").delete()
    Capability.objects.create(cluster=prod, name="baseline.4", served=True, version="4")
    olgas.post(SETS, BODY)
    where = f"{SETS}/strict/attachments"
    found = problem(olgas.post(where, {**EVERYONE, "mode": mode}), 422, "KN-CAPABILITY")
    (told,) = found["unmet"]
    assert (told["cluster"], told["capability"], told["found"]) == ("prod-a", needed, "4")
    assert told["field"] == f"policies.{mode}" and "fresh credential" in told["reason"]
    json(olgas.post(where, EVERYONE), 201), "what enforces is there since baseline 3"


def test_a_tenant_that_is_bound_does_not_come_to_a_cluster_that_cannot(olgas, acme, fleet):
    attach(make_set(), mode="warn")
    settle()
    old = fleet.register("prod-b")
    Capability.objects.filter(name__startswith="baseline.", cluster=old).update(
        name="baseline.4", version="4"
    )
    answer = olgas.patch("/api/v1/tenants/acme", {"placement": {"clusters": ["prod-a", "prod-b"]}})
    found = problem(answer, 422, "KN-CAPABILITY")
    assert (found["cluster"], found["field"]) == ("prod-b", "policies.warn")


def test_more_projects_than_a_set_allows_are_not_made(olgas, shop):
    attach(make_set(namespaces={"count": 1}))
    settle()
    answer = olgas.post("/api/v1/tenants/acme/projects", {"name": "blog"})
    problem(answer, 409, "KN-LIMIT")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"count": 1}, "Tenant acme has 2 projects, and count would be 1."),
        ({"required_labels": {"owner": ""}}, "Project acme/blog does not fit"),
    ],
    ids=["too many", "a label"],
)
def test_a_rule_that_projects_break_already_is_refused_until_they_fit(olgas, shop, options, told):
    olgas.post("/api/v1/tenants/acme/projects", {"name": "blog"})
    olgas.post(SETS, {"name": "few", "rules": {"namespaces": options}})
    found = problem(olgas.post(f"{SETS}/few/attachments", EVERYONE), 409, "KN-CONFLICT")
    assert told in found["detail"] and pointers(found) == ["/mode"]
    json(olgas.post(f"{SETS}/few/attachments", {**EVERYONE, "mode": "warn"}), 201)


def test_a_set_that_goes_takes_its_attachments_along(olgas, shop):
    attach(make_set())
    settle()
    olgas.delete(f"{SETS}/strict")
    problem(olgas.post(f"{SETS}/strict/attachments", EVERYONE), 409, "KN-DELETING")
    settle()
    hurry()
    hurry()
    assert not PolicySet.objects.exists() and not Attachment.objects.exists()
    assert Tenant.objects.get().imposed == {}


def test_a_plan_shows_what_an_attachment_would_change_on_clusters(olgas, shop):
    olgas.post(SETS, BODY)
    answer = olgas.post(f"{SETS}/strict/attachments?dryRun=plan", EVERYONE)
    plan = json(answer)
    (cluster,) = plan["clusters"]
    (changed,) = cluster["objects"]
    assert (changed["kind"], changed["namespace"]) == ("ConfigMap", "acme--shop")
    assert not Attachment.objects.exists()
    accepted = olgas.post(f"{SETS}/strict/attachments", EVERYONE, headers={"If-Plan": plan["hash"]})
    json(accepted, 201)


def test_a_plan_shows_what_detaching_would_change(olgas, shop):
    attach(make_set())
    settle()
    plan = json(olgas.delete(f"{SETS}/strict/attachments/everyone?dryRun=plan"))
    assert plan["summary"]["change"] == 1
    assert Attachment.objects.get().deletion_requested_at is None


# --- Exceptions.

TOMORROW = (timezone.now() + timedelta(days=1)).isoformat()
SPARED = {"tenant": "acme", "kind": "service_types", "reason": "Legacy.", "expires_at": TOMORROW}


def test_an_exception_is_made_shown_and_ended(olgas, shop):
    attach(make_set())
    where = f"{SETS}/strict/attachments/everyone/exceptions"
    made = json(olgas.post(where, {**SPARED, "project": "shop"}), 201)
    assert (made["author"], made["expired"], made["project"]) == ("olga", False, "shop")
    assert json(olgas.get(f"{where}/{made['uid']}")) == made
    assert json(olgas.get(where))["items"] == [made]
    assert olgas.delete(f"{where}/{made['uid']}").status_code == 204
    problem(olgas.get(f"{where}/{made['uid']}"), 404, "KN-NOT-FOUND")


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"kind": "storage_classes"}, "/kind"),
        ({"tenant": "nobody"}, "/tenant"),
        ({"project": "none"}, "/project"),
        ({"reason": ""}, "/reason"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"forever": True}, "/forever"),
    ],
)
def test_what_is_wrong_with_an_exception_is_pointed_at(olgas, shop, more, pointer):
    attach(make_set())
    answer = olgas.post(f"{SETS}/strict/attachments/everyone/exceptions", {**SPARED, **more})
    assert pointers(problem(answer, 400, "KN-INVALID")) == [pointer]


# --- What binds a tenant, and from where.


def test_a_member_reads_what_binds_the_tenant_and_from_which_set(as_, olgas, shop, acme):
    acme.restrictions = {"service_types": ["ClusterIP", "NodePort"]}
    acme.declare(by="olga")
    attach(make_set())
    attach(make_set("soft", storage_classes=["fast"]), "later", mode="warn", every_tenant=True)
    settle()
    hurry()
    found = json(as_("carol").get("/api/v1/tenants/acme/policies"))
    assert found["enforce"] == [
        {
            "kind": "service_types",
            "value": ["ClusterIP"],
            "origins": [
                {"source": "Tenant acme", "value": ["ClusterIP", "NodePort"]},
                {
                    "source": "policy set strict, version 1 (attachment everyone)",
                    "value": ["ClusterIP"],
                },
            ],
        }
    ]
    assert [each["kind"] for each in found["warn"]] == ["storage_classes"]
    assert [(each["policyset"], each["via"]) for each in found["attachments"]] == [
        ("soft", "every tenant"),
        ("strict", "by name"),
    ]
    assert (found["settled"], found["conflicts"], found["exceptions"]) == (True, [], [])


def test_a_project_shows_its_exception(as_, olgas, shop):
    row = attach(make_set())
    row.make_exception(
        "olga",
        **{**SPARED, "project": "shop", "expires_at": timezone.now() + timedelta(days=1)},
    )
    for path in ("/api/v1/projects/shop", "/api/v1/tenants/acme/projects/shop"):
        found = json(as_("bob").get(f"{path}/policies"))
        assert found["enforce"] == []
        assert [each["reason"] for each in found["exceptions"]] == ["Legacy."]


def test_lists_without_anything_in_common_are_told(as_, shop):
    attach(make_set("one", service_types=["ClusterIP"]))
    attach(make_set("two", service_types=["NodePort"]))
    found = json(as_("alice").get("/api/v1/tenants/acme/policies"))
    (told,) = found["conflicts"]
    assert not told["blocking"] and "nothing at all is allowed" in told["detail"]
    assert found["enforce"][0]["value"] == []
