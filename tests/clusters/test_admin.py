"""Clusters, the dirty set and events in the admin: seen and acted upon, hardly ever edited."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clusters.models import Cluster
from reconcile.models import AppliedObject, Event, Work
from tests.fleet import Fleet
from tests.people import olga, person, quick_passwords

__all__ = ["olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
LIST = "admin:clusters_cluster_changelist"


@pytest.fixture
def as_olga(olga) -> Client:
    client = Client()
    client.force_login(olga)
    return client


@pytest.fixture
def cluster(fleet: Fleet) -> Cluster:
    cluster = fleet.register("prod-a", labels={"region": "eu"})
    Work.objects.update(due_at=None)
    return cluster


def act(client: Client, name: str, rows: list[object], page: str = LIST):
    data = {"action": name, "_selected_action": [row.pk for row in rows]}
    return client.post(reverse(page), data, follow=True)


def edit(client: Client, cluster: Cluster, **fields: str):
    """Save the form of a cluster as a browser does."""
    inlines = {}
    for prefix in ("findings", "capabilities", "placements"):
        inlines |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    url = reverse("admin:clusters_cluster_change", args=[cluster.pk])
    return client.post(url, {**inlines, **fields}, follow=True)


def test_it_lists_clusters_with_phase_and_version(as_olga, cluster):
    text = as_olga.get(reverse(LIST)).content.decode()
    assert "prod-a" in text and "Deployed" in text and "v1.36.3" in text


def test_it_shows_conditions_and_capabilities_and_no_credential_a20(as_olga, cluster):
    url = reverse("admin:clusters_cluster_change", args=[cluster.pk])
    text = as_olga.get(url).content.decode()
    assert "BaselineStands" in text
    assert "tenancy.native" in text
    assert cluster.own_credentials[0].token not in text
    assert cluster.scoped.text not in text


def test_it_declares_what_an_operator_edits(as_olga, cluster):
    answer = edit(as_olga, cluster, labels='{"region": "us"}', access_proxy="null", _save="Save")
    assert answer.status_code == 200
    cluster.refresh_from_db()
    assert (cluster.labels, cluster.generation, cluster.declared_by) == (
        {"region": "us"},
        2,
        "olga",
    )


def test_it_edits_nothing_that_the_loop_owns(as_olga, cluster):
    edit(
        as_olga, cluster, labels="{}", access_proxy="null", phase="Error", version="v9", paused="on"
    )
    cluster.refresh_from_db()
    assert (cluster.phase, cluster.version, cluster.paused) == ("Deployed", "v1.36.3", False)


def test_it_tells_why_a_change_is_refused(as_olga, cluster):
    cluster.request_deletion(by="olga")
    answer = edit(as_olga, cluster, labels='{"a": "b"}', access_proxy="null")
    assert "is being deleted" in answer.content.decode()


def test_it_refuses_reserved_labels_a5(as_olga, cluster):
    edit(as_olga, cluster, labels='{"kubenova.io/tenant": "x"}', access_proxy="null")
    cluster.refresh_from_db()
    assert cluster.labels == {"region": "eu"}


def test_clusters_are_neither_added_nor_deleted_here(as_olga, cluster):
    assert as_olga.get(reverse("admin:clusters_cluster_add")).status_code == 403
    delete = reverse("admin:clusters_cluster_delete", args=[cluster.pk])
    assert as_olga.post(delete, {"post": "yes"}).status_code == 403


def test_its_actions_pause_resume_and_look(as_olga, cluster):
    act(as_olga, "pause", [cluster])
    cluster.refresh_from_db()
    assert cluster.paused
    act(as_olga, "resume", [cluster])
    cluster.refresh_from_db()
    assert not cluster.paused
    Work.objects.update(due_at=None)
    act(as_olga, "reconcile_now", [cluster])
    assert [work.kind for work in Work.objects.due()] == ["clusters.clusterbaseline"]


def test_who_may_only_look_acts_on_nothing(cluster):
    carol = person("carol", is_staff=True)
    carol.user_permissions.add(Permission.objects.get(codename="view_cluster"))
    client = Client()
    client.force_login(carol)
    assert client.get(reverse(LIST)).status_code == 200
    act(client, "pause", [cluster])
    edit(client, cluster, labels="{}", access_proxy="null")
    cluster.refresh_from_db()
    assert (cluster.paused, cluster.generation) == (False, 1)


def test_it_requeues_what_was_set_aside(as_olga, cluster):
    Work.objects.update(quarantined_at=timezone.now(), attempts=5)
    page = "admin:reconcile_work_changelist"
    assert "clusters.clusterbaseline" in as_olga.get(reverse(page)).content.decode()
    act(as_olga, "requeue", list(Work.objects.all()), page)
    assert Work.objects.due().filter(attempts=0).count() == 2


def test_events_are_found_by_their_correlation_id_and_never_changed(as_olga, cluster):
    event = Event.objects.first()
    Event.objects.filter(pk=event.pk).update(correlation_id="needle", message="found it")
    page = reverse("admin:reconcile_event_changelist")
    found = as_olga.get(page, {"q": "needle"}).content.decode()
    assert "found it" in found
    assert "found it" not in as_olga.get(page, {"q": "hay"}).content.decode()
    delete = reverse("admin:reconcile_event_delete", args=[event.pk])
    assert as_olga.post(delete, {"post": "yes"}).status_code == 403


def test_what_was_applied_tells_whether_it_is_as_applied(as_olga, cluster):
    AppliedObject.objects.filter(kind="Namespace").update(live_fp="other")
    page = reverse("admin:reconcile_appliedobject_changelist")
    text = as_olga.get(page, {"q": "kubenova-grants"}).content.decode()
    assert "kubenova-grants" in text
