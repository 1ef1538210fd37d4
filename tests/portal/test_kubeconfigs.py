"""Kubeconfigs: asked for in a form, shown once, listed, revoked."""

import re
from datetime import timedelta

import pytest
import yaml
from django.test import Client
from django.utils import timezone

from access.models import KubeconfigGrant
from tests.access.doors import open_door
from tests.portal.conftest import As

SHOP = "/tenants/acme/projects/shop/issue-kubeconfig"


@pytest.fixture(autouse=True)
def door(settings, tmp_path):
    """An access proxy that answers."""
    settings.PROXY_DIR = tmp_path / "proxy"
    with open_door() as url:
        settings.PROXY_URL = url
        yield url


def form_of(client: Client, path: str = SHOP, **change: object) -> dict[str, object]:
    """The form as the page shows it, sent as it is but for changes."""
    form = client.get(path).context["form"]
    shown = {field.name: field.value() for field in form if field.value() is not None}
    return shown | change


def test_the_form_offers_what_the_role_allows(shop, as_: As) -> None:
    offered = {name: form_of(as_(name))["verbs"] for name in ("alice", "bob", "carol")}
    assert offered["carol"] == ["logs", "view"]
    assert offered["alice"] == offered["bob"] == ["edit", "exec", "logs", "port-forward", "view"]
    assert "secrets" not in as_("bob").get(SHOP).content.decode()
    assert "secrets" in as_("alice").get(SHOP).content.decode()


def test_a_kubeconfig_is_shown_once(shop, as_: As, door: str) -> None:
    client = as_("carol")
    form = form_of(client, description="for a look")
    answer = client.post(SHOP, form)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    config = yaml.safe_load(answer.context["kubeconfig"])
    assert config["clusters"][0]["cluster"]["server"].startswith(door)
    assert config["users"][0]["user"]["token"] in answer.content.decode()
    grant = KubeconfigGrant.objects.get()
    assert (grant.description, grant.subject.username) == ("for a look", "carol")
    again = client.post(SHOP, form, follow=True)
    assert "shown only once" in again.content.decode()
    assert KubeconfigGrant.objects.count() == 1


def test_the_token_is_kept_nowhere(shop, as_: As) -> None:
    client = as_("carol")
    answer = client.post(SHOP, form_of(client))
    token = yaml.safe_load(answer.context["kubeconfig"])["users"][0]["user"]["token"]
    assert token not in str(dict(client.session))
    for path in ("/grants", "/activity", "/tenants/acme/activity"):
        assert token not in client.get(path).content.decode()


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("verbs", {"verbs": ["secrets"]}),
        ("verbs", {"verbs": []}),
        ("clusters", {"clusters": ["elsewhere"]}),
        ("ttl_seconds", {"ttl_seconds": "999999"}),
        ("ttl_seconds", {"ttl_seconds": "x"}),
    ],
    ids=["beyond", "none", "cluster", "long", "word"],
)
def test_nobody_gets_more_than_they_have(field: str, change, shop, as_: As) -> None:
    client = as_("bob")
    answer = client.post(SHOP, form_of(client, **change))
    assert answer.status_code == 422
    assert [*answer.context["form"].errors] == [field]
    assert not KubeconfigGrant.objects.exists()


def test_a_cluster_that_is_away_is_said(shop, fleet, settings, as_: As) -> None:
    settings.PROXY_URL = "https://127.0.0.1:1"
    client = as_("bob")
    answer = client.post(SHOP, form_of(client))
    assert answer.status_code == 422
    assert re.search("grant-[0-9a-f]+", answer.content.decode())


def test_a_tenant_on_no_cluster_has_nothing_to_enter(globex, as_: As) -> None:
    text = as_("charlie").get("/tenants/globex/issue-kubeconfig").content.decode()
    assert "There is no cluster to enter" in text
    assert "<form" not in text.split("<main")[1]


def test_a_tenants_kubeconfig_may_name_namespaces(shop, as_: As) -> None:
    client, path = as_("alice"), "/tenants/acme/issue-kubeconfig"
    client.post(path, form_of(client, path, namespaces=["acme--shop"]))
    assert KubeconfigGrant.objects.get().namespaces == ["acme--shop"]


def test_one_sees_ones_own_and_an_admin_those_of_the_tenant(shop, as_: As) -> None:
    for name in ("alice", "bob"):
        client = as_(name)
        client.post(SHOP, form_of(client, description=f"of {name}"))
    assert "of alice" not in as_("bob").get("/grants?everybody=yes").content.decode()
    assert "of bob" not in as_("alice").get("/grants").content.decode()
    assert "of bob" in as_("alice").get("/grants?everybody=yes").content.decode()


def test_it_is_revoked_after_a_question(shop, globex, as_: As) -> None:
    client = as_("bob")
    client.post(SHOP, form_of(client))
    path = f"/grants/{KubeconfigGrant.objects.get().name}/revoke"
    assert as_("carol").get(path).status_code == 404
    assert as_("charlie").post(path).status_code == 404
    assert client.get(path).status_code == 200
    assert KubeconfigGrant.objects.get().revoked_at is None
    assert client.post(path)["Location"] == "/grants"
    assert KubeconfigGrant.objects.get().revoked_by == "bob"
    assert "Revoked" in client.get("/grants?ended=yes").content.decode()
    assert "Revoked" not in client.get("/grants").content.decode().split("<table")[-1]


def test_it_says_when_a_cluster_refused_an_ended_one(shop, as_: As) -> None:
    client = as_("bob")
    client.post(SHOP, form_of(client))
    grant = KubeconfigGrant.objects.get()
    grant.record_dead("prod-a", timezone.now() - timedelta(minutes=5))
    assert "refused by" not in client.get("/grants?ended=yes").content.decode()
    grant.revoke("bob")
    grant.record_dead("prod-a", timezone.now() - timedelta(minutes=3))
    grant.record_dead("prod-a", timezone.now())
    text = client.get("/grants?ended=yes").content.decode()
    assert 'refused by <span class="mono">prod-a</span>' in text
    assert "3 minutes ago" in text


def test_an_admin_revokes_those_of_the_team(shop, as_: As) -> None:
    client = as_("bob")
    client.post(SHOP, form_of(client))
    as_("alice").post(f"/grants/{KubeconfigGrant.objects.get().name}/revoke")
    assert KubeconfigGrant.objects.get().revoked_by == "alice"


def test_what_is_done_on_pages_is_in_the_audit_log(shop, as_: As) -> None:
    client = as_("bob")
    client.post(SHOP, form_of(client))
    grant = KubeconfigGrant.objects.get().name
    as_("carol").get("/tenants/acme/edit")
    text = as_("alice").get("/audit").content.decode()
    assert grant in text
    assert "tenants/acme/edit" in text
    refused = as_("alice").get("/audit?denied=yes").content.decode()
    assert grant not in refused
    assert "tenants/acme/edit" in refused
    assert grant not in as_("carol").get("/audit").content.decode()
    assert grant in as_("alice").get(f"/audit?grant={grant}&actor=bob&source=page").content.decode()
