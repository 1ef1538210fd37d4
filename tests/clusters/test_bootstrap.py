"""The bootstrap runbook: what a cluster lacks, and a bundle on its way there."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from rest_framework.test import APIClient

from clusters.credentials import dump
from clusters.kinds import CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, NAMESPACE, VALIDATING_WEBHOOKS
from clusters.models import BootstrapRun, Cluster
from reconcile.drain import take_step
from reconcile.errors import Refused, Unreachable
from reconcile.models import AppliedObject, Event, Work
from reconcile.values import Kind, Ref
from tests.api.conftest import pointers, problem, signed_in
from tests.clusters import platforms
from tests.clusters.steps import hurry, settle
from tests.clusters.test_bundles import definition, manifest, text
from tests.fleet import Fleet, admin
from tests.memory_cluster import MemoryCluster
from tests.people import alice, make_acme, olga, person, quick_passwords

__all__ = ["alice", "olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
PATH = "/api/v1/clusters/prod-a"
WIDGET = Kind("example.org/v1", "Widget", "widgets")
WIDGETS = Ref(CUSTOM_RESOURCE_DEFINITION, "", "widgets.example.org")
CONTROLLER = Ref(DEPLOYMENT, "capsule-system", "controller")
HOOK = Ref(VALIDATING_WEBHOOKS, "", "guard")
ONE = Ref(WIDGET, "capsule-system", "one")
BUNDLE = text(
    manifest("ValidatingWebhookConfiguration", "guard", HOOK.kind.api_version),
    manifest("Deployment", "controller", "apps/v1") | {"spec": {"replicas": 1}},
    manifest("Widget", "one", WIDGET.api_version),
    definition(),
)


@pytest.fixture
def cluster(fleet: Fleet) -> Cluster:
    cluster = fleet.register("prod-a")
    Work.objects.update(due_at=None)
    return cluster


@pytest.fixture
def live(cluster: Cluster, fleet: Fleet) -> MemoryCluster:
    fleet["prod-a"].writes.clear()
    return fleet["prod-a"]


def ask(cluster: Cluster, raw: bytes = BUNDLE, **options: object) -> BootstrapRun:
    given = {"credential": admin("prod-a"), "by": "olga"} | options
    return BootstrapRun.ask(cluster, "tenancy-controller", raw, **given)


def step(run: BootstrapRun) -> BootstrapRun:
    """Take one step with the run now."""
    run.mark()
    take_step(Work.objects.claim(run.work.get().pk))
    return BootstrapRun.objects.get(pk=run.pk)


def told(run: BootstrapRun) -> str:
    return next(each["message"] for each in run.conditions if each["type"] == "Synced")


def establish(live: MemoryCluster) -> None:
    """Do what an API server does with a definition."""
    live.set_status(WIDGETS, {"conditions": [{"type": "Established", "status": "True"}]})
    for version in ("example.org/v1", "example.org/v1beta1"):
        live.serve(WIDGET._replace(api_version=version))


def start(live: MemoryCluster, ref: Ref = CONTROLLER) -> None:
    live.set_status(ref, {"conditions": [{"type": "Available", "status": "True"}]})


def done(run: BootstrapRun, live: MemoryCluster) -> BootstrapRun:
    step(run)
    establish(live)
    step(run)
    start(live)
    return step(run)


# --- A bundle on its way.


def test_it_goes_wave_by_wave_and_waits_between_them(cluster, live):
    run = step(ask(cluster))
    assert (run.phase, live.exists(CONTROLLER), live.exists(ONE)) == ("Applying", False, False)
    assert "widgets.example.org is not established" in told(run)
    establish(live)
    run = step(run)
    assert live.exists(ONE) and live.exists(CONTROLLER) and not live.exists(HOOK)
    assert "Deployment capsule-system/controller is not available" in told(run)
    assert "3 of 4" in told(run)
    start(live)
    run = step(run)
    assert (run.phase, live.exists(HOOK), len(run.applied)) == ("Deployed", True, 4)


def test_its_namespace_is_made_where_it_is_absent(cluster, live):
    step(ask(cluster, text(manifest("ConfigMap", "a")), namespace="tools"))
    assert live.exists(Ref(NAMESPACE, "", "tools"))


def test_a_namespace_on_its_way_out_is_waited_for(cluster, live):
    ref = platforms.put(live, Ref(NAMESPACE, "", "tools"))
    live.finishes = False
    live.remove(ref)
    run = step(ask(cluster, text(manifest("ConfigMap", "a")), namespace="tools"))
    assert (run.phase, "still on its way out" in told(run)) == ("Applying", True)
    live.finish_deletions()
    assert step(run).phase == "Deployed"


def test_what_it_needed_is_dropped_at_the_end_and_the_cluster_is_looked_at(cluster, live):
    run = done(ask(cluster), live)
    assert (run.bundle, run.credential) == (None, None)
    assert run.finished_at and run.observed_generation == run.generation
    assert Work.objects.due().filter(kind="clusters.clusterbaseline").exists()
    assert Event.objects.filter(reason="Bootstrapped").count() == 1


def test_its_objects_are_the_operators_and_not_kubenovas(cluster, live):
    run = done(ask(cluster), live)
    assert "kubenova.io/owner" not in live.body(ONE)["metadata"].get("labels", {})
    assert not AppliedObject.objects.filter(work__in=run.work).exists()
    live.remove(ONE)
    live.writes.clear()
    step(run)
    assert live.writes == [], "applied once: drift is not repaired"


def test_what_is_there_is_not_applied_again_after_a_kill(cluster, live):
    run = ask(cluster)
    live.fail_next(Unreachable("cut"), verb="apply", after=True)
    run = step(run)
    run = step(run)
    establish(live)
    live.writes.clear()
    step(run)
    assert WIDGETS not in {ref for _, ref in live.writes}


def test_a_definition_that_is_not_served_yet_is_waited_for(cluster, live):
    run = step(ask(cluster))
    live.set_status(WIDGETS, {"conditions": [{"type": "Established", "status": "True"}]})
    assert "Widget is not served yet" in told(step(run))


def test_a_kind_that_nobody_brings_is_named(cluster, live):
    run = step(ask(cluster, text(manifest("Monitor", api="monitoring.example.org/v1"))))
    assert run.phase == "Error"
    assert "Monitor of monitoring.example.org/v1" in told(run) and "out of the bundle" in told(run)


def test_a_refusal_names_the_object_and_is_tried_again(cluster, live):
    run = ask(cluster, text(manifest("ConfigMap", "a"), manifest("ConfigMap", "b")))
    ref = Ref(core("ConfigMap"), "capsule-system", "b")
    live.fail_on("apply", ref, Refused("denied by policy"), times=1)
    run = step(run)
    assert (run.phase, "ConfigMap b: denied by policy" in told(run)) == ("Error", True)
    assert "1 of 2" in told(run)
    assert step(run).phase == "Deployed"


def core(name: str) -> Kind:
    return Kind("v1", name, f"{name.lower()}s")


def test_fields_of_others_are_taken_by_force_alone(cluster, live):
    ref = Ref(core("ConfigMap"), "capsule-system", "a")
    platforms.put(live, ref, data={"x": "theirs"})
    ours = text(manifest("ConfigMap", "a") | {"data": {"x": "ours"}})
    run = step(ask(cluster, ours))
    assert (run.phase, "helm" in told(run), '"force": true' in told(run)) == ("Error", True, True)
    assert step(ask(cluster, ours, force=True)).phase == "Deployed"
    assert live.body(ref)["data"] == {"x": "ours"}


def test_an_object_of_kubenovas_is_never_written(cluster, live):
    ref = Ref(core("ConfigMap"), "capsule-system", "a")
    platforms.put(live, ref, {"app.kubernetes.io/managed-by": "kubenova"})
    run = step(ask(cluster, text(manifest("ConfigMap", "a")), force=True))
    assert run.phase == "Error" and "KubeNova's own" in told(run)


def test_the_credential_of_another_cluster_writes_nothing(cluster, live):
    Cluster.objects.update(kube_system_uid="another")
    run = step(ask(cluster))
    assert run.phase == "Error" and "another cluster" in told(run)
    assert live.writes == []


def test_a_credential_is_kept_for_an_hour_at_most(cluster, live):
    run = ask(cluster)
    BootstrapRun.objects.update(credential_until=timezone.now() - timedelta(seconds=1))
    run = step(run)
    assert run.credential is None and "Send the bundle again" in told(run)
    assert live.writes == [] and run.work.get().due_at is None
    assert done(ask(cluster), live).phase == "Deployed"


def test_a_paused_cluster_is_left_as_it_is(cluster, live):
    run = ask(cluster)
    cluster.refresh_from_db()
    cluster.pause(by="olga")
    step(run)
    assert live.writes == []
    cluster.refresh_from_db()
    cluster.resume(by="olga")
    settle()
    assert live.exists(WIDGETS)


def test_nothing_is_written_to_a_cluster_that_is_held(cluster, live):
    Cluster.objects.update(report_only="EpochBehind", report_only_message="Confirm first.")
    assert "Confirm first." in told(step(ask(cluster)))
    assert live.writes == []


def test_another_bundle_takes_its_place(cluster, live):
    first = step(ask(cluster))
    second = ask(cluster, text(manifest("ConfigMap", "a")))
    assert (second.pk, second.applied) == (first.pk, {})
    assert step(second).phase == "Deployed"


def test_it_goes_with_its_cluster(cluster, live, fleet):
    run = ask(cluster)
    cluster.abandon(by="olga")
    assert not Work.objects.filter(owner=run.owner).exists()
    assert not BootstrapRun.objects.exists()


def test_an_unreachable_cluster_is_tried_again(cluster, live):
    run = ask(cluster)
    live.fail_next(Unreachable("cut"))
    assert step(run).phase == "Applying"
    hurry()
    assert live.exists(WIDGETS)


# --- Over HTTP.


def steps(client: APIClient) -> dict[str, dict]:
    return {each["name"]: each for each in client.get(f"{PATH}/bootstrap").json()["steps"]}


def post(client: APIClient, body: dict, query: str = "", **headers: str):
    return client.post(f"{PATH}:bootstrap{query}", body, format="json", **headers)


def asked(**fields: object) -> dict:
    return {"step": "tenancy-controller", "bundle": BUNDLE.decode()} | fields


@pytest.fixture
def at_hand(cluster: Cluster) -> Cluster:
    """The credential of the registration is still kept."""
    cluster.refresh_from_db()
    cluster.bootstrap = dump(admin("prod-a"))
    cluster.save(update_fields=["bootstrap"])
    return cluster


def test_plain_kubernetes_lacks_nothing_that_has_to_be_there(cluster, olga):
    found = steps(signed_in(olga))
    assert list(found) == ["tenancy-controller", "access-proxy", "delivery-core", "baseline"]
    assert [each["state"] for each in found.values()] == ["Absent"] * 3 + ["Ready"]
    assert [each["optional"] for each in found.values()] == [True] * 3 + [False]
    helm, api = found["tenancy-controller"]["commands"]
    assert helm.startswith("helm upgrade --install capsule oci://") and "prod-a:bootstrap" in api


def test_what_was_found_of_a_platform_is_told_with_its_fix(cluster, live, olga):
    platforms.capsule(live, "0.13.7")
    cluster.baseline.mark()
    settle()
    found = steps(signed_in(olga))["tenancy-controller"]
    assert (found["state"], found["version"], found["needed"]) == ("Degraded", "0.13.7", "0.13.8")
    assert "known holes" in found["missing"][0] and "helm upgrade" in found["commands"][0]


def test_a_platform_that_is_well_is_ready(cluster, live, olga):
    platforms.capsule(live)
    cluster.baseline.mark()
    settle()
    found = steps(signed_in(olga))["tenancy-controller"]
    assert (found["state"], found["missing"]) == ("Ready", [])
    assert "capsule-system/capsule: 1 of 1 pods run." in found["health"]


def test_an_operator_has_a_bundle_applied_and_sees_how_it_fares(at_hand, live, olga):
    client = signed_in(olga)
    answer = post(client, asked(), HTTP_IDEMPOTENCY_KEY="k")
    assert answer.status_code == 202
    assert post(client, asked(), HTTP_IDEMPOTENCY_KEY="k").json() == answer.json()
    run = done(BootstrapRun.objects.get(), live)
    assert run.generation == 1, "asked for once"
    shown = steps(client)["tenancy-controller"]["run"]
    assert (shown["phase"], shown["applied"], shown["total"]) == ("Deployed", 4, 4)
    assert "example.org/v1 Widget one" in shown["objects"]


def test_a20_no_answer_and_no_event_holds_the_bundle_or_the_credential(at_hand, live, olga):
    client = signed_in(olga)
    secret = text(manifest("Secret", "s") | {"stringData": {"key": "c4n4ry"}}).decode()
    answers = [post(client, asked(bundle=secret)), client.get(f"{PATH}/bootstrap")]
    step(BootstrapRun.objects.get())
    answers.append(client.get(f"{PATH}/bootstrap"))
    said = " ".join(str(event.data) + event.message for event in Event.objects.all())
    for content in (said, *(answer.content.decode() for answer in answers)):
        assert "c4n4ry" not in content and admin("prod-a").token not in content


def test_a_plan_says_what_would_be_written_and_writes_nothing(at_hand, live, olga):
    client = signed_in(olga)
    found = post(client, asked(), "?dryRun=plan").json()
    assert found["summary"]["create"] == 3, "the widget's kind is not served yet"
    assert live.writes == [] and not BootstrapRun.objects.exists()
    stale = post(client, asked(bundle=text(manifest("ConfigMap")).decode()), HTTP_IF_PLAN="0" * 32)
    problem(stale, 409, "KN-PLAN-STALE")
    assert post(client, asked(), HTTP_IF_PLAN=found["hash"]).status_code == 202
    assert BootstrapRun.objects.count() == 1


def test_without_a_credential_nothing_can_be_applied(cluster, olga):
    found = problem(post(signed_in(olga), asked()), 400, "KN-INVALID")
    assert pointers(found) == ["/kubeconfig"]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"bundle": "a: &x 1\nb: *x\n"}, "/bundle"),
        ({"bundle": ""}, "/bundle"),
        ({"step": "baseline"}, "/step"),
        ({"namespace": "Not A Name"}, "/namespace"),
        ({"force": "yes"}, "/force"),
        ({"kubeconfig": "bm8="}, "/kubeconfig"),
        ({"credential": "x"}, "/credential"),
    ],
    ids=["anchors", "empty", "baseline", "namespace", "force", "kubeconfig", "unknown"],
)
def test_what_is_wrong_is_pointed_at(at_hand, olga, fields, where):
    found = problem(post(signed_in(olga), asked(**fields)), 400, "KN-INVALID")
    assert pointers(found) == [where]
    assert not BootstrapRun.objects.exists()


def test_members_and_strangers_see_nothing_a24(at_hand, alice):
    make_acme()
    client = signed_in(alice)
    assert client.get(f"{PATH}/bootstrap").status_code == 404
    assert post(client, asked()).status_code == 404


def test_who_may_only_see_clusters_applies_nothing(at_hand):
    viewer = person("vera")
    viewer.user_permissions.add(Permission.objects.get(codename="view_cluster"))
    client = signed_in(viewer)
    assert client.get(f"{PATH}/bootstrap").status_code == 200
    assert post(client, asked()).status_code == 403
    assert not BootstrapRun.objects.exists()
