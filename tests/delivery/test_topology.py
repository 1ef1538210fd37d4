"""What an app has on its clusters, object by object, and what these say of it."""

import json
from types import SimpleNamespace

import pytest

from clusters.adapters.kubevela import APPLICATION
from clusters.kinds import CONFIG_MAP, EVENT, POD, REPLICA_SET, SERVICE
from delivery.adapters.native import DEPLOYMENT
from delivery.adapters.native_pods import COMPONENT
from delivery.happenings import MOST
from delivery.models import App, AppPlacement
from delivery.rules.happenings import happenings
from delivery.rules.topology import Piece, Standing, pieces
from reconcile.errors import Unreachable
from reconcile.models import AppliedObject
from reconcile.values import APP, JSON, Ref
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.logs import NAMESPACE, pod
from tests.delivery.paths import APPS, BODY, SITE
from tests.delivery.samples import component
from tests.memory_cluster import MemoryCluster

OBJECTS, EVENTS = f"{SITE}/objects", f"{SITE}/kube-events"
KINDS = (CONFIG_MAP, DEPLOYMENT, SERVICE)
WEB = Ref(DEPLOYMENT, NAMESPACE, "web")


def wanted(ref: Ref, owner: str = "web") -> JSON:
    meta: JSON = {"name": ref.name, "namespace": ref.namespace}
    labels = {"labels": {COMPONENT: owner}} if owner else {}
    return {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta | labels}


def event(ref: Ref, message: str = "Pulled.", minute: int = 0, **fields: object) -> JSON:
    about = {"kind": ref.kind.name, "namespace": ref.namespace, "name": ref.name}
    told = {"type": "Normal", "reason": "Pulled", "message": message, "count": 1}
    last = {"lastTimestamp": f"2026-01-01T10:{minute:02}:00Z"}
    return {"involvedObject": about, **told, **last, **fields}


def happen(cluster: MemoryCluster, name: str, ref: Ref, *args: object, **fields: object) -> None:
    """Have an Event on the cluster, as its controllers write them."""
    body = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": NAMESPACE}}
    cluster.apply_as("kube-controller-manager", Ref(EVENT, NAMESPACE, name), body)
    told = event(ref, *args, **fields)
    cluster.edit(Ref(EVENT, NAMESPACE, name), "test", lambda live: live.update(told))


# --- Whose objects they are.


def test_objects_are_sorted_to_their_components_in_the_order_of_creation():
    service, config = Ref(SERVICE, NAMESPACE, "web"), Ref(CONFIG_MAP, NAMESPACE, "settings")
    other, gone = Ref(DEPLOYMENT, NAMESPACE, "jobs"), Ref(SERVICE, NAMESPACE, "old")
    bodies = [wanted(service), wanted(WEB), wanted(other, "jobs"), wanted(config)]
    found = pieces(bodies, KINDS, {WEB: True, service: False, gone: True}, COMPONENT)
    assert found == {
        "web": [
            Piece(config, Standing.PENDING),
            Piece(WEB, Standing.APPLIED),
            Piece(service, Standing.DIFFERS),
        ],
        "jobs": [Piece(other, Standing.PENDING)],
        "": [Piece(gone, Standing.LEAVING)],
    }


def test_what_carries_no_component_belongs_to_the_app():
    assert list(pieces([wanted(WEB, "")], KINDS, {WEB: True}, COMPONENT)) == [""]


# --- What happened, made harmless.


def test_events_are_those_of_the_objects_newest_first():
    other = Ref(POD, NAMESPACE, "other")
    events = [event(WEB, "old", 1), event(other, "not ours", 2), event(WEB, "new", 3)]
    found = happenings(events, {("Deployment", "web")}, 10)
    assert [each.message for each in found] == ["new", "old"]
    assert [each.message for each in happenings(events, {("Deployment", "web")}, 1)] == ["new"]
    assert happenings(events, {("Pod", "web")}, 10) == [], "of another kind"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"message": "\x1b[31mred\x1b[0m\u202eback"}, {"message": "red\ufffdback"}),
        ({"message": "one\ntwo\r\nthree"}, {"message": "one two three"}),
        ({"message": "x" * 5000}, {"message": "x" * 1024}),
        ({"message": None, "reason": {"a": 1}}, {"message": "", "reason": ""}),
        ({"type": "Warning"}, {"type": "Warning"}),
        ({"type": "\x1b[31mWarning"}, {"type": "Normal"}),
        ({"series": {"count": 7, "lastObservedTime": "2026-01-02T00:00:00Z"}}, {"count": 7}),
        ({"count": "many"}, {"count": 1}),
        ({"count": 10**30}, {"count": 1}),
        ({"count": None}, {"count": 1}),
        ({"lastTimestamp": None, "eventTime": "2026-01-03"}, {"last": "2026-01-03"}),
        ({"lastTimestamp": None}, {"last": ""}),
        ({"lastTimestamp": ["x"]}, {"last": ""}),
        ({"metadata": "x", "series": []}, {"reason": "Pulled"}),
    ],
)
def test_a8_an_event_is_bounded_and_steers_nothing(fields, expected):
    (found,) = happenings([event(WEB) | fields], {("Deployment", "web")}, 10)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("about", [None, [], "x", {"kind": ["Deployment"], "name": "web"}])
def test_a8_an_event_about_nothing_is_left_out(about):
    assert happenings([{"involvedObject": about}], {("Deployment", "web")}, 10) == []


# --- Over HTTP: objects.


def objects_of(client) -> dict[str, str]:
    (cluster,) = client.get(OBJECTS).json()["clusters"]
    (web,) = cluster["components"]
    return {f"{each['kind']} {each['name']}": each["standing"] for each in web["objects"]}


@pytest.mark.parametrize("path", [OBJECTS, f"{APPS}/site/objects"], ids=["qualified", "short"])
@pytest.mark.parametrize("name", ["alice", "bob", "carol", "olga"])
def test_whoever_sees_the_app_sees_its_objects(deployed, as_, name, path):
    body = as_(name).get(path).json()
    (cluster,) = body["clusters"]
    (web,) = cluster["components"]
    assert (cluster["cluster"], cluster["phase"], cluster["others"]) == ("prod-a", "Deployed", [])
    assert (web["name"], web["phase"], web["ready"], web["wanted"]) == ("web", "Deployed", 1, 1)
    assert web["objects"] == [
        {
            "api_version": "apps/v1",
            "kind": "Deployment",
            "namespace": NAMESPACE,
            "name": "web",
            "standing": "Applied",
        }
    ]


def test_no_cluster_is_asked_for_objects(deployed, as_, fleet):
    before = len(fleet["prod-a"].calls)
    objects_of(as_("bob"))
    assert len(fleet["prod-a"].calls) == before


def test_an_object_is_pending_until_it_is_there_and_told_when_it_differs(site, as_, fleet):
    bob = as_("bob")
    assert objects_of(bob) == {"Deployment web": "Pending"}
    settle()
    assert objects_of(bob) == {"Deployment web": "Applied"}
    AppliedObject.objects.filter(kind="Deployment").update(live_fp="another")
    assert objects_of(bob) == {"Deployment web": "Differs"}


def test_an_object_that_nobody_wants_any_more_is_of_no_component(deployed, as_):
    placement = AppPlacement.objects.get()
    row = AppliedObject.objects.get(kind="Deployment")
    row.pk, row.kind, row.plural, row.api_version = None, "Service", "services", "v1"
    row.save()
    (cluster,) = as_("bob").get(OBJECTS).json()["clusters"]
    assert [(each["kind"], each["standing"]) for each in cluster["others"]] == [
        ("Service", "Leaving")
    ]
    assert placement.work.get().applied.count() == 2


def test_objects_cost_the_same_queries_whatever_their_number(
    deployed, as_, django_assert_max_num_queries
):
    bob = as_("bob")
    deployed.components = [component(f"c{number}") for number in range(10)]
    deployed.declare(by="bob")
    settle()
    with django_assert_max_num_queries(15):
        bob.get(OBJECTS)


# --- Over HTTP: events.


@pytest.fixture
def prod_a(deployed, fleet) -> MemoryCluster:
    """The cluster that `site` is deployed on, with pods, and what was told of them."""
    cluster = fleet["prod-a"]
    happen(cluster, "scaled", WEB, "Scaled up to 1.", 1, reason="ScalingReplicaSet")
    happen(cluster, "started", pod(cluster, "web-1"), "Started.", 2)
    happen(cluster, "strange", Ref(POD, NAMESPACE, "other-1"), "Somebody else's.", 3)
    return cluster


def told(client, query: str = "") -> list[str]:
    answer = client.get(f"{EVENTS}{query}")
    assert answer.status_code == 200, answer.content
    return [each["message"] for each in answer.json()["items"]]


@pytest.mark.parametrize("name", ["alice", "bob", "carol", "olga"])
def test_whoever_sees_the_app_reads_the_events_of_its_objects_and_pods(prod_a, as_, name):
    assert told(as_(name)) == ["Started.", "Scaled up to 1."]
    assert told(as_(name), "?cluster=prod-a&component=web") == ["Started.", "Scaled up to 1."]
    body = as_(name).get(f"{APPS}/site/kube-events").json()
    assert (body["cluster"], body["component"], body["all"]) == ("prod-a", "web", True)
    assert body["items"][1] == {
        "type": "Normal",
        "reason": "ScalingReplicaSet",
        "message": "Scaled up to 1.",
        "object": "Deployment web",
        "count": 1,
        "last": "2026-01-01T10:01:00Z",
    }


def test_a_replica_set_that_is_refused_pods_is_heard(prod_a, as_):
    ref = Ref(REPLICA_SET, NAMESPACE, "web-5d8f")
    body = wanted(ref) | {"spec": {"replicas": 1}}
    body["metadata"]["labels"] |= {APP: "site"}
    prod_a.apply_as("kube-controller-manager", ref, body)
    happen(prod_a, "quota", ref, "exceeded quota: kubenova", 5, type="Warning")
    assert told(as_("bob"))[0] == "exceeded quota: kubenova"


def test_a_stranger_gets_404_and_no_cluster_is_asked_for_events(prod_a, as_):
    before = len(prod_a.calls)
    for path in (OBJECTS, EVENTS):
        problem(as_("charlie").get(path), 404, "KN-NOT-FOUND")
    assert len(prod_a.calls) == before


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("component=db", "component"), ("cluster=prod-b", "cluster"), ("pod=web-1", "pod")],
)
def test_a_question_that_means_nothing_is_refused(prod_a, as_, query, parameter):
    answer = as_("bob").get(f"{EVENTS}?{query}")
    body = problem(answer, 400, "KN-INVALID")
    assert [each["parameter"] for each in body["errors"]] == [parameter]


def test_one_of_several_components_has_to_be_named(prod_a, bobs):
    components = [component(), component("jobs", "worker")]
    assert bobs.patch(SITE, {"components": components}, format="json").status_code == 200
    problem(bobs.get(EVENTS), 400, "KN-INVALID")
    assert told(bobs, "?component=web") == ["Started.", "Scaled up to 1."]
    assert told(bobs, "?component=jobs") == []


def test_a_cluster_that_does_not_answer_is_a_503(prod_a, as_):
    prod_a.fail_next(Unreachable("connection refused"))
    body = problem(as_("bob").get(EVENTS), 503, "KN-UNAVAILABLE")
    assert "connection refused" in body["detail"]


def test_of_very_many_events_the_newest_are_told(prod_a, as_):
    for number in range(MOST + 5):
        happen(prod_a, f"e{number}", WEB, f"number {number}", 10 + number % 40)
    assert len(told(as_("bob"))) == MOST


def test_a_namespace_with_more_events_than_are_read_says_so(prod_a, as_, monkeypatch):
    monkeypatch.setattr("delivery.happenings._PAGE", 1)
    monkeypatch.setattr("delivery.happenings._PAGES", 2)
    assert as_("bob").get(EVENTS).json()["all"] is False


def test_an_app_that_is_one_object_for_its_platform_is_heard_by_it(prod_a, as_, monkeypatch):
    site = Ref(APPLICATION, NAMESPACE, "site")
    whole = SimpleNamespace(
        name="delivery.native", kinds=(APPLICATION,), render=lambda intent: [wanted(site, "")]
    )
    monkeypatch.setattr(AppPlacement, "adapter", lambda self: whole)
    AppliedObject.objects.all().delete()
    happen(prod_a, "rendered", site, "Rendered.", 9)
    assert told(as_("bob")) == ["Rendered.", "Started.", "Scaled up to 1."]
    (cluster,) = as_("bob").get(OBJECTS).json()["clusters"]
    assert [(each["kind"], each["standing"]) for each in cluster["others"]] == [
        ("Application", "Pending")
    ]


def test_nothing_of_it_is_kept(prod_a, as_):
    happen(prod_a, "secret", WEB, "c4n4ry", 9)
    assert told(as_("bob"))[0] == "c4n4ry"
    assert "c4n4ry" not in json.dumps(
        [*App.objects.values(), *AppPlacement.objects.values()], default=str
    )


def test_an_app_without_a_cluster_has_no_objects(shop, bobs):
    body = {**BODY, "name": "nowhere", "placement": {"selector": {"region": "none"}}}
    assert bobs.post(APPS, body, format="json").status_code == 201
    path = SITE.replace("site", "nowhere")
    assert bobs.get(f"{path}/objects").json() == {"clusters": []}
    problem(bobs.get(f"{path}/kube-events"), 400, "KN-INVALID")
