"""Issuing, listing and revoking kubeconfigs over HTTP, on clusters in memory."""

from base64 import b64decode
from datetime import timedelta

import pytest
import yaml
from django.db import connection
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from access.intents import VERBS_OF_ROLE, Verbs
from access.models import GrantPlacement, KubeconfigGrant
from access.proxy.certificates import authority
from clusters.intents import GRANTS_NAMESPACE
from clusters.kinds import ROLE_BINDING, SECRET, SERVICE_ACCOUNT
from clusters.models import Cluster
from reconcile.errors import Unreachable
from reconcile.models import Event
from reconcile.values import Ref
from tenancy.intents import Role
from tenancy.models import Project
from tests.access.grants import (
    ISSUE,
    ISSUE_SHOP,
    acme,
    alices,
    as_,
    clusters,
    disable,
    door,
    grant_of,
    kubeconfig_of,
    pointers,
    tokens_of,
)
from tests.clusters.steps import hurry, settle
from tests.people import person

__all__ = ["acme", "alices", "as_", "clusters", "door"]


def anchors(cluster) -> list[str]:
    """The Secrets that tokens are bound to."""
    refs = cluster.refs(SECRET)
    return [ref.name for ref in refs if ref.namespace == GRANTS_NAMESPACE]


def bindings(cluster, name: str) -> set[tuple[str, str]]:
    """(namespace, verb) of every RoleBinding of a grant."""
    found = (ref for ref in cluster.refs(ROLE_BINDING) if f":{name}:" in ref.name)
    return {(ref.namespace, ref.name.rpartition(":")[2]) for ref in found}


# --- What is issued.


def test_it_issues_a_kubeconfig_for_every_cluster(alices, door, fleet):
    answer = alices.post(ISSUE)
    config = kubeconfig_of(answer)
    grant = grant_of(answer)
    assert [each["name"] for each in config["contexts"]] == ["acme-prod-a", "acme-prod-b"]
    assert config["current-context"] == "acme-prod-a"
    assert [each["cluster"]["server"] for each in config["clusters"]] == [
        f"{door}/clusters/prod-a",
        f"{door}/clusters/prod-b",
    ]
    assert set(tokens_of(config)) == {f"{grant.name}-prod-a", f"{grant.name}-prod-b"}
    for name in ("prod-a", "prod-b"):
        assert fleet[name].exists(Ref(SERVICE_ACCOUNT, GRANTS_NAMESPACE, grant.name))
        assert anchors(fleet[name]) == [f"{grant.name}-1"]
        assert bindings(fleet[name], grant.name) == {
            (f"acme--{project}", verb) for project in ("blog", "shop") for verb in Verbs
        }


def test_the_kubeconfig_trusts_the_proxys_authority_alone(alices):
    config = kubeconfig_of(alices.post(ISSUE))
    for cluster in config["clusters"]:
        assert set(cluster["cluster"]) == {"server", "certificate-authority-data"}
        bundle = cluster["cluster"]["certificate-authority-data"]
        assert b64decode(bundle).decode() == authority()
    assert {key for user in config["users"] for key in user["user"]} == {"token"}


def test_the_answer_is_kept_nowhere(alices):
    answer = alices.post(ISSUE, headers={"Idempotency-Key": "k"})
    assert answer["Cache-Control"] == "no-store"
    token = next(iter(tokens_of(kubeconfig_of(answer)).values()))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert token not in str(cursor.fetchall()), table


def test_it_answers_yaml_to_whoever_asks_for_it(alices):
    answer = alices.post(ISSUE, headers={"Accept": "application/yaml"})
    assert answer["Content-Type"] == "application/yaml"
    assert answer["Cache-Control"] == "no-store"
    assert yaml.safe_load(answer.content)["kind"] == "Config"


def test_errors_stay_problems_for_whoever_asks_for_yaml(alices):
    answer = alices.post(ISSUE, {"ttl_seconds": 1}, headers={"Accept": "application/yaml"})
    assert pointers(answer) == {"/ttl_seconds": "range"}


def test_it_shows_the_expiry_that_the_cluster_returned(alices):
    answer = alices.post(ISSUE, {"ttl_seconds": 1200})
    told = parse_datetime(answer.json()["expires_at"])
    grant = grant_of(answer)
    assert told == grant.expires_at
    left = told - timezone.now()
    assert timedelta(seconds=1190) < left <= timedelta(seconds=1201)


def test_a_projects_grant_opens_its_namespace_alone(alices, fleet):
    answer = alices.post(ISSUE_SHOP, {"clusters": ["prod-b"]})
    config = kubeconfig_of(answer)
    assert config["contexts"][0]["name"] == "acme-shop-prod-b"
    assert config["contexts"][0]["context"]["namespace"] == "acme--shop"
    assert {space for space, _ in bindings(fleet["prod-b"], grant_of(answer).name)} == {
        "acme--shop"
    }
    assert anchors(fleet["prod-a"]) == []


def test_a_tenants_grant_follows_its_new_namespaces(alices, acme, fleet):
    answer = alices.post(ISSUE)
    explicit = alices.post(ISSUE, {"namespaces": ["acme--shop"]})
    Project(tenant=acme, name="wiki").declare(by="alice")
    settle()
    follows, stays = grant_of(answer).name, grant_of(explicit).name
    assert ("acme--wiki", "view") in bindings(fleet["prod-a"], follows)
    assert {space for space, _ in bindings(fleet["prod-a"], stays)} == {"acme--shop"}
    granted = GrantPlacement.objects.get(grant__name=follows, cluster__name="prod-a").granted
    assert granted == ["acme--blog", "acme--shop", "acme--wiki"]


ROLES = [("alice", "tenant-admin"), ("bob", "tenant-dev"), ("carol", "read-only")]


@pytest.mark.parametrize(("name", "role"), ROLES)
def test_by_default_everybody_grants_their_own_role(alices, as_, name, role):
    answer = as_(name).post(ISSUE_SHOP)
    assert answer.status_code == 201, answer.content
    assert answer.json()["grant"]["verbs"] == sorted(VERBS_OF_ROLE[role])
    assert answer.json()["grant"]["subject"] == name


def test_a_tenant_admin_may_grant_less(alices):
    answer = alices.post(ISSUE, {"role": "read-only", "description": "for the dashboard"})
    assert answer.json()["grant"]["verbs"] == ["logs", "view"]
    assert answer.json()["grant"]["description"] == "for the dashboard"
    assert alices.post(ISSUE, {"verbs": ["view"]}).json()["grant"]["verbs"] == ["view"]


def test_an_operator_grants_everything(alices, as_):
    answer = as_("olga").post(ISSUE)
    assert answer.json()["grant"]["verbs"] == sorted(Verbs)


# --- What is refused, by field.

BAD = {
    "A37-zero": ({"ttl_seconds": 0}, {"/ttl_seconds": "range"}),
    "A37-one": ({"ttl_seconds": 1}, {"/ttl_seconds": "range"}),
    "A37-just too short": ({"ttl_seconds": 599}, {"/ttl_seconds": "range"}),
    "A37-negative": ({"ttl_seconds": -1}, {"/ttl_seconds": "range"}),
    "A37-just too long": ({"ttl_seconds": 86401}, {"/ttl_seconds": "range"}),
    "A37-400 days": ({"ttl_seconds": 34560000}, {"/ttl_seconds": "range"}),
    "A37-a million million": ({"ttl_seconds": 10**12}, {"/ttl_seconds": "range"}),
    "A37-a float": ({"ttl_seconds": 3600.5}, {"/ttl_seconds": "invalid"}),
    "A37-a text": ({"ttl_seconds": "1h"}, {"/ttl_seconds": "invalid"}),
    "A37-a number in a text": ({"ttl_seconds": "3600"}, {"/ttl_seconds": "invalid"}),
    "A37-true": ({"ttl_seconds": True}, {"/ttl_seconds": "invalid"}),
    "A37-null": ({"ttl_seconds": None}, {"/ttl_seconds": "null"}),
    "A38-a namespace of globex": ({"namespaces": ["globex--shop"]}, {"/namespaces/0": "unknown"}),
    "A38-kube-system": (
        {"namespaces": ["acme--shop", "kube-system"]},
        {"/namespaces/1": "unknown"},
    ),
    "A38-all namespaces": ({"namespaces": ["*"]}, {"/namespaces/0": "unknown"}),
    "A38-the empty namespace": ({"namespaces": [""]}, {"/namespaces/0": "blank"}),
    "no namespaces at all": ({"namespaces": []}, {"/namespaces": "empty"}),
    "A38-an unknown cluster": ({"clusters": ["prod-a", "prod-z"]}, {"/clusters/1": "unknown"}),
    "no clusters at all": ({"clusters": []}, {"/clusters": "empty"}),
    "an unknown verb": ({"verbs": ["view", "root"]}, {"/verbs/1": "invalid_choice"}),
    "A15-every verb": ({"verbs": ["*"]}, {"/verbs/0": "invalid_choice"}),
    "no verbs": ({"verbs": []}, {"/verbs": "empty"}),
    "an unknown role": ({"role": "cluster-admin"}, {"/role": "invalid_choice"}),
    "a role and verbs": ({"role": "read-only", "verbs": ["view"]}, {"/role": "exclusive"}),
    "an unknown field": ({"subject": "olga"}, {"/subject": "unknown"}),
}


@pytest.mark.parametrize(("body", "faults"), BAD.values(), ids=BAD.keys())
def test_it_refuses_by_field(alices, body, faults):
    answer = alices.post(ISSUE, body, format="json")
    assert (answer.status_code, pointers(answer)) == (400, faults)
    assert not KubeconfigGrant.objects.exists()


BEYOND = {
    "A15-carol, edit": ("carol", {"verbs": ["view", "edit"]}, {"/verbs/1": "beyond"}),
    "A15-carol, developer": ("carol", {"role": "tenant-dev"}, {"/role": "beyond"}),
    "A15-carol, secrets": ("carol", {"verbs": ["secrets"]}, {"/verbs/0": "beyond"}),
    "A15-bob, secrets": ("bob", {"verbs": ["secrets"]}, {"/verbs/0": "beyond"}),
    "A15-bob, admin": ("bob", {"role": "tenant-admin"}, {"/role": "beyond"}),
}


@pytest.mark.parametrize(("name", "body", "faults"), BEYOND.values(), ids=BEYOND.keys())
def test_nobody_grants_more_than_they_have(alices, as_, name, body, faults):
    answer = as_(name).post(ISSUE, body, format="json")
    assert (answer.status_code, pointers(answer)) == (403, faults)
    assert not KubeconfigGrant.objects.exists()


def test_a38_a_stranger_finds_no_tenant(alices, as_):
    there, nowhere = as_("charlie").post(ISSUE), as_("charlie").post(ISSUE.replace("acme", "none"))
    assert there.status_code == nowhere.status_code == 404
    assert not KubeconfigGrant.objects.exists()


def test_a38_a_tenant_being_deleted_takes_no_grant(alices, acme):
    acme.request_deletion(by="olga")
    answer = alices.post(ISSUE)
    assert (answer.status_code, answer.json()["code"]) == (409, "KN-DELETING")


def test_a_tenant_without_a_cluster_has_nothing_to_enter(alices, acme):
    acme.placements.update(unselected=True)
    assert alices.post(ISSUE).status_code == 409


def test_a35_there_is_a_limit_with_a_way_out(alices, settings):
    settings.GRANTS_PER_USER = 2
    first = alices.post(ISSUE, {"verbs": ["view"]})
    assert alices.post(ISSUE, {"verbs": ["logs"]}).status_code == 201
    refused = alices.post(ISSUE)
    assert (refused.status_code, refused.json()["code"]) == (409, "KN-LIMIT")
    assert ":revoke" in refused.json()["detail"]
    assert KubeconfigGrant.objects.count() == 2
    alices.post(f"/api/v1/grants/{grant_of(first).name}:revoke")
    assert alices.post(ISSUE).status_code == 201


# --- Faults on the way.


def test_an_unreachable_cluster_is_told_with_the_grant(alices, fleet):
    fleet["prod-b"].always(Unreachable("the network is down"))
    answer = alices.post(ISSUE)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "KN-UNAVAILABLE")
    grant = KubeconfigGrant.objects.get(name=problem["grant"])
    assert (problem["cluster"], grant.state) == ("prod-b", "Pending")
    assert "the network is down" in problem["detail"]
    assert grant.placements.get(cluster__name="prod-b").work.get().due_at is not None
    fleet["prod-b"].heal()
    hurry()
    again = alices.post(ISSUE)
    assert grant_of(again) == grant
    assert len(kubeconfig_of(again)["users"]) == 2


def test_a_dead_proxy_is_told_and_reconciling_goes_on(alices, settings, fleet):
    settings.PROXY_URL = "https://127.0.0.1:9"
    answer = alices.post(ISSUE)
    assert (answer.status_code, answer.json()["code"]) == (503, "KN-UNAVAILABLE")
    assert "access proxy does not answer" in answer.json()["detail"]
    grant = KubeconfigGrant.objects.get(name=answer.json()["grant"])
    settle()
    assert GrantPlacement.objects.get(grant=grant, cluster__name="prod-b").phase == "Deployed"


def test_a_door_with_another_certificate_is_no_door(alices, settings, tmp_path):
    settings.PROXY_DIR = tmp_path / "another"
    answer = alices.post(ISSUE)
    assert answer.status_code == 503
    assert "TLS" in answer.json()["detail"]


def test_a_paused_cluster_grants_nothing(alices):
    Cluster.objects.get(name="prod-a").pause(by="olga")
    assert "paused" in alices.post(ISSUE).json()["detail"]


@pytest.mark.parametrize(
    "token", ["a b\nusers:", "not-a-jwt", "a.b", "eyJh.eyJh.x\n- exec", "é.é.é"]
)
def test_a8_a_token_that_is_none_never_reaches_a_kubeconfig(alices, fleet, token, monkeypatch):
    reviews = fleet["prod-a"].reviews
    honest = reviews.answer

    def lie(body, path):
        answer = honest(body, path)
        if body["kind"] == "TokenRequest":
            answer["status"]["token"] = token
        return answer

    monkeypatch.setattr(reviews, "answer", lie)
    answer = alices.post(ISSUE, {"clusters": ["prod-a"]})
    assert answer.status_code == 503
    assert token not in answer.content.decode()


def test_f35_a_lost_answer_is_replaced_and_its_token_ends(alices, fleet):
    key = {"Idempotency-Key": "once"}
    first, second = (alices.post(ISSUE, headers=key) for _ in range(2))
    assert second["Idempotency-Replayed"] == "true"
    assert grant_of(first) == grant_of(second)
    old, new = (tokens_of(kubeconfig_of(answer)) for answer in (first, second))
    assert not set(old.values()) & set(new.values())
    for name in ("prod-a", "prod-b"):
        assert anchors(fleet[name]) == [f"{grant_of(first).name}-2"]
        placement = GrantPlacement.objects.get(cluster__name=name)
        secret = fleet[name].body(Ref(SECRET, GRANTS_NAMESPACE, placement.grant.anchor))
        assert placement.anchor_uid == secret["metadata"]["uid"]
    assert KubeconfigGrant.objects.count() == 1


def test_a34_a_key_belongs_to_one_body_and_one_person(alices, as_):
    key = {"Idempotency-Key": "mine"}
    alices.post(ISSUE, headers=key)
    other = alices.post(ISSUE, {"role": "read-only"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "KN-KEY-REUSED")
    assert grant_of(as_("bob").post(ISSUE, headers=key)).subject.username == "bob"


def test_a_retried_request_for_a_grant_that_ended_is_told_so(alices):
    key = {"Idempotency-Key": "again"}
    grant = grant_of(alices.post(ISSUE, headers=key))
    grant.revoke("alice")
    assert alices.post(ISSUE, headers=key).status_code == 409


# --- Listing and revoking.


def test_everybody_sees_their_own_and_the_admin_all(alices, as_):
    for name in ("alice", "bob", "carol"):
        as_(name).post(ISSUE_SHOP)
    seen = {
        name: [each["subject"] for each in as_(name).get("/api/v1/grants").json()["items"]]
        for name in ("alice", "bob", "carol", "charlie", "olga")
    }
    everybody = ["alice", "bob", "carol"]
    assert seen == {
        "alice": everybody,
        "bob": ["bob"],
        "carol": ["carol"],
        "charlie": [],
        "olga": everybody,
    }


def test_the_list_can_be_narrowed_and_paged(alices, as_):
    for verb in ("view", "logs"):
        alices.post(ISSUE, {"verbs": [verb]})
    alices.post(ISSUE_SHOP)
    gone = alices.get("/api/v1/grants?project=shop").json()["items"][0]["name"]
    alices.post(f"/api/v1/grants/{gone}:revoke")

    def found(query: str) -> int:
        return len(alices.get(f"/api/v1/grants?{query}").json()["items"])

    assert [found(query) for query in ("tenant=acme", "tenant=none", "live=true")] == [3, 0, 2]
    assert [found(query) for query in ("live=false", "subject=alice", "limit=1")] == [1, 3, 1]
    assert alices.get("/api/v1/grants?limit=1").json()["next"]
    assert alices.get("/api/v1/grants?verbs=view").status_code == 400


def test_a_grant_is_shown_without_its_token(alices):
    answer = alices.post(ISSUE)
    shown = alices.get(f"/api/v1/grants/{grant_of(answer).name}").json()
    assert shown["state"] == "Active"
    assert {each["cluster"] for each in shown["status"]["placements"]} == {"prod-a", "prod-b"}
    assert not any(token in str(shown) for token in tokens_of(kubeconfig_of(answer)).values())


def test_revoking_removes_everything_and_keeps_the_history(alices, fleet):
    grant = grant_of(alices.post(ISSUE))
    answer = alices.post(f"/api/v1/grants/{grant.name}:revoke")
    assert (answer.status_code, answer.json()["state"]) == (202, "Revoked")
    settle()
    for name in ("prod-a", "prod-b"):
        assert anchors(fleet[name]) == []
        assert bindings(fleet[name], grant.name) == set()
        assert not fleet[name].exists(Ref(SERVICE_ACCOUNT, GRANTS_NAMESPACE, grant.name))
    shown = alices.get(f"/api/v1/grants/{grant.name}").json()
    assert (shown["revoked_by"], bool(shown["closed_at"])) == ("alice", True)
    assert shown["status"]["phase"] == "Deployed"
    assert Event.objects.filter(reason="GrantClosed").count() == 1
    hurry()
    assert Event.objects.filter(reason="GrantClosed").count() == 1


@pytest.mark.parametrize("verb", ["post", "delete"])
def test_revoking_is_idempotent(alices, verb):
    grant = grant_of(alices.post(ISSUE))
    path = f"/api/v1/grants/{grant.name}" + (":revoke" if verb == "post" else "")
    first, second = (getattr(alices, verb)(path) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["revoked_at"] == second.json()["revoked_at"]


def test_an_admin_revokes_a_members_grant_and_a_member_only_their_own(alices, as_):
    bobs, carols = (grant_of(as_(name).post(ISSUE_SHOP)).name for name in ("bob", "carol"))
    assert as_("bob").post(f"/api/v1/grants/{carols}:revoke").status_code == 404
    assert as_("charlie").post(f"/api/v1/grants/{carols}:revoke").status_code == 404
    assert alices.post(f"/api/v1/grants/{bobs}:revoke").status_code == 202
    assert as_("carol").post(f"/api/v1/grants/{carols}:revoke").status_code == 202


# --- The end of a grant, without anybody revoking it.


def test_an_expired_grant_is_swept_from_the_clusters(alices, fleet):
    grant = grant_of(alices.post(ISSUE))
    work = grant.work.get()
    assert work.due_at is not None, "it looks again by itself"
    KubeconfigGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    hurry()
    grant.refresh_from_db()
    assert (grant.state, bool(grant.closed_at)) == ("Expired", True)
    assert anchors(fleet["prod-a"]) == []


def test_a27_demotion_narrows_a_grant(alices, acme, fleet):
    grant = grant_of(alices.post(ISSUE))
    acme.admit(person("alice"), Role.READ_ONLY, by="olga")
    settle()
    assert {verb for _, verb in bindings(fleet["prod-a"], grant.name)} == {"view", "logs"}
    acme.admit(person("alice"), Role.ADMIN, by="olga")
    settle()
    assert {verb for _, verb in bindings(fleet["prod-a"], grant.name)} == set(Verbs)


def test_a27_removal_ends_a_grant_for_good(alices, acme, fleet, as_):
    grant = grant_of(as_("bob").post(ISSUE))
    acme.dismiss(person("bob"), by="alice")
    settle()
    assert anchors(fleet["prod-a"]) == []
    acme.admit(person("bob"), Role.DEV, by="alice")
    settle()
    grant.refresh_from_db()
    assert (grant.state, anchors(fleet["prod-a"])) == ("Ended", [])


def test_a27_a_disabled_account_loses_its_grants(alices, as_, fleet):
    grant = grant_of(as_("bob").post(ISSUE))
    disable(person("bob"))
    settle()
    grant.refresh_from_db()
    assert (grant.state, anchors(fleet["prod-a"])) == ("Ended", [])


def test_a27_an_operator_who_is_none_any_more_loses_everything(alices, as_, fleet):
    grant_of(as_("olga").post(ISSUE))
    olga = person("olga")
    olga.is_staff = False
    olga.save()
    settle()
    assert anchors(fleet["prod-a"]) == []


def test_a44_the_grants_of_a_deleted_tenant_go_with_it(alices, acme, fleet):
    grant = grant_of(alices.post(ISSUE))
    acme.request_deletion(by="olga")
    settle()
    hurry()
    hurry()
    assert not KubeconfigGrant.objects.exists()
    assert anchors(fleet["prod-a"]) == []
    assert bindings(fleet["prod-a"], grant.name) == set()


def test_a_cluster_behind_capsule_proxy_is_entered_through_it(alices, door):
    proxied = {"kind": "capsule-proxy", "url": door, "ca_bundle": authority()}
    Cluster.objects.filter(name="prod-b").update(access_proxy=proxied)
    answer = alices.post(ISSUE, {"clusters": ["prod-b"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "KN-CAPABILITY")
    cluster = Cluster.objects.get(name="prod-b")
    cluster.capabilities.filter(name="tenancy.capsule").update(served=True)
    config = kubeconfig_of(alices.post(ISSUE, {"clusters": ["prod-b"]}))
    assert config["clusters"][0]["cluster"]["server"] == door


def test_an_own_proxy_elsewhere_is_named_by_its_url(alices, door, settings):
    settings.PROXY_URL = "https://127.0.0.1:9"
    elsewhere = {"kind": "kubenova-proxy", "url": door, "ca_bundle": authority()}
    Cluster.objects.filter(name="prod-a").update(access_proxy=elsewhere)
    config = kubeconfig_of(alices.post(ISSUE, {"clusters": ["prod-a"]}))
    assert config["clusters"][0]["cluster"]["server"] == f"{door}/clusters/prod-a"
