"""The cluster in memory: what tests can do to it. What it plays is in tests/contract."""

import pytest

from clusters.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE, POD, SECRET
from reconcile.errors import Conflict, Missing, Refused, Unauthenticated, Unreachable
from reconcile.values import JSON, Kind, Ref
from tests.memory_cluster import MemoryCluster

NS = Ref(NAMESPACE, "", "shop")
REF = Ref(CONFIG_MAP, "shop", "a")
OTHER = Ref(CONFIG_MAP, "shop", "b")


def manifest(ref: Ref, **body: object) -> JSON:
    meta = {"name": ref.name, **({"namespace": ref.namespace} if ref.namespace else {})}
    return {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta, **body}


@pytest.fixture
def cluster() -> MemoryCluster:
    made = MemoryCluster()
    made.apply(NS, manifest(NS))
    made.writes.clear()
    return made


def test_it_logs_the_writes_that_reach_it(cluster: MemoryCluster) -> None:
    live = cluster.apply(REF, manifest(REF))
    cluster.apply(REF, manifest(REF))
    cluster.apply(REF, manifest(REF), dry_run=True)
    cluster.get(REF)
    cluster.delete(REF, live.uid)
    assert cluster.writes == [("apply", REF), ("apply", REF), ("delete", REF)]


def test_what_comes_out_is_a_copy(cluster: MemoryCluster) -> None:
    live = cluster.apply(REF, manifest(REF, data={"a": "1"}))
    live.body["data"]["a"] = "2"
    cluster.body(REF)["data"]["a"] = "3"
    assert cluster.body(REF)["data"] == {"a": "1"}


def test_what_goes_in_is_copied(cluster: MemoryCluster) -> None:
    given = manifest(REF, data={"a": "1"})
    cluster.apply(REF, given)
    given["data"]["a"] = "2"
    assert cluster.body(REF)["data"] == {"a": "1"}


def test_it_fails_the_next_call_once(cluster: MemoryCluster) -> None:
    cluster.fail_next(Unreachable("down"))
    with pytest.raises(Unreachable):
        cluster.get(REF)
    assert cluster.get(REF) is None


def test_it_fails_a_verb_as_often_as_told(cluster: MemoryCluster) -> None:
    cluster.fail_next(Unreachable("down"), verb="apply", times=2)
    assert cluster.get(REF) is None
    for _ in range(2):
        with pytest.raises(Unreachable):
            cluster.apply(REF, manifest(REF))
    cluster.apply(REF, manifest(REF))
    assert cluster.writes == [("apply", REF)]


def test_it_can_lose_the_answer_of_a_write_f14(cluster: MemoryCluster) -> None:
    cluster.fail_next(Unreachable("cut"), verb="apply", after=True)
    with pytest.raises(Unreachable):
        cluster.apply(REF, manifest(REF))
    assert cluster.exists(REF)


@pytest.mark.parametrize("about", [REF, CONFIG_MAP, None], ids=["object", "kind", "all"])
def test_it_fails_on_what_it_is_told_until_healed(
    cluster: MemoryCluster, about: Ref | Kind | None
) -> None:
    cluster.fail_on("apply", about, Refused("no"))
    for _ in range(2):
        with pytest.raises(Refused):
            cluster.apply(REF, manifest(REF))
    if about is REF:
        cluster.apply(OTHER, manifest(OTHER))
    cluster.heal()
    cluster.apply(REF, manifest(REF))


def test_it_fails_on_lists_of_a_kind(cluster: MemoryCluster) -> None:
    cluster.fail_on("owned", CONFIG_MAP, Refused("no"), times=1)
    with pytest.raises(Refused):
        cluster.owned(CONFIG_MAP, {"a": "b"})
    assert cluster.owned(CONFIG_MAP, {"a": "b"}) == []


def test_it_fails_always(cluster: MemoryCluster) -> None:
    cluster.always(Unauthenticated("Unauthorized"))
    for call in (cluster.version, cluster.discovery, lambda: cluster.get(REF)):
        with pytest.raises(Unauthenticated):
            call()


def test_a_foreign_edit_takes_the_field_over(cluster: MemoryCluster) -> None:
    cluster.apply(REF, manifest(REF, data={"a": "1", "b": "1"}))
    cluster.edit(REF, "kubectl-edit", lambda body: body["data"].update(a="2"))
    with pytest.raises(Conflict) as conflict:
        cluster.apply(REF, manifest(REF, data={"a": "1", "b": "1"}))
    (field,) = conflict.value.fields
    assert (field.manager, field.path) == ("kubectl-edit", ".data.a")


def test_an_edit_that_changes_nothing_keeps_the_version(cluster: MemoryCluster) -> None:
    before = cluster.apply(REF, manifest(REF, data={"a": "1"}))
    cluster.edit(REF, "kubectl-edit", lambda body: None)
    assert cluster.get(REF) == before
    assert cluster.body(REF) == before.body


def test_somebody_else_can_apply(cluster: MemoryCluster) -> None:
    cluster.apply(REF, manifest(REF, data={"a": "1"}))
    with pytest.raises(Conflict):
        cluster.apply_as("other", REF, manifest(REF, data={"a": "2"}))
    cluster.apply_as("other", REF, manifest(REF, data={"a": "2"}), force=True)
    assert cluster.body(REF)["data"] == {"a": "2"}
    assert ("apply", REF) in cluster.writes
    assert len(cluster.writes) == 1


def test_a_controller_sets_the_status_alone(cluster: MemoryCluster) -> None:
    ref = Ref(DEPLOYMENT, "shop", "web")
    before = cluster.apply(ref, manifest(ref, spec={"replicas": 1}))
    after = cluster.set_status(ref, {"readyReplicas": 1})
    assert after.fp == before.fp
    assert after.status_fp != before.status_fp
    assert cluster.apply(ref, manifest(ref, spec={"replicas": 1})).body["status"] == {
        "readyReplicas": 1
    }


def test_a_foreign_delete_leaves_nothing(cluster: MemoryCluster) -> None:
    cluster.apply(REF, manifest(REF))
    cluster.remove(REF)
    assert not cluster.exists(REF)
    with pytest.raises(KeyError):
        cluster.body(REF)


def test_a_namespace_goes_when_deletions_are_finished(cluster: MemoryCluster) -> None:
    cluster.apply(REF, manifest(REF))
    cluster.remove(NS)
    assert cluster.body(NS)["status"] == {"phase": "Terminating"}
    assert cluster.exists(REF)
    cluster.finish_deletions()
    assert cluster.refs(CONFIG_MAP) == []
    assert not cluster.exists(NS)


def test_it_finishes_deletions_by_itself_when_told() -> None:
    cluster = MemoryCluster(finishes=True)
    cluster.apply(NS, manifest(NS))
    cluster.apply(REF, manifest(REF))
    cluster.remove(NS)
    assert not cluster.exists(NS)
    assert not cluster.exists(REF)


def test_an_object_with_finalizers_stays_until_they_go(cluster: MemoryCluster) -> None:
    cluster.apply(REF, manifest(REF))
    cluster.edit(REF, "x", lambda body: body["metadata"].update(finalizers=["example.com/a"]))
    cluster.remove(REF)
    live = cluster.get(REF)
    assert live
    assert live.terminating
    cluster.edit(REF, "x", lambda body: body["metadata"].pop("finalizers"))
    assert not cluster.exists(REF)


def test_it_serves_and_unserves_kinds(cluster: MemoryCluster) -> None:
    widget = Kind("example.com/v1", "Widget", "widgets")
    ref = Ref(widget, "shop", "w")
    with pytest.raises(Missing):
        cluster.get(ref)
    cluster.serve(widget)
    cluster.apply(ref, manifest(ref, spec={"list": [{"name": "a"}]}))
    assert ("example.com/v1", "widgets") in cluster.discovery()
    cluster.unserve(widget)
    with pytest.raises(Missing):
        cluster.get(ref)
    assert not cluster.exists(ref)


def test_lists_of_custom_resources_are_atomic(cluster: MemoryCluster) -> None:
    widget = Kind("example.com/v1", "Widget", "widgets")
    cluster.serve(widget)
    ref = Ref(widget, "shop", "w")
    cluster.apply(ref, manifest(ref, spec={"env": [{"name": "a"}, {"name": "b"}]}))
    after = cluster.apply(ref, manifest(ref, spec={"env": [{"name": "c"}]}))
    assert after.body["spec"]["env"] == [{"name": "c"}]


def test_string_data_of_a_secret_becomes_data(cluster: MemoryCluster) -> None:
    ref = Ref(SECRET, "shop", "login")
    live = cluster.apply(ref, manifest(ref, stringData={"a": "b"}))
    assert live.body["data"] == {"a": "Yg=="}
    assert "stringData" not in live.body


def test_it_yields_the_logs_that_a_test_wrote(cluster: MemoryCluster) -> None:
    pod = Ref(POD, "shop", "web-1")
    cluster.logs[pod] = ["one", "two", "three"]
    assert list(cluster.stream(pod, tail_lines=2)) == ["two", "three"]
    assert list(cluster.stream(pod, tail_lines=0)) == []


def test_it_tells_the_logs_before_a_restart_from_those_after(cluster: MemoryCluster) -> None:
    pod = Ref(POD, "shop", "web-1")
    cluster.logs[pod] = ["after"]
    with pytest.raises(Refused, match="previous"):
        cluster.stream(pod, previous=True)
    cluster.previous_logs[pod] = ["before"]
    assert list(cluster.stream(pod, previous=True)) == ["before"]


def test_it_allows_what_a_test_allows(cluster: MemoryCluster) -> None:
    cluster.reviews.allow = lambda attributes: attributes["resource"] == "pods"
    assert cluster.access_review("get", "", "pods/log")
    assert not cluster.access_review("get", "", "secrets")
