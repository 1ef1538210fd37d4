"""The values that the loop passes on."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.values import (
    Condition,
    Health,
    Kind,
    Phase,
    Plan,
    Ref,
    Status,
    Step,
    Verb,
    Wanted,
    Why,
    digest,
    phase_of,
    ref_of,
    worst,
)
from tests.reconcile.samples import (
    CONFIG_MAP,
    DEPLOYMENT,
    KINDS,
    NAMESPACE,
    config_map,
    live,
    namespace,
    wanted,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, min_size=2))
def test_a_digest_does_not_depend_on_the_order_of_keys(value):
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_a_digest_depends_on_the_order_of_lists():
    assert digest([1, 2]) != digest([2, 1])


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        pytest.param(CONFIG_MAP, "", id="core"),
        pytest.param(DEPLOYMENT, "apps", id="named"),
        pytest.param(Kind("a.b.io/v1beta1", "Thing", "things"), "a.b.io", id="domain"),
    ],
)
def test_a_kind_knows_its_group(kind, group):
    assert kind.group == group


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(config_map("rules"), "ConfigMap shop/rules", id="namespaced"),
        pytest.param(namespace("shop"), "Namespace shop", id="of the cluster"),
    ],
)
def test_a_reference_reads_as_people_say_it(body, shown):
    assert str(ref_of(body, KINDS)) == shown


def test_a_namespace_on_an_object_of_the_cluster_is_no_part_of_its_reference():
    body = namespace("shop")
    body["metadata"]["namespace"] = "stray"
    assert ref_of(body, KINDS) == Ref(NAMESPACE, "", "shop")


def test_it_refuses_a_kind_that_the_adapter_does_not_own():
    with pytest.raises(KeyError):
        ref_of(config_map(), [NAMESPACE])


def test_a_wanted_object_is_hashed_by_its_manifest():
    assert wanted(config_map(a="1")).hash == wanted(config_map(a="1")).hash
    assert wanted(config_map(a="1")).hash != wanted(config_map(a="2")).hash


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        pytest.param({"status": {"phase": "Active"}}, True, id="status"),
        pytest.param({"metadata": {"resourceVersion": "8"}}, True, id="resourceVersion"),
        pytest.param({"metadata": {"generation": 2}}, True, id="generation"),
        pytest.param({"metadata": {"managedFields": [{"manager": "x"}]}}, True, id="managedFields"),
        pytest.param({"metadata": {"labels": {}}}, False, id="label stripped"),
        pytest.param({"metadata": {"annotations": {"a": "b"}}}, False, id="annotation added"),
        pytest.param({"metadata": {"uid": "u2"}}, False, id="made anew"),
        pytest.param({"metadata": {"deletionTimestamp": "now"}}, False, id="being deleted"),
        pytest.param({"data": {"a": "2"}}, False, id="data"),
        pytest.param({"immutable": True}, False, id="field added"),
    ],
)
def test_a_fingerprint_covers_all_but_status_and_what_the_server_counts(changed, same):
    before = live(config_map(a="1"))
    body = {**before.body, **changed}
    body["metadata"] = {**before.body["metadata"], **changed.get("metadata", {})}

    assert (type(before)(before.ref, body).fp == before.fp) is same


def test_a_fingerprint_leaves_the_object_as_it_is():
    found = live(config_map(a="1"))
    _ = found.fp
    assert found.body["metadata"]["resourceVersion"] == "7"


def test_the_fingerprint_of_the_status_covers_nothing_else():
    found, other = live(config_map(a="1")), live(config_map(a="2"))
    moved = type(found)(found.ref, found.body | {"status": {"phase": "Active"}})

    assert found.status_fp == other.status_fp != moved.status_fp


def test_an_object_without_labels_has_none():
    found = live(config_map())
    found.body["metadata"]["labels"] = None
    assert found.labels == {}


def test_it_sees_that_a_deletion_is_under_way():
    assert live(config_map(), deletionTimestamp="2026-01-01T00:00:00Z").terminating
    assert not live(config_map()).terminating


def step(name: str, *, uid: str = "u1", wanted_hash: str = "h", verb: Verb = Verb.APPLY) -> Step:
    ref = Ref(CONFIG_MAP, "shop", name)
    return Step(verb, Why.NEW, ref, uid, {"metadata": {"resourceVersion": "1"}}, wanted_hash)


def test_a_plan_lists_its_steps_in_order():
    first, second, third = step("a"), step("b"), step("c")
    assert Plan(((first, second), (third,))).steps == (first, second, third)


@pytest.mark.parametrize("plan", [Plan(), Plan(((),)), Plan(((), ()))], ids=str)
def test_a_plan_without_steps_is_empty(plan):
    assert not plan and plan.hash == Plan().hash


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Plan(((step("b"),),)), id="another object"),
        pytest.param(Plan(((step("a", uid="u2"),),)), id="made anew meanwhile"),
        pytest.param(Plan(((step("a", wanted_hash="i"),),)), id="another manifest"),
        pytest.param(Plan(((step("a", verb=Verb.DELETE),),)), id="another verb"),
        pytest.param(Plan(((step("a"), step("b")),)), id="one more"),
        pytest.param(Plan(), id="none"),
    ],
)
def test_the_hash_of_a_plan_changes_with_what_it_would_do(other):
    assert other.hash != Plan(((step("a"),),)).hash


def test_the_hash_of_a_plan_does_not_know_versions():
    one = step("a")
    other = Step(one.verb, one.why, one.ref, one.uid, {"metadata": {}}, one.wanted_hash)
    assert Plan(((one,),)).hash == Plan(((other,),)).hash


def test_a_step_reads_as_a_sentence():
    assert str(step("rules")) == "apply ConfigMap shop/rules (new)"


def synced(status: Status, reason: str = "Applied") -> Condition:
    return Condition("Synced", status, reason)


def ready(status: Status, reason: str = "Available") -> Condition:
    return Condition("Ready", status, reason)


@pytest.mark.parametrize(
    ("first", "second", "phase"),
    [
        pytest.param(synced(Status.TRUE), ready(Status.TRUE), Phase.DEPLOYED, id="synced, ready"),
        pytest.param(
            synced(Status.TRUE),
            ready(Status.FALSE, Health.PROGRESSING),
            Phase.APPLYING,
            id="on its way",
        ),
        pytest.param(
            synced(Status.TRUE), ready(Status.FALSE, "CrashLoop"), Phase.ERROR, id="not working"
        ),
        pytest.param(synced(Status.TRUE), ready(Status.UNKNOWN), Phase.APPLYING, id="not assessed"),
        pytest.param(
            synced(Status.FALSE, "Refused"), ready(Status.TRUE), Phase.ERROR, id="refused"
        ),
        pytest.param(
            synced(Status.FALSE, "Drifted"), ready(Status.TRUE), Phase.DRIFTED, id="drifted"
        ),
        pytest.param(
            synced(Status.FALSE, "RepairManual"), ready(Status.TRUE), Phase.DRIFTED, id="manual"
        ),
        pytest.param(
            synced(Status.UNKNOWN, "WaitingForTenant"),
            ready(Status.UNKNOWN),
            Phase.PENDING,
            id="waiting",
        ),
        pytest.param(
            synced(Status.UNKNOWN, "Unreachable"),
            ready(Status.UNKNOWN),
            Phase.ERROR,
            id="unreachable past its grace",
        ),
    ],
)
def test_the_phase_follows_from_the_conditions(first, second, phase):
    assert phase_of(first, second) is phase


@pytest.mark.parametrize(
    ("first", "phase"),
    [
        pytest.param(synced(Status.UNKNOWN, "Deleting"), Phase.APPLYING, id="going"),
        pytest.param(synced(Status.TRUE), Phase.APPLYING, id="just asked for"),
        pytest.param(synced(Status.FALSE, "Refused"), Phase.ERROR, id="refused"),
    ],
)
def test_what_is_being_deleted_is_applying_until_it_is_refused(first, phase):
    assert phase_of(first, ready(Status.TRUE), deleting=True) is phase


SEVERITY = [Phase.ERROR, Phase.DRIFTED, Phase.APPLYING, Phase.PENDING, Phase.DEPLOYED]


@pytest.mark.parametrize(("worse", "better"), list(itertools.combinations(SEVERITY, 2)), ids=str)
def test_the_worse_phase_stands_for_both(worse, better):
    assert worst([better, worse, better]) is worse


def test_nothing_placed_is_pending():
    assert worst([]) is Phase.PENDING


def test_every_phase_has_its_place_among_the_worst():
    assert {worst([phase]) for phase in Phase} == set(Phase)


def test_equal_manifests_make_equal_wanted_objects():
    assert Wanted.of(config_map(a="1"), KINDS) == Wanted.of(config_map(a="1"), KINDS)
