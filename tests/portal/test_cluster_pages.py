"""The page of a cluster for operators: findings, the runbook, and a bundle on its way."""

from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from clusters.credentials import dump
from clusters.models import BootstrapRun, Cluster, Finding
from clusters.preflight import Found, Severity, Stage
from reconcile.models import Event
from tests.clusters.steps import settle
from tests.clusters.test_bundles import manifest, text
from tests.fleet import Fleet, admin
from tests.people import alice, make_acme, olga, quick_passwords
from tests.portal.test_live import next_fetch
from tests.portal.test_pages import INLINE

__all__ = ["alice", "olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
PAGE = "/clusters/prod-a"
ACCEPT = f"{PAGE}/findings/kubevela-open"
BUNDLE = f"{PAGE}/bootstrap/tenancy-controller"
OPEN = Found("kubevela-open", Stage.DELIVERY, Severity.CRITICAL, "It is open.", "helm <upgrade>")
OBJECTS = text(manifest("ConfigMap", "a"), manifest("ConfigMap", "b"))


@pytest.fixture
def cluster(fleet: Fleet) -> Cluster:
    cluster = fleet.register("prod-a")
    Finding.objects.record(cluster, [OPEN])
    cluster.bootstrap = dump(admin("prod-a"))  # that of the registration, still at hand
    cluster.save(update_fields=["bootstrap"])
    return cluster


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_olga(olga, cluster: Cluster) -> Client:
    return signed_in(olga)


def shown(client: Client, path: str = PAGE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    assert not INLINE.findall(answer.content.decode())
    return unescape(answer.content.decode())


def upload(client: Client, raw: bytes = OBJECTS, **fields: object):
    file = SimpleUploadedFile("capsule.yaml", raw)
    return client.post(BUNDLE, {"bundle": file, **fields})


def test_it_shows_what_the_cluster_offers_lacks_and_how_to_mend_it(as_olga):
    found = shown(as_olga)
    assert "tenancy.native" in found and "It is open." in found and "helm <upgrade>" in found
    assert "helm upgrade --install capsule" in found and 'data-copy="fix-kubevela-open"' in found
    assert "It keeps new tenants away" in found


def test_what_a_finding_says_cannot_write_html(as_olga):
    assert b"helm <upgrade>" not in as_olga.get(PAGE).content


def test_the_list_leads_to_it_and_names_what_keeps_tenants_away(as_olga):
    found = shown(as_olga, "/clusters")
    assert f'href="{PAGE}"' in found and "kubevela-open" in found


def test_an_operator_accepts_with_a_reason_and_takes_it_back(as_olga):
    assert "It is open." in shown(as_olga, ACCEPT)
    answer = as_olga.post(ACCEPT, {"reason": "Nobody writes Applications."}, follow=True)
    assert "Nobody writes Applications." in answer.content.decode()
    assert not Finding.objects.get().blocks
    as_olga.post(f"{ACCEPT}/revoke")
    assert Finding.objects.get().blocks
    told = Event.objects.filter(actor="olga").values_list("reason", flat=True)
    assert {"FindingAccepted", "FindingRevoked"} <= set(told)


def test_it_is_not_accepted_without_a_reason(as_olga):
    assert as_olga.post(ACCEPT, {"reason": " "}).status_code == 422
    assert Finding.objects.get().blocks


def test_a_bundle_is_uploaded_followed_and_the_page_comes_to_rest(as_olga, fleet):
    answer = upload(as_olga, namespace="tools")
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    url = next_fetch(as_olga.get(PAGE).content.decode())
    assert url.startswith(f"{PAGE}/state") and as_olga.get(url).status_code == 204
    settle()
    answer = as_olga.get(url)
    assert "All 2 objects were applied." in answer.content.decode()
    assert next_fetch(answer.content.decode()) == ""
    assert BootstrapRun.objects.get().namespace == "tools"


def test_a_preview_writes_nothing_and_what_was_seen_is_applied(as_olga, fleet):
    fleet["prod-a"].writes.clear()
    answer = upload(as_olga, preview="yes")
    assert "creates 2" in answer.content.decode()
    assert fleet["prod-a"].writes == [] and not BootstrapRun.objects.exists()
    assert upload(as_olga, plan="0" * 32).status_code == 422
    assert not BootstrapRun.objects.exists()
    planned = answer.context["form"].plan.hash
    assert upload(as_olga, plan=planned).status_code == 302


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"a: &x 1\nb: *x\n", "anchor"),
        (b"x" * (1024 * 1024 + 1), "larger than"),
        (text(manifest("Namespace", "kubenova-system")), "own to write"),
    ],
    ids=["anchors", "large", "ours"],
)
def test_a_bad_bundle_is_told_beside_the_form(as_olga, raw, told):
    answer = upload(as_olga, raw)
    assert answer.status_code == 422 and told in unescape(answer.content.decode())
    assert not BootstrapRun.objects.exists()


def test_a_bad_kubeconfig_and_a_bad_namespace_are_told(as_olga):
    bad = SimpleUploadedFile("config", b"users: [{exec: {}}]")
    answer = upload(as_olga, kubeconfig=bad, namespace="Not A Name")
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"kubeconfig", "namespace"}


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/state", ACCEPT, BUNDLE])
def test_members_and_strangers_find_nothing_a24(cluster, alice, path):
    make_acme()
    client = signed_in(alice)
    assert client.get(path).status_code == 404
    assert client.post(path).status_code in {404, 405}
    assert Finding.objects.get().blocks


@pytest.mark.parametrize("path", [f"{PAGE}/findings/none", f"{PAGE}/bootstrap/baseline"])
def test_what_is_not_there_is_not_found(as_olga, path):
    assert as_olga.get(path).status_code == 404


def test_the_object_of_an_event_leads_to_its_page(as_olga, cluster):
    answer = as_olga.get(reverse("object", args=["cluster", cluster.uid]))
    assert answer["Location"] == PAGE
