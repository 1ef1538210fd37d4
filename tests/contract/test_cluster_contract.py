"""One contract, two clusters: what holds for a real API server holds for the one in memory.

Each case is something that the loop relies on, most of them surprises of a real API server. The
objects of the live runs are in namespaces of their own and are deleted at the end.
"""

import copy
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from clusters.addresses import AddressRules
from clusters.client import ApiCluster
from clusters.kinds import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    RESOURCE_QUOTA,
    ROLE,
    SECRET,
    SERVICE_ACCOUNT,
)
from clusters.kubeconfig import Credential, parse
from clusters.reachable import Reachable
from clusters.transport import Transport
from reconcile.drift import differences
from reconcile.errors import (
    Conflict,
    FieldConflict,
    Forbidden,
    Missing,
    Refused,
    Unauthenticated,
    Waiting,
)
from reconcile.fields import shown
from reconcile.omission import Handling, Known, omitted
from reconcile.ownership import Hand, owners_of, scales
from reconcile.values import JSON, Kind, Live, Ref, RepairMode
from sandbox.api import AdminApi
from tests.memory_cluster import MemoryCluster

WIDGET = Kind("example.com/v1", "Widget", "widgets")
UNKNOWN_OF_APPS = Kind("apps/v1", "Widget", "widgets")
OTHER_UID = "11111111-1111-1111-1111-111111111111"
RULES = AddressRules(allow_loopback=True, allow_private=True)


@dataclass
class Bench:
    """A cluster under test, with a foreign hand on it and a namespace to work in."""

    cluster: Reachable
    stranger: Reachable
    namespace: str
    by_kubectl: Callable[[Ref, str, JSON], object]
    remove: Callable[[Ref], object]
    deny: Callable[[Ref, str], None]
    scale: Callable[[Ref, int], object]

    def ref(self, kind: Kind, name: str = "a", namespace: str | None = None) -> Ref:
        place = self.namespace if namespace is None else namespace
        return Ref(kind, place if kind.namespaced else "", name)

    def apply(self, ref: Ref, uid: str = "", *, force: bool = False, **body: Any) -> Live:
        return self.cluster.apply(ref, manifest(ref, **body), uid=uid, force=force)

    def fresh_namespace(self) -> Ref:
        ref = Ref(NAMESPACE, "", f"{self.namespace}-{uuid.uuid4().hex[:6]}")
        self.apply(ref)
        return ref


def manifest(ref: Ref, labels: dict[str, str] | None = None, **body: Any) -> JSON:
    meta: JSON = {"name": ref.name}
    if ref.namespace:
        meta["namespace"] = ref.namespace
    if labels:
        meta["labels"] = labels
    return {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta, **body}


def deployment(image: str = "shop:1", **env: str) -> JSON:
    container: JSON = {"name": "web", "image": image, "ports": [{"containerPort": 80}]}
    if env:
        container["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return {
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
        }
    }


@pytest.fixture(params=["memory", pytest.param("live", marks=pytest.mark.live)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    maker = request.getfixturevalue if request.param == "live" else None
    made = _live_bench(maker) if maker else _memory_bench()
    namespace = Ref(NAMESPACE, "", made.namespace)
    made.cluster.apply(namespace, manifest(namespace))
    yield made
    for kind in (ADMISSION_POLICY_BINDING, ADMISSION_POLICY, NAMESPACE):
        for live in made.cluster.list_page(kind).items:  # type: ignore[attr-defined]
            if made.namespace in live.ref.name:
                made.cluster.delete(live.ref, live.uid)


def _memory_bench() -> Bench:
    cluster, stranger = MemoryCluster(), MemoryCluster()
    stranger.always(Unauthenticated("Unauthorized"))

    def by_kubectl(ref: Ref, manager: str, patch: JSON) -> object:
        return cluster.edit(ref, manager, lambda body: _merge(body, patch))

    def deny(ref: Ref, message: str) -> None:
        cluster.fail_on("apply", ref, Refused(f'"{ref.name}" is forbidden: denied: {message}'))

    remove, scale = cluster.remove, cluster.scale
    return Bench(cluster, stranger, "contract", by_kubectl, remove, deny, scale)


def _merge(body: JSON, patch: JSON) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(body.get(key), dict):
            _merge(body[key], value)
        elif value is None:
            body.pop(key, None)
        else:
            body[key] = copy.deepcopy(value)


def _live_bench(fixture: Callable[[str], Any]) -> Bench:
    credential = parse(fixture("admin_kubeconfig").encode(), RULES)
    bad = Credential(credential.server, credential.ca_pem, token="no-token-of-this-cluster")
    admin: AdminApi = fixture("admin_api")

    def path(ref: Ref) -> str:
        root = "/apis/" if "/" in ref.kind.api_version else "/api/"
        place = f"/namespaces/{ref.namespace}" if ref.namespace else ""
        return f"{root}{ref.kind.api_version}{place}/{ref.kind.plural}/{ref.name}"

    def by_kubectl(ref: Ref, manager: str, patch: JSON) -> object:
        return admin.patch(path(ref), patch, fieldManager=manager)

    cluster = ApiCluster(Transport(credential, RULES), page_size=5)
    return Bench(
        cluster,
        ApiCluster(Transport(bad, RULES)),
        f"contract-{uuid.uuid4().hex[:8]}",
        by_kubectl,
        lambda ref: admin.delete(path(ref)),
        lambda ref, message: _deny(cluster, ref, message),
        lambda ref, replicas: admin.patch(
            f"{path(ref)}/scale",
            {"spec": {"replicas": replicas}},
            fieldManager="kube-controller-manager",
        ),
    )


def _deny(cluster: ApiCluster, ref: Ref, message: str) -> None:
    """Put a policy into force that denies one ConfigMap, and wait until it is."""
    name = f"deny-{ref.namespace}"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": ref.namespace}}
    spec: JSON = {
        "failurePolicy": "Fail",
        "matchConstraints": {"namespaceSelector": here, "resourceRules": [rule]},
        "validations": [
            {"expression": f"object.metadata.name != '{ref.name}'", "message": message}
        ],
    }
    for kind, body in (
        (ADMISSION_POLICY, spec),
        (ADMISSION_POLICY_BINDING, {"policyName": name, "validationActions": ["Deny"]}),
    ):
        policy = Ref(kind, "", name)
        cluster.apply(policy, manifest(policy, spec=body))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            cluster.apply(ref, manifest(ref, data={}), dry_run=True)
        except Refused:
            return
        time.sleep(0.1)


# --- Reading.


def test_it_gets_what_it_applied(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    applied = bench.apply(ref, data={"color": "blue"})
    found = bench.cluster.get(ref)
    assert found == applied
    assert found.fp == applied.fp
    assert found.body["data"] == {"color": "blue"}


def test_it_gets_nothing_where_nothing_is(bench: Bench) -> None:
    assert bench.cluster.get(bench.ref(CONFIG_MAP)) is None


def test_it_gets_nothing_in_a_namespace_that_does_not_exist(bench: Bench) -> None:
    assert bench.cluster.get(bench.ref(CONFIG_MAP, namespace="nowhere")) is None


@pytest.mark.parametrize("kind", [WIDGET, UNKNOWN_OF_APPS], ids=lambda kind: kind.api_version)
@pytest.mark.parametrize("verb", ["get", "owned", "apply", "delete", "patch_status"])
def test_it_tells_a_kind_that_is_not_served_f20(bench: Bench, kind: Kind, verb: str) -> None:
    ref = bench.ref(kind)
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: bench.cluster.get(ref),
        "owned": lambda: bench.cluster.owned(kind, {"a": "b"}),
        "apply": lambda: bench.apply(ref, spec={}),
        "delete": lambda: bench.cluster.delete(ref, OTHER_UID),
        "patch_status": lambda: bench.cluster.patch_status(ref, {"status": {}}),
    }
    with pytest.raises(Missing, match=f"widgets of {kind.api_version}"):
        calls[verb]()


def test_it_finds_what_carries_all_of_the_labels(bench: Bench) -> None:
    labels = {"team": "shop", "run": bench.namespace}
    bench.apply(bench.ref(CONFIG_MAP, "both"), labels=labels)
    bench.apply(bench.ref(CONFIG_MAP, "one"), labels={"team": "shop"})
    bench.apply(bench.ref(CONFIG_MAP, "other"), labels={**labels, "team": "shops"})
    found = bench.cluster.owned(CONFIG_MAP, labels)
    assert [live.ref.name for live in found] == ["both"]
    assert found == [bench.cluster.get(bench.ref(CONFIG_MAP, "both"))]


def test_it_finds_them_to_the_last_page(bench: Bench) -> None:
    labels = {"run": bench.namespace}
    names = {f"c-{number}" for number in range(12)}
    for name in names:
        bench.apply(bench.ref(CONFIG_MAP, name), labels=labels)
    found = bench.cluster.owned(CONFIG_MAP, labels)
    assert {live.ref.name for live in found} == names
    assert all(live.body["kind"] == "ConfigMap" for live in found)


def test_it_finds_them_in_one_namespace_only(bench: Bench) -> None:
    labels, elsewhere = {"run": bench.namespace}, bench.fresh_namespace().name
    bench.apply(bench.ref(CONFIG_MAP), labels=labels)
    bench.apply(bench.ref(CONFIG_MAP, namespace=elsewhere), labels=labels)
    found = bench.cluster.owned(CONFIG_MAP, labels, namespace=elsewhere)
    assert [live.ref.namespace for live in found] == [elsewhere]
    assert len(bench.cluster.owned(CONFIG_MAP, labels)) == 2


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({}, id="none"),
        pytest.param({"a": ""}, id="empty_value"),
        pytest.param({"a": "b),x notin (z"}, id="injected_value"),
        pytest.param({"a,b": "c"}, id="injected_key"),
        pytest.param({"a": "b,c=d"}, id="second_criterion"),
    ],
)
def test_it_refuses_a_selector_that_could_widen_a30(bench: Bench, labels: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        bench.cluster.owned(CONFIG_MAP, labels)


# --- Server-side apply.


def test_an_apply_that_changes_nothing_keeps_the_version(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    first = bench.apply(ref, data={"a": "1"}, labels={"b": "2"})
    again = bench.apply(ref, data={"a": "1"}, labels={"b": "2"})
    assert again == first
    assert again.body == first.body


def test_an_apply_that_changes_nothing_keeps_the_generation(bench: Bench) -> None:
    """Of a Deployment no more can be said: its controller writes to it meanwhile."""
    ref = bench.ref(DEPLOYMENT)
    bench.apply(ref, **deployment(A="1"))
    assert bench.apply(ref, **deployment(A="1")).body["metadata"]["generation"] == 1


def test_an_apply_that_changes_something_raises_version_and_generation(bench: Bench) -> None:
    ref = bench.ref(DEPLOYMENT)
    first = bench.apply(ref, **deployment("shop:1"))
    second = bench.apply(ref, **deployment("shop:2"))
    assert second.uid == first.uid
    assert second.body["metadata"]["resourceVersion"] != first.body["metadata"]["resourceVersion"]
    assert second.body["metadata"]["generation"] == 2
    assert second.fp != first.fp


def test_a_field_no_longer_wanted_is_removed(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.apply(ref, data={"kept": "1", "gone": "2"}, labels={"gone": "x"})
    after = bench.apply(ref, data={"kept": "1"})
    assert after.body["data"] == {"kept": "1"}
    assert "gone" not in after.labels


def test_an_item_no_longer_wanted_is_removed_from_a_keyed_list(bench: Bench) -> None:
    ref = bench.ref(DEPLOYMENT)
    bench.apply(ref, **deployment(A="1", B="2"))
    after = bench.apply(ref, **deployment(B="2"))
    assert _container(after)["env"] == [{"name": "B", "value": "2"}]


def test_foreign_fields_survive(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.apply(ref, data={"ours": "1"})
    bench.by_kubectl(ref, "kubectl-edit", {"data": {"theirs": "2"}})
    after = bench.apply(ref, data={"ours": "3"})
    assert after.body["data"] == {"ours": "3", "theirs": "2"}


def test_a_field_that_both_wanted_stays_when_we_give_it_up(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.apply(ref, data={"a": "1", "b": "1"})
    bench.by_kubectl(ref, "kubectl-edit", {"data": {"b": "2"}})
    bench.apply(ref, data={"a": "1", "b": "2"})
    after = bench.apply(ref, data={"a": "1"})
    assert after.body["data"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        pytest.param({"spec": {"replicas": 3}}, ".spec.replicas", id="scalar"),
        pytest.param(
            {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "evil:1"}]}}}},
            '.spec.template.spec.containers[name="web"].image',
            id="keyed_list",
        ),
    ],
)
def test_a_conflict_names_manager_and_path_f19(bench: Bench, patch: JSON, path: str) -> None:
    ref = bench.ref(DEPLOYMENT)
    bench.apply(ref, **deployment())
    bench.by_kubectl(ref, "kubectl-edit", _whole(bench, ref, patch))
    with pytest.raises(Conflict) as conflict:
        bench.apply(ref, **deployment())
    assert FieldConflict("kubectl-edit", path) in conflict.value.fields


def _whole(bench: Bench, ref: Ref, patch: JSON) -> JSON:
    """Complete a patch of containers: a merge patch replaces lists."""
    containers = patch["spec"].get("template", {}).get("spec", {}).get("containers")
    live = bench.cluster.get(ref)
    if containers and live:
        containers[:] = [{**_container(live), **containers[0]}]
    return patch


def _container(live: Live) -> JSON:
    found: JSON = live.body["spec"]["template"]["spec"]["containers"][0]
    return found


def test_force_takes_a_field_back(bench: Bench) -> None:
    ref = bench.ref(DEPLOYMENT)
    bench.apply(ref, **deployment())
    bench.by_kubectl(ref, "kubectl-scale", {"spec": {"replicas": 3}})
    after = bench.apply(ref, force=True, **deployment())
    assert after.body["spec"]["replicas"] == 0
    assert bench.apply(ref, **deployment()).body["spec"] == after.body["spec"]
    held = {entry["manager"]: entry for entry in after.body["metadata"]["managedFields"]}
    assert "f:replicas" not in held.get("kubectl-scale", {}).get("fieldsV1", {}).get("f:spec", {})


def test_who_scales_owns_the_replicas_through_the_subresource(bench: Bench) -> None:
    """So an autoscaler, which lives in the controller manager, is told from its controllers."""
    ref = bench.ref(DEPLOYMENT)
    bench.apply(ref, **deployment())
    bench.scale(ref, 2)
    live = bench.cluster.get(ref)
    assert live
    (scaler,) = (owner for owner in owners_of(live.body) if owner.subresource)

    assert (scaler.manager, scaler.subresource) == ("kube-controller-manager", "scale")
    assert [shown(leaf) for leaf in scaler.leaves] == [".spec.replicas"]
    assert scales(scaler.manager, scaler.subresource, ".spec.replicas")
    (ours,) = (owner for owner in owners_of(live.body) if owner.ours)
    assert ".spec.replicas" not in [shown(leaf) for leaf in ours.leaves]


def test_a_scaled_field_that_is_left_out_stays_as_it_was_scaled(bench: Bench) -> None:
    ref, body = bench.ref(DEPLOYMENT), deployment()
    bench.apply(ref, **body)
    bench.scale(ref, 2)
    live = bench.cluster.get(ref)
    assert live
    wanted = manifest(ref, **deployment("shop:2"))
    out = omitted(Handling(), ref, wanted, live)
    after = bench.cluster.apply(ref, out.of(wanted), uid=live.uid)

    assert after.body["spec"]["replicas"] == 2 and _container(after)["image"] == "shop:2"


def test_an_item_whose_field_is_left_out_keeps_what_others_set(bench: Bench) -> None:
    ref = bench.ref(DEPLOYMENT)
    bench.apply(ref, **deployment(A="1"))
    containers = [{"name": "web", "image": "evil:2"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    bench.by_kubectl(ref, "kubectl-edit", _whole(bench, ref, patch))
    live = bench.cluster.get(ref)
    assert live
    wanted = manifest(ref, **deployment(A="2"))
    known = (Known(".spec.template.spec.containers[name=web].image"),)
    out = omitted(Handling(mode=RepairMode.MANUAL, known={ref: known}), ref, wanted, live)
    after = bench.cluster.apply(ref, out.of(wanted), uid=live.uid)

    assert _container(after)["image"] == "evil:2"
    assert _container(after)["env"] == [{"name": "A", "value": "2"}]


def test_a_forced_dry_run_tells_what_a_repair_would_change(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.apply(ref, data={"a": "1", "b": "2"})
    bench.by_kubectl(ref, "kubectl-edit", {"data": {"a": "9", "b": None}})
    live = bench.cluster.get(ref)
    assert live
    wanted = manifest(ref, data={"a": "1", "b": "2"})
    answer = bench.cluster.apply(ref, wanted, uid=live.uid, force=True, dry_run=True)
    found = differences(live.body, answer.body, ref)

    assert [(each.path, each.found, each.wanted) for each in found] == [
        (".data.a", "9", "1"),
        (".data.b", None, "2"),
    ]
    assert (found[0].actor, found[0].hand) == ("kubectl-edit", Hand.HUMAN)


def test_a_write_for_a_version_that_is_past_conflicts_without_fields(bench: Bench) -> None:
    """A repair that a person has approved reaches what was looked at, or nothing."""
    ref = bench.ref(CONFIG_MAP)
    before = bench.apply(ref, data={"a": "1"})
    bench.by_kubectl(ref, "kubectl-edit", {"data": {"b": "2"}})
    late = manifest(ref, data={"a": "1"})
    late["metadata"]["resourceVersion"] = before.body["metadata"]["resourceVersion"]
    with pytest.raises(Conflict) as conflict:
        bench.cluster.apply(ref, late, uid=before.uid, force=True)
    assert conflict.value.fields == ()


def test_a_field_that_was_edited_away_comes_back_without_force(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.apply(ref, data={"a": "1", "b": "2"})
    bench.by_kubectl(ref, "kubectl-edit", {"data": {"b": None}})
    assert bench.apply(ref, data={"a": "1", "b": "2"}).body["data"] == {"a": "1", "b": "2"}


def test_managed_fields_tell_who_changed_what(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.apply(ref, data={"a": "1"})
    bench.by_kubectl(ref, "kubectl-edit", {"data": {"b": "2"}})
    found = bench.cluster.get(ref)
    assert found
    entries = found.body["metadata"]["managedFields"]
    owned = {
        (entry["manager"], entry["operation"]): entry["fieldsV1"]["f:data"] for entry in entries
    }
    assert owned["kubenova", "Apply"].keys() - {"."} == {"f:a"}
    assert owned["kubectl-edit", "Update"].keys() - {"."} == {"f:b"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(CONFIG_MAP, {"data": {"a": "1"}, "colour": "blue"}, id="core"),
        pytest.param(DEPLOYMENT, {**deployment(), "specification": {}}, id="apps"),
        pytest.param(ROLE, {"rules": [], "subjects": []}, id="rbac"),
    ],
)
def test_an_unknown_field_is_refused_and_not_retried_as_a_fault_f12(
    bench: Bench, kind: Kind, body: JSON
) -> None:
    with pytest.raises(Refused, match="field not declared in schema"):
        bench.apply(bench.ref(kind), **body)
    assert bench.cluster.get(bench.ref(kind)) is None


def test_quantities_come_back_normalised_and_stay_at_rest(bench: Bench) -> None:
    ref = bench.ref(RESOURCE_QUOTA)
    given = {
        "cpu": "1000m",
        "memory": "1024Mi",
        "requests.cpu": "0.5",
        "requests.memory": "1.5Gi",
        "limits.cpu": "1500m",
        "pods": "1000",
        "services": "1200",
        "secrets": "0",
    }
    first = bench.apply(ref, spec={"hard": given})
    assert first.body["spec"]["hard"] == {
        "cpu": "1",
        "memory": "1Gi",
        "requests.cpu": "500m",
        "requests.memory": "1536Mi",
        "limits.cpu": "1500m",
        "pods": "1k",
        "services": "1200",
        "secrets": "0",
    }
    assert bench.apply(ref, spec={"hard": given}).fp == first.fp


def test_text_survives_as_it_is(bench: Bench) -> None:
    """An apply is read as YAML: emoji, control characters and line separators must get through."""
    ref, text = bench.ref(CONFIG_MAP), "😀 \x7f \x85 \u2028 \ufeff\t\"'\\ : # - {}\r\n yes"
    assert bench.apply(ref, data={"a": text}).body["data"]["a"] == text


# --- Dry run.


def test_a_dry_run_shows_the_result_and_changes_nothing(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    before = bench.apply(ref, data={"a": "1"})
    shown = bench.cluster.apply(ref, manifest(ref, data={"a": "2"}), dry_run=True)
    assert shown.body["data"] == {"a": "2"}
    assert shown.uid == before.uid
    assert bench.cluster.get(ref) == before


def test_a_dry_run_of_a_new_object_creates_none(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.cluster.apply(ref, manifest(ref, data={"a": "2"}), dry_run=True)
    assert bench.cluster.get(ref) is None


def test_a_dry_run_in_a_namespace_that_does_not_exist_is_refused(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP, namespace="nowhere")
    with pytest.raises(Refused, match='namespaces "nowhere" not found'):
        bench.cluster.apply(ref, manifest(ref), dry_run=True)


def test_a_dry_run_of_a_deletion_deletes_nothing(bench: Bench) -> None:
    live = bench.apply(bench.ref(CONFIG_MAP), data={"a": "1"})
    bench.cluster.delete(live.ref, live.uid, dry_run=True)
    assert bench.cluster.get(live.ref) == live


# --- Admission.


@pytest.mark.parametrize("dry_run", [False, True], ids=["applied", "tried"])
def test_warnings_come_with_the_answer_that_they_belong_to(bench: Bench, dry_run: bool) -> None:
    home = Ref(NAMESPACE, "", bench.namespace)
    bench.apply(home, labels={"pod-security.kubernetes.io/warn": "restricted"})
    pods, plain = bench.ref(DEPLOYMENT), bench.ref(CONFIG_MAP)
    warned = bench.cluster.apply(pods, manifest(pods, **deployment()), dry_run=dry_run)
    (warning,) = warned.warnings
    assert warning.startswith('would violate PodSecurity "restricted:latest": ')
    assert "runAsNonRoot != true" in warning
    silent = bench.cluster.apply(plain, manifest(plain, data={}), dry_run=dry_run)
    assert silent.warnings == ()


def test_what_a_policy_denies_is_refused_in_its_words_by_a_dry_run_too(bench: Bench) -> None:
    ref, other = bench.ref(CONFIG_MAP, "denied"), bench.ref(CONFIG_MAP, "allowed")
    bench.deny(ref, "Not on a Friday.")
    for dry_run in (True, False):
        with pytest.raises(Refused, match=r"Not on a Friday\.") as denied:
            bench.cluster.apply(ref, manifest(ref, data={"a": "1"}), dry_run=dry_run)
        assert not isinstance(denied.value, Forbidden)
    assert bench.cluster.get(ref) is None
    assert bench.apply(other, data={}).warnings == ()


def test_what_can_never_be_is_refused_by_a_dry_run(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    with pytest.raises(Refused, match="field not declared in schema"):
        bench.cluster.apply(ref, manifest(ref, colour="red"), dry_run=True)


# --- Namespaces.


def test_a_write_into_a_namespace_that_does_not_exist_is_refused_f20(bench: Bench) -> None:
    with pytest.raises(Refused, match='namespaces "nowhere" not found'):
        bench.apply(bench.ref(CONFIG_MAP, namespace="nowhere"))


def test_a_namespace_carries_its_name_as_a_label(bench: Bench) -> None:
    ref = bench.fresh_namespace()
    found = bench.cluster.get(ref)
    assert found
    assert found.labels["kubernetes.io/metadata.name"] == ref.name
    assert found.body["status"]["phase"] == "Active"


def _terminate(bench: Bench) -> tuple[Ref, Ref]:
    """Delete a namespace that cannot go, because something in it has a finalizer."""
    namespace = bench.fresh_namespace()
    held = bench.ref(CONFIG_MAP, "held", namespace.name)
    body = manifest(held)
    body["metadata"]["finalizers"] = ["example.com/held"]
    bench.cluster.apply(held, body)
    live = bench.cluster.get(namespace)
    assert live
    bench.cluster.delete(namespace, live.uid)
    return namespace, held


def _release(bench: Bench, held: Ref) -> None:
    bench.by_kubectl(held, "kubectl-edit", {"metadata": {"finalizers": None}})


def test_a_deleted_namespace_stays_while_something_holds_it_f22(bench: Bench) -> None:
    namespace, held = _terminate(bench)
    found = bench.cluster.get(namespace)
    assert found
    assert found.terminating
    assert found.body["status"]["phase"] == "Terminating"
    _release(bench, held)


def test_a_write_into_a_terminating_namespace_waits_f22(bench: Bench) -> None:
    namespace, held = _terminate(bench)
    with pytest.raises(Waiting, match="is being terminated"):
        bench.apply(bench.ref(CONFIG_MAP, "new", namespace.name))
    _release(bench, held)


def test_a_namespace_is_gone_when_nothing_holds_it_any_more_f22(bench: Bench) -> None:
    namespace, held = _terminate(bench)
    _settle(bench)
    assert bench.cluster.get(namespace)
    _release(bench, held)
    assert _until(bench, lambda: bench.cluster.get(namespace) is None)
    assert bench.cluster.get(held) is None


def _settle(bench: Bench) -> None:
    if isinstance(bench.cluster, MemoryCluster):
        bench.cluster.finish_deletions()


def _until(bench: Bench, true: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        _settle(bench)
        time.sleep(0 if isinstance(bench.cluster, MemoryCluster) else 0.1)
    return true()


# --- Identity: nothing is resurrected, nobody's namesake is hurt.


def test_an_apply_with_the_uid_of_a_deleted_object_conflicts_f6(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    first = bench.apply(ref, data={"a": "1"})
    bench.remove(ref)
    with pytest.raises(Conflict) as conflict:
        bench.apply(ref, first.uid, data={"a": "2"})
    assert conflict.value.fields == ()
    assert bench.cluster.get(ref) is None


def test_an_apply_with_the_uid_of_another_object_conflicts_f6(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    first = bench.apply(ref, data={"a": "1"})
    bench.remove(ref)
    second = bench.apply(ref, data={"a": "1"})
    with pytest.raises(Conflict) as conflict:
        bench.apply(ref, first.uid, data={"a": "2"})
    assert conflict.value.fields == ()
    assert bench.cluster.get(ref) == second


def test_an_apply_with_its_uid_goes_through(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    first = bench.apply(ref, data={"a": "1"})
    assert bench.apply(ref, first.uid, data={"a": "2"}).uid == first.uid


def test_a_version_that_no_object_has_creates_but_never_adopts_a12(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    body = manifest(ref, data={"a": "1"})
    body["metadata"]["resourceVersion"] = "1"
    first = bench.cluster.apply(ref, body)

    for force in (False, True):
        with pytest.raises(Conflict, match="has been modified") as refused:
            bench.cluster.apply(ref, body, force=force)
        assert refused.value.fields == ()
    found = bench.cluster.get(ref)
    assert found is not None and found.fp == first.fp


def test_a_recreated_object_has_another_uid(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    first = bench.apply(ref)
    bench.cluster.delete(ref, first.uid)
    assert bench.apply(ref).uid != first.uid


def test_a_delete_with_the_uid_of_another_object_is_done_and_hurts_nothing(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.apply(ref)
    bench.cluster.delete(ref, OTHER_UID)
    assert bench.cluster.get(ref)


def test_a_delete_of_what_is_gone_is_done(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    first = bench.apply(ref)
    bench.cluster.delete(ref, first.uid)
    bench.cluster.delete(ref, first.uid)
    assert bench.cluster.get(ref) is None


def test_a_delete_in_a_namespace_that_does_not_exist_is_done(bench: Bench) -> None:
    bench.cluster.delete(bench.ref(CONFIG_MAP, namespace="nowhere"), OTHER_UID)


def test_a_delete_without_a_uid_is_a_mistake_of_ours(bench: Bench) -> None:
    ref = bench.ref(CONFIG_MAP)
    bench.apply(ref)
    with pytest.raises(ValueError, match="needs its uid"):
        bench.cluster.delete(ref, "")
    assert bench.cluster.get(ref)


def test_a_manifest_of_another_object_is_a_mistake_of_ours(bench: Bench) -> None:
    ref, other = bench.ref(CONFIG_MAP, "a"), bench.ref(CONFIG_MAP, "b")
    with pytest.raises(ValueError, match="does not describe"):
        bench.cluster.apply(ref, manifest(other))


@pytest.mark.parametrize(
    "name", ["..", "a/../b", "a?dryRun=All", "%2e%2e", "a#b", "a%2fb", "A", "", "a\n", "a" * 254]
)
def test_a_name_that_is_none_is_never_sent_a10_a11(bench: Bench, name: str) -> None:
    for verb in (bench.cluster.get, lambda ref: bench.cluster.delete(ref, OTHER_UID)):
        with pytest.raises(ValueError):
            verb(bench.ref(CONFIG_MAP, name))
    with pytest.raises(ValueError):
        bench.cluster.get(bench.ref(CONFIG_MAP, "a", namespace=name or ".."))


def test_rbac_names_may_hold_a_colon(bench: Bench) -> None:
    ref = bench.ref(CLUSTER_ROLE, f"kubenova:{bench.namespace}")
    applied = bench.apply(ref, rules=[])
    assert bench.cluster.get(ref) == applied
    bench.cluster.delete(ref, applied.uid)
    assert bench.cluster.get(ref) is None


# --- Status, reviews, logs, discovery.


def test_a_status_patch_changes_the_status_alone(bench: Bench) -> None:
    ref = bench.ref(DEPLOYMENT)
    before = bench.apply(ref, **deployment())
    patched = bench.cluster.patch_status(ref, {"status": {"observedGeneration": 1}})
    assert patched.body["status"]["observedGeneration"] == 1
    assert patched.body["spec"] == before.body["spec"]
    assert patched.body["metadata"]["generation"] == 1


def test_a_status_patch_of_what_is_gone_is_refused(bench: Bench) -> None:
    with pytest.raises(Refused, match="not found"):
        bench.cluster.patch_status(bench.ref(DEPLOYMENT), {"status": {}})


def test_it_may_what_it_may(bench: Bench) -> None:
    assert bench.cluster.access_review("create", "", "namespaces")
    assert bench.cluster.access_review("get", "", "pods/log", bench.namespace)


def test_a_service_account_gets_a_token_that_dies_with_it(bench: Bench) -> None:
    account = bench.ref(SERVICE_ACCOUNT, "robot")
    bench.apply(account)
    token = _token(bench, {"expirationSeconds": 600})
    assert _reviewed(bench, token)["user"]["username"].endswith(":robot")
    bench.remove(account)
    assert _until(bench, lambda: not _reviewed(bench, token).get("authenticated"))


def test_a_token_can_be_bound_to_a_secret(bench: Bench) -> None:
    bench.apply(bench.ref(SERVICE_ACCOUNT, "robot"))
    secret = bench.apply(bench.ref(SECRET, "grant"))
    bound = {"kind": "Secret", "apiVersion": "v1", "name": "grant", "uid": secret.uid}
    token = _token(bench, {"expirationSeconds": 600, "boundObjectRef": bound})
    bench.cluster.delete(secret.ref, secret.uid)
    assert _until(bench, lambda: not _reviewed(bench, token).get("authenticated"))


@pytest.mark.parametrize(
    ("account", "seconds", "why"),
    [
        pytest.param("nobody", 600, "not found", id="no_account"),
        pytest.param("robot", 60, "10 minutes", id="too_short"),
    ],
)
def test_a_token_request_can_be_refused(bench: Bench, account: str, seconds: int, why: str) -> None:
    bench.apply(bench.ref(SERVICE_ACCOUNT, "robot"))
    with pytest.raises(Refused, match=why):
        _token(bench, {"expirationSeconds": seconds}, account)


def _token(bench: Bench, spec: JSON, account: str = "robot") -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"{bench.namespace}/{account}/token"
    answer = bench.cluster.create_review("v1", "serviceaccounts", body, path)
    return str(answer["status"]["token"])


def _reviewed(bench: Bench, token: str) -> JSON:
    group = "authentication.k8s.io/v1"
    body = {"apiVersion": group, "kind": "TokenReview", "spec": {"token": token}}
    status: JSON = bench.cluster.create_review(group, "tokenreviews", body)["status"]
    return status


@pytest.mark.parametrize(
    "options",
    [{}, {"follow": True}, {"previous": True}, {"tail_lines": 0, "since_seconds": 60}],
    ids=str,
)
def test_the_log_of_no_pod_is_refused(bench: Bench, options: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="not found"):
        list(bench.cluster.stream(bench.ref(POD), **options))


def test_it_tells_version_and_kinds(bench: Bench) -> None:
    assert bench.cluster.version().startswith("v1.")
    served = bench.cluster.discovery()
    assert {("v1", "namespaces"), ("apps/v1", "deployments")} <= served
    assert ("example.com/v1", "widgets") not in served


def test_it_lists_page_by_page(bench: Bench) -> None:
    labels = {"run": bench.namespace}
    for number in range(3):
        bench.apply(bench.ref(CONFIG_MAP, f"c-{number}"), labels=labels)
    first = bench.cluster.list_page(CONFIG_MAP, labels=labels, limit=2)  # type: ignore[attr-defined]
    assert len(first.items) == 2
    assert first.resource_version
    last = bench.cluster.list_page(  # type: ignore[attr-defined]
        CONFIG_MAP, labels=labels, limit=2, token=first.token
    )
    assert len(last.items) == 1
    assert last.token == ""


def test_it_lists_what_lacks_a_label(bench: Bench) -> None:
    marked, plain = bench.ref(CONFIG_MAP, "marked"), bench.ref(CONFIG_MAP, "plain")
    bench.apply(marked, labels={"run": bench.namespace})
    bench.apply(plain)
    page = bench.cluster.list_page(  # type: ignore[attr-defined]
        CONFIG_MAP, namespace=bench.namespace, without="run"
    )
    found = {live.ref for live in page.items}
    assert plain in found and marked not in found


# --- A dead credential.


@pytest.mark.parametrize("verb", ["get", "owned", "apply", "delete"])
def test_a_credential_that_is_not_known_is_told_apart(bench: Bench, verb: str) -> None:
    ref = bench.ref(CONFIG_MAP)
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: bench.stranger.get(ref),
        "owned": lambda: bench.stranger.owned(CONFIG_MAP, {"a": "b"}),
        "apply": lambda: bench.stranger.apply(ref, manifest(ref)),
        "delete": lambda: bench.stranger.delete(ref, OTHER_UID),
    }
    with pytest.raises(Unauthenticated):
        calls[verb]()
