"""Findings and bundles in the admin: accepted with a reason, never edited, nothing sealed shown."""

import pytest
from django.test import Client
from django.urls import reverse

from clusters.models import BootstrapRun, Cluster, Finding
from clusters.preflight import Found, Severity, Stage
from tests.clusters.test_bundles import manifest, text
from tests.fleet import Fleet, admin
from tests.people import olga, person, quick_passwords

__all__ = ["olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
LIST = "admin:clusters_finding_changelist"
HOLE = Found("capsule-version", Stage.TENANCY, Severity.CRITICAL, "It has holes.", "helm upgrade")


@pytest.fixture
def as_olga(olga) -> Client:
    client = Client()
    client.force_login(olga)
    return client


@pytest.fixture
def cluster(fleet: Fleet) -> Cluster:
    cluster = fleet.register("prod-a")
    Finding.objects.record(cluster, [HOLE])
    return cluster


def act(client: Client, name: str, **fields: str):
    data = {"action": name, "_selected_action": [Finding.objects.get().pk], **fields}
    return client.post(reverse(LIST), data, follow=True)


def test_it_lists_findings_with_a_place_for_the_reason(as_olga, cluster):
    found = as_olga.get(reverse(LIST)).content.decode()
    assert "It has holes." in found and "Accept with the reason given" in found
    assert 'name="reason"' in found


def test_an_operator_accepts_and_revokes(as_olga, cluster):
    act(as_olga, "accept", reason="Upgrade on Monday.")
    found = Finding.objects.get()
    assert (found.accepted_by, found.accepted_reason) == ("olga", "Upgrade on Monday.")
    assert "1 acceptances were revoked" in act(as_olga, "revoke").content.decode()
    assert Finding.objects.get().blocks


def test_without_a_reason_nothing_is_accepted(as_olga, cluster):
    answer = act(as_olga, "accept", reason="").content.decode()
    assert "Say why it may stay" in answer and Finding.objects.get().blocks


def test_who_may_not_change_findings_accepts_none(cluster):
    helper = person("hugo", is_staff=True)
    client = Client()
    client.force_login(helper)
    assert act(client, "accept", reason="Please.").status_code == 403
    assert Finding.objects.get().blocks


def test_the_page_of_a_cluster_shows_its_findings(as_olga, cluster):
    url = reverse("admin:clusters_cluster_change", args=[cluster.pk])
    assert "It has holes." in as_olga.get(url).content.decode()


def test_a20_a_bundle_is_followed_and_not_shown(as_olga, cluster):
    secret = text(manifest("Secret", "s") | {"stringData": {"key": "c4n4ry"}})
    run = BootstrapRun.ask(
        cluster, "tenancy-controller", secret, credential=admin("prod-a"), by="olga"
    )
    pages = [
        reverse("admin:clusters_bootstraprun_changelist"),
        reverse("admin:clusters_bootstraprun_change", args=[run.pk]),
    ]
    for page in pages:
        found = as_olga.get(page).content.decode()
        assert "0 of 1" in found
        assert "c4n4ry" not in found and admin("prod-a").token not in found
