"""Drift over HTTP: what differs, across all that the caller may see, and what is done about it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from access.models import AuditRecord
from clusters.kinds import SERVICE
from reconcile.models import Decision, Drift, Event
from tenancy.models import ProjectPlacement
from tests.api.conftest import pointers, problem
from tests.delivery.conftest import (
    acme,
    as_,
    deployed,
    fleet,
    people,
    prod,
    quick_passwords,
    shop,
    site,
)
from tests.people import make_globex
from tests.tenancy.differences import differing, differing_quota

__all__ = ["acme", "as_", "deployed", "fleet", "people", "prod", "quick_passwords", "shop", "site"]

DRIFT = "/api/v1/drift"
SOON = "2099-01-01T00:00:00Z"


@pytest.fixture
def row(deployed):
    """The app on its cluster."""
    return deployed.placements.get()


@pytest.fixture
def drift(row) -> Drift:
    """Its Deployment has one replica instead of three."""
    return differing(row)


@pytest.fixture
def quota(deployed) -> Drift:
    """The quota of the project differs, which is the operators' to decide about."""
    return differing_quota(ProjectPlacement.objects.get())


def uids(answer) -> set[str]:
    assert answer.status_code == 200, answer.content
    return {each["uid"] for each in answer.json()["items"]}


def post(client, path: str, body: object = None, **headers: str):
    return client.post(f"/api/v1/{path}", body, format="json", headers=headers)


# --- Reading.


def test_it_says_what_differs_where_since_when_and_by_whom(drift, as_):
    found = as_("carol").get(f"{DRIFT}/{drift.uid}").json()

    assert found["of"] == {"kind": "app", "name": "acme/shop/site", "uid": str(drift.parent_uid)}
    assert found["object"] == {
        "api_version": "apps/v1",
        "kind": "Deployment",
        "namespace": "acme--shop",
        "name": "web",
        "uid": "",
    }
    assert (found["path"], found["pointer"]) == (".spec.replicas", "/spec/replicas")
    assert (found["wanted"], found["found"]) == (3, 1)
    assert (found["class"], found["actor"]) == ("human", "kubectl-scale")
    assert (found["state"], found["resolution"], found["times"]) == ("open", "", 1)
    assert (found["tenant"], found["cluster"]) == ("acme", "prod-a")
    assert found["first_seen"] and found["last_seen"]


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("", "old new over"),
        ("state=open", "old new"),
        ("state=resolved", "over"),
        ("tenant=acme", "old new over"),
        ("tenant=globex", ""),
        ("project=shop", "old new over"),
        ("project=data", ""),
        ("app=site", "new over"),
        ("app=other", ""),
        ("cluster=prod-a&kind=ResourceQuota", "old"),
        ("cluster=prod-b", ""),
        ("class=human", "new over"),
        ("class=controller", "old"),
        ("actor=kubectl-scale", "new over"),
        ("name=kubenova", "old"),
        ("older_than=3600", "old"),
        ("newer_than=3600", "new over"),
        ("older_than=60&newer_than=7200", "old"),
    ],
)
def test_it_is_filtered(query, hits, row, as_):
    known = {
        "old": differing_quota(
            ProjectPlacement.objects.get(),
            first_seen=timezone.now() - timedelta(hours=1, minutes=1),
            drift_class="controller",
            actor="operator-x",
        ),
        "new": differing(row),
        "over": differing(row, ".spec.paused", resolution="repaired"),
    }
    found = uids(as_("alice").get(f"{DRIFT}?{query}"))
    assert {name for name, each in known.items() if str(each.uid) in found} == set(hits.split())


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("state=maybe", "state"),
        ("class=alien", "class"),
        ("older_than=-1", "older_than"),
        ("older_than=soon", "older_than"),
        ("newer_than=999999999999", "newer_than"),
        ("ordering=wanted", "ordering"),
        ("since=1", "since"),
        ("cursor=x", "cursor"),
    ],
)
def test_a_filter_that_cannot_be_says_so(query, parameter, drift, as_):
    body = problem(as_("alice").get(f"{DRIFT}?{query}"), 400, "KN-INVALID")
    assert [each["parameter"] for each in body["errors"]] == [parameter]


@pytest.mark.parametrize(
    ("ordering", "first"),
    [("", 0), ("?ordering=-first_seen", 0), ("?ordering=first_seen", 2), ("?ordering=actor", 1)],
)
def test_the_newest_come_first_unless_one_asks(ordering, first, row, as_):
    rows = [
        differing(row, f".spec.x{age}", first_seen=timezone.now() - timedelta(hours=age), actor=who)
        for age, who in ((0, "b"), (1, "a"), (2, "c"))
    ]
    items = as_("alice").get(f"{DRIFT}{ordering}").json()["items"]
    assert items[0]["uid"] == str(rows[first].uid)


def test_it_comes_in_pages(row, as_):
    rows = {str(differing(row, f".spec.x{number}").uid) for number in range(5)}
    client, url, seen = as_("alice"), f"{DRIFT}?limit=2", []
    while url:
        page = client.get(url).json()
        seen += [each["uid"] for each in page["items"]]
        url = page["next"]
    assert len(seen) == 5 and set(seen) == rows


def test_a_list_costs_as_many_queries_for_few_as_for_many(row, as_, django_assert_max_num_queries):
    for number in range(20):
        differing(row, f".spec.x{number}")
    client = as_("carol")
    with django_assert_max_num_queries(3):
        assert len(uids(client.get(DRIFT))) == 20


def test_strangers_see_nothing_and_nobody_sees_a_baseline_but_operators(drift, prod, as_):
    make_globex()
    own = differing(prod.placements.get())
    for name, sees_app, sees_own in (("charlie", 0, 0), ("alice", 1, 0), ("olga", 1, 1)):
        client = as_(name)
        found = uids(client.get(DRIFT))
        assert [str(each.uid) in found for each in (drift, own)] == [sees_app, sees_own]
        status = client.get(f"{DRIFT}/{own.uid}").status_code
        assert status == (200 if sees_own else 404)
    for verb in ("", ":repair", ":accept", ":ignore"):
        path = f"{DRIFT}/{drift.uid}{verb}"
        client = as_("charlie")
        assert (client.post(path) if verb else client.get(path)).status_code == 404


# --- One.


def test_one_is_repaired_once(drift, as_):
    client = as_("bob")
    first = post(client, f"drift/{drift.uid}:repair", headers={"Idempotency-Key": "a"})
    assert first.status_code == 202
    assert first.json()["repair_requested_by"] == "bob"
    Drift.close(Drift.objects.all(), Drift.Resolution.REPAIRED)
    again = post(client, f"drift/{drift.uid}:repair")
    assert (again.status_code, again.json()["resolution"]) == (200, "repaired")


def test_a_repeated_request_is_answered_from_its_record(drift, as_):
    client, path = as_("bob"), f"/api/v1/drift/{drift.uid}:ignore"
    body = {"reason": "A load test."}
    answers = [
        client.post(path, body, format="json", headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[1]["Idempotency-Replayed"] == "true"
    assert Event.objects.filter(reason="DriftIgnored").count() == 1


def test_what_was_found_becomes_what_is_wanted(drift, as_):
    answer = post(as_("bob"), f"drift/{drift.uid}:accept", {"reason": "One is enough."})
    assert (answer.status_code, answer.json()["resolution"]) == (202, "accepted")
    decision = Decision.objects.get()
    assert (decision.verb, decision.path, decision.value) == ("accept", ".spec.replicas", 1)
    assert (decision.author, decision.reason) == ("bob", "One is enough.")


def test_it_is_ignored_for_a_while(drift, as_):
    body = {"reason": "A load test.", "expires_at": SOON}
    answer = post(as_("alice"), f"drift/{drift.uid}:ignore", body)
    assert (answer.status_code, answer.json()["resolution"]) == (202, "ignored")
    decision = Decision.objects.get()
    assert (decision.pointer, decision.object_name) == ("/spec/replicas", "web")
    assert decision.expires_at.year == 2099


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["/reason"]),
        ({"reason": ""}, ["/reason"]),
        ({"reason": 5}, ["/reason"]),
        ({"reason": "x" * 301}, ["/reason"]),
        ({"reason": "x", "expires_at": "2001-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"reason": "x", "expires_at": "soon"}, ["/expires_at"]),
        ({"reason": "x", "until": SOON}, ["/until"]),
    ],
    ids=["nothing", "empty", "number", "long", "past", "word", "unknown"],
)
def test_ignoring_takes_a_reason_and_an_end_ahead(body, where, drift, as_):
    found = problem(post(as_("bob"), f"drift/{drift.uid}:ignore", body), 400, "KN-INVALID")
    assert pointers(found) == where
    assert not Decision.objects.exists()


@pytest.mark.parametrize("verb", ["repair", "accept", "ignore"])
def test_carol_only_reads(verb, drift, as_):
    body = {"reason": "x"} if verb == "ignore" else {}
    for path in (f"drift/{drift.uid}", "apps/site", "projects/shop", "tenants/acme"):
        problem(post(as_("carol"), f"{path}:{verb}", body), 403, "KN-FORBIDDEN")
    listed = post(as_("carol"), f"drift:{verb}", {"uids": [str(drift.uid)], **body})
    told = problem(listed, 403, "KN-FORBIDDEN")
    assert "App acme/shop/site" in told["detail"] and "tenant-devs" in told["detail"]


def test_a_missing_object_is_repaired_and_never_accepted(row, as_):
    gone = differing(row, "", drift_class="missing", wanted="Deployment", found=None)
    found = problem(post(as_("bob"), f"drift/{gone.uid}:accept"), 409, "KN-CONFLICT")
    assert "is missing" in found["detail"]
    assert post(as_("bob"), f"drift/{gone.uid}:repair").status_code == 202


# --- Many.


def test_a_filter_chooses_a_set(row, drift, as_):
    other = differing(row, ".spec.paused", actor="argocd")
    differing(row, ".spec.x", resolution="repaired")
    answer = post(as_("bob"), "drift:repair", {"filter": {"app": "site", "actor": "argocd"}})
    assert (answer.status_code, answer.json()) == (202, {"count": 1})
    asked = Drift.objects.exclude(repair_requested_by="")
    assert [each.uid for each in asked] == [other.uid]
    whole = post(as_("bob"), "drift:repair", {"filter": {"tenant": "acme"}})
    assert whole.json() == {"count": 2}


def test_a_list_chooses_a_set(row, drift, as_):
    other = differing(row, ".spec.paused")
    body = {"uids": [str(drift.uid), str(other.uid)], "reason": "Tests."}
    answer = post(as_("bob"), "drift:ignore", body)
    assert (answer.status_code, answer.json()) == (202, {"count": 2})
    assert Decision.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "where"),
    [
        pytest.param({}, ["/filter"], id="nothing"),
        pytest.param({"filter": {}}, ["/filter"], id="an empty filter"),
        pytest.param({"filter": {"colour": "red"}}, ["/filter/colour"], id="an unknown filter"),
        pytest.param({"filter": {"class": "alien"}}, ["/filter/class"], id="an unknown class"),
        pytest.param({"filter": {"older_than": "1"}}, ["/filter/older_than"], id="text for age"),
        pytest.param({"filter": {"state": "resolved"}}, ["/filter/state"], id="what is over"),
        pytest.param({"uids": []}, ["/uids"], id="none"),
        pytest.param({"uids": ["x"]}, ["/uids/0"], id="no uid"),
        pytest.param({"uids": [str(uuid4())] * 501}, ["/uids"], id="too many"),
        pytest.param(
            {"uids": [str(uuid4())], "filter": {"tenant": "acme"}}, ["/filter"], id="both"
        ),
    ],
)
def test_a_set_has_to_be_chosen(body, where, drift, as_):
    found = problem(post(as_("olga"), "drift:repair", body), 400, "KN-INVALID")
    assert pointers(found) == where
    assert not Drift.objects.exclude(repair_requested_by="").exists()


def test_an_empty_filter_says_how_to_fill_it(drift, as_):
    found = problem(post(as_("olga"), "drift:accept", {"filter": {}}), 400, "KN-INVALID")
    assert '{"filter": {"tenant": "acme"}}' in found["errors"][0]["detail"]


def test_a_set_is_bounded(row, as_, monkeypatch):
    monkeypatch.setattr("tenancy.api.drift_sets.MAX_SET", 2)
    for number in range(3):
        differing(row, f".spec.x{number}")
    answer = post(as_("bob"), "drift:repair", {"filter": {"tenant": "acme"}})
    found = problem(answer, 400, "KN-INVALID")
    assert found["errors"][0]["detail"] == "It finds 3; at most 2 go at once. Narrow it down."


def test_what_is_not_ones_own_is_as_unknown_as_what_is_not_there(drift, as_):
    make_globex()
    answers = [
        post(as_("charlie"), "drift:repair", {"uids": [uid]}, **{"X-Correlation-ID": "same"})
        for uid in (str(drift.uid), str(uuid4()))
    ]
    assert answers[0].content == answers[1].content
    assert pointers(problem(answers[0], 400, "KN-INVALID")) == ["/uids/0"]
    found = post(as_("charlie"), "drift:repair", {"filter": {"tenant": "acme"}})
    assert found.json() == {"count": 0}


def test_a_set_with_something_above_ones_role_is_refused_whole(drift, quota, as_):
    answer = post(as_("alice"), "drift:accept", {"filter": {"tenant": "acme"}})
    assert "ResourceQuota bounds the tenant" in problem(answer, 403, "KN-FORBIDDEN")["detail"]
    assert Drift.objects.open().count() == 2
    narrowed = {"filter": {"tenant": "acme", "kind": "Deployment"}}
    assert post(as_("alice"), "drift:accept", narrowed).json() == {"count": 1}


def test_the_audit_log_names_the_tenant(drift, as_):
    post(as_("bob"), f"drift/{drift.uid}:repair")
    post(as_("bob"), "drift:repair", {"filter": {"app": "site"}})
    post(as_("carol"), f"drift/{drift.uid}:accept")
    rows = AuditRecord.objects.order_by("pk").values_list("verb", "status", "tenant", "actor")
    assert list(rows) == [
        ("repair", 202, "acme", "bob"),
        ("repair", 202, "acme", "bob"),
        ("accept", 403, "acme", "carol"),
    ]


# --- Of one object.


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({}, 3),
        ({"cluster": "prod-a"}, 3),
        ({"object": {"kind": "Service"}}, 1),
        ({"object": {"kind": "Deployment", "name": "web"}}, 2),
        ({"object": {"kind": "Deployment", "name": "web"}, "path": ".spec.replicas"}, 1),
        ({"pointer": "/spec/template"}, 1),
        ({"pointer": "/spec/template/spec/containers/name=web/image"}, 1),
    ],
    ids=str,
)
def test_an_app_is_repaired_as_far_as_one_says(body, count, row, drift, as_):
    differing(row, ".spec.template.spec.containers[name=web].image")
    differing(row, ".spec.type", SERVICE)
    answer = post(as_("bob"), "apps/site:repair", body)
    assert (answer.status_code, answer.json()) == (202, {"count": count})
    assert Drift.objects.exclude(repair_requested_by="").count() == count


def test_a_repair_of_everything_gives_up_a_stale_plan_and_looks_anew(row, as_):
    type(row).objects.update(pinned_plan={"hash": "x"})
    row.work.update(due_at=None)
    assert post(as_("bob"), "apps/site:repair").json() == {"count": 0}
    row.refresh_from_db()
    assert row.pinned_plan is None
    assert row.work.get().due_at is not None


@pytest.mark.parametrize(
    ("body", "code", "where", "word"),
    [
        ({"cluster": "prod-b"}, 400, "/cluster", "prod-a"),
        ({"object": {"kind": "Ingress"}}, 409, "/object", "GET /api/v1/drift"),
        ({"path": ".spec.paused"}, 409, "/path", "GET /api/v1/drift"),
        ({"pointer": "/spec/paused"}, 409, "/pointer", "GET /api/v1/drift"),
        ({"pointer": "spec"}, 400, "/pointer", "/spec/replicas"),
        ({"pointer": "/spec/~2"}, 400, "/pointer", "/spec/replicas"),
        ({"pointer": "/spec", "path": ".spec"}, 400, "/pointer", "not by both"),
        ({"object": "Deployment"}, 400, "/object", "dictionary"),
        ({"object": {"name": "web"}}, 400, "/object/kind", "required"),
        ({"objects": []}, 400, "/objects", "no such field"),
    ],
    ids=str,
)
def test_what_names_nothing_says_where_and_what_to_do(body, code, where, word, drift, as_):
    answer = post(as_("bob"), "apps/site:repair", body)
    found = problem(answer, code, "KN-INVALID" if code == 400 else "KN-CONFLICT")
    assert pointers(found) == [where]
    assert word in found["errors"][0]["detail"]


def test_bob_decides_about_apps_and_not_about_tenants(drift, as_):
    body = {"reason": "Tests."}
    for path in ("tenants/acme", "projects/shop"):
        for verb in ("repair", "accept", "ignore"):
            problem(post(as_("bob"), f"{path}:{verb}", body), 403, "KN-FORBIDDEN")
    answer = post(as_("bob"), "tenants/acme/projects/shop/apps/site:ignore", body)
    assert answer.json() == {"count": 1}


def test_a_tenant_stands_for_all_inside_of_it(drift, quota, as_):
    assert post(as_("alice"), "tenants/acme:repair").json() == {"count": 2}
    assert post(
        as_("alice"), "projects/shop:repair", {"object": {"kind": "Deployment"}}
    ).json() == {"count": 1}
    answer = post(as_("alice"), "projects/shop:ignore", {"reason": "Tests."})
    problem(answer, 403, "KN-FORBIDDEN")


def test_too_many_decisions_at_once_are_refused(row, as_, monkeypatch):
    monkeypatch.setattr("tenancy.api.drift_objects.MAX_SET", 1)
    for number in range(2):
        differing(row, f".spec.x{number}")
    answer = post(as_("bob"), "apps/site:ignore", {"reason": "Tests."})
    assert problem(answer, 409, "KN-LIMIT")["limit"] == 1
    assert post(as_("bob"), "apps/site:repair").json() == {"count": 2}


def test_what_is_being_deleted_is_left_alone(drift, deployed, as_):
    deployed.request_deletion(by="alice")
    problem(post(as_("bob"), "apps/site:repair"), 409, "KN-DELETING")


def test_strangers_find_no_verb(drift, as_):
    make_globex()
    for path in ("apps/site", "projects/shop", "tenants/acme"):
        assert post(as_("charlie"), f"{path}:repair").status_code == 404
        assert as_("charlie").get(f"/api/v1/{path}/decisions").status_code == 404
