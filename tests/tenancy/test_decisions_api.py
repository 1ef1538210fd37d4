"""Decisions over HTTP: rules that leave fields to others, declared up front, listed, revoked."""

import pytest

from reconcile.models import Decision, Event
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

__all__ = ["acme", "as_", "deployed", "fleet", "people", "prod", "quick_passwords", "shop", "site"]

SITE = "/api/v1/apps/site/decisions"
RULE = {
    "object": {"kind": "Deployment", "name": "web"},
    "pointer": "/spec/replicas",
    "manager": "keda-operator",
    "reason": "KEDA scales it.",
    "expires_at": "2099-01-01T00:00:00Z",
}


def declare(client, where: str = SITE, **changes: object):
    return client.post(where, {**RULE, **changes}, format="json")


def test_a_rule_is_declared_up_front_and_shown(site, as_):
    answer = declare(as_("bob"))
    assert answer.status_code == 201
    found = answer.json()
    assert (found["verb"], found["author"], found["standing"]) == ("ignore", "bob", True)
    assert found["object"] == {"kind": "Deployment", "name": "web"}
    assert {name: found[name] for name in ("pointer", "manager", "reason")} == {
        name: RULE[name] for name in ("pointer", "manager", "reason")
    }
    assert as_("carol").get(SITE).json()["items"] == [found]
    event = Event.objects.get(reason="DriftIgnored")
    assert (event.actor, event.object_uid) == ("bob", site.uid)


def test_the_same_rule_again_is_the_same(site, as_):
    first, again = declare(as_("bob")), declare(as_("bob"))
    assert (again.status_code, again.json()) == (200, first.json())
    other = declare(as_("bob"), reason="It scales by itself.")
    assert other.status_code == 201
    assert [each.reason for each in Decision.objects.all()] == ["It scales by itself."]


def test_a_rule_is_revoked(site, as_):
    uid = declare(as_("bob")).json()["uid"]
    assert as_("bob").delete(f"{SITE}/{uid}").status_code == 204
    assert as_("bob").delete(f"{SITE}/{uid}").status_code == 404
    assert as_("carol").get(SITE).json()["items"] == []
    assert Event.objects.get(reason="DecisionRevoked").actor == "bob"


def test_a_rule_is_revoked_only_where_it_was_made(site, as_):
    uid = declare(as_("bob")).json()["uid"]
    problem(as_("alice").delete(f"/api/v1/projects/shop/decisions/{uid}"), 404, "KN-NOT-FOUND")
    assert Decision.objects.exists()


def test_an_operators_bound_is_not_revoked_by_a_tenant_admin(site, as_):
    path = "/api/v1/tenants/acme/decisions"
    rule = declare(as_("olga"), path, object={"kind": "ResourceQuota"}).json()
    own = declare(as_("olga"), path).json()
    problem(as_("alice").delete(f"{path}/{rule['uid']}"), 403, "KN-FORBIDDEN")
    assert as_("alice").delete(f"{path}/{own['uid']}").status_code == 204


def test_they_come_in_pages_newest_first(site, as_):
    for number in range(3):
        declare(as_("bob"), pointer=f"/spec/x{number}")
    page = as_("carol").get(f"{SITE}?limit=2").json()
    rest = as_("carol").get(page["next"]).json()
    found = [each["pointer"] for each in (*page["items"], *rest["items"])]
    assert found == ["/spec/x2", "/spec/x1", "/spec/x0"]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"reason": ""}, ["/reason"]),
        ({"pointer": "spec"}, ["/pointer"]),
        ({"pointer": "/spec/~"}, ["/pointer"]),
        ({"pointer": "/" + "x" * 1000}, ["/pointer"]),
        ({"pointer": "/metadata"}, ["/pointer"]),
        ({"pointer": "/metadata/name"}, ["/pointer"]),
        ({"pointer": "/metadata/labels/kubenova.io~1owner"}, ["/pointer"]),
        ({"manager": "kubenova"}, ["/manager"]),
        ({"expires_at": "2001-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"object": {"name": "web"}}, ["/object/kind"]),
        ({"cluster": "No Name"}, ["/cluster"]),
        ({"verb": "accept"}, ["/verb"]),
        ({"path": ".spec"}, ["/path"]),
    ],
    ids=str,
)
def test_a_bad_rule_says_where(changes, where, site, as_):
    assert pointers(problem(declare(as_("bob"), **changes), 400, "KN-INVALID")) == where
    assert not Decision.objects.exists()


def test_a_rule_about_nothing_is_refused(site, as_):
    answer = as_("bob").post(SITE, {"reason": "x"}, format="json")
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/pointer"]


def test_a_rule_without_a_reason_is_refused(site, as_):
    answer = as_("bob").post(SITE, {"pointer": "/spec/replicas"}, format="json")
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/reason"]


@pytest.mark.parametrize(
    ("name", "path", "changes", "status"),
    [
        ("bob", "apps/site", {}, 201),
        ("carol", "apps/site", {}, 403),
        ("charlie", "apps/site", {}, 404),
        ("bob", "projects/shop", {}, 403),
        ("alice", "projects/shop", {}, 201),
        ("alice", "tenants/acme", {}, 201),
        ("alice", "tenants/acme", {"object": {"kind": "ResourceQuota"}}, 403),
        ("alice", "projects/shop", {"object": {"kind": "RoleBinding"}}, 403),
        ("olga", "tenants/acme", {"object": {"kind": "ResourceQuota"}}, 201),
        ("olga", "clusters/prod-a", {}, 404),
    ],
)
def test_a_rule_reaches_as_far_as_the_role(name, path, changes, status, site, as_):
    make_globex()
    assert declare(as_(name), f"/api/v1/{path}/decisions", **changes).status_code == status


def test_a_rule_for_any_object_of_a_tenant_is_an_operators(site, as_):
    body = {"manager": "keda-operator", "reason": "It scales."}
    path = "/api/v1/tenants/acme/decisions"
    found = problem(as_("alice").post(path, body, format="json"), 403, "KN-FORBIDDEN")
    assert pointers(found) == ["/object/kind"]
    assert as_("olga").post(path, body, format="json").status_code == 201


def test_nothing_is_decided_about_what_is_being_deleted(site, as_):
    site.request_deletion(by="alice")
    problem(declare(as_("bob")), 409, "KN-DELETING")


@pytest.mark.parametrize("query", ["phase=Deployed", "ordering=name", "limit=0"])
def test_the_list_takes_a_page_and_nothing_else(query, site, as_):
    problem(as_("bob").get(f"{SITE}?{query}"), 400, "KN-INVALID")
