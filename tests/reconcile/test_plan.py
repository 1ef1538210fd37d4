"""The plan: what must be written so that the cluster equals the intent."""

import pytest

from reconcile.errors import Taken, Waiting
from reconcile.plan import Task, make_plan
from reconcile.values import CORRELATION, MANAGED_BY, OWNER, Kind, Recorded, Verb, Why
from tests.reconcile.samples import (
    CONFIG_MAP,
    DEPLOYMENT,
    KINDS,
    NAMESPACE,
    OWNED,
    SECRET,
    at_rest,
    config_map,
    live,
    manifest,
    namespace,
    recorded,
    wanted,
)

OWNER_VALUE = OWNED[OWNER]
FOREIGN = {"app": "someone-elses"}


def task(*bodies, seen_before=None, deleting=False, kinds=KINDS, correlation_id="now"):
    return Task(
        owner=OWNER_VALUE,
        correlation_id=correlation_id,
        kinds=kinds,
        wanted=tuple(wanted(body) for body in bodies),
        recorded=seen_before or {},
        deleting=deleting,
    )


def only_step(plan):
    (step,) = plan.steps
    return step


def test_it_creates_what_is_not_there():
    step = only_step(make_plan(task(config_map(a="1")), {}))

    assert (step.verb, step.why, step.uid) == (Verb.APPLY, Why.NEW, "")
    assert step.wanted_hash == wanted(config_map(a="1")).hash


def test_it_creates_without_adopting_what_a_foreigner_creates_meanwhile_a12():
    step = only_step(make_plan(task(config_map()), {}))

    assert step.manifest["metadata"]["resourceVersion"] == "1", "no object ever has this version"


def test_it_guards_a_change_by_the_uid_and_by_no_version():
    seen, before = at_rest(config_map(a="1"))
    step = only_step(make_plan(task(config_map(a="2"), seen_before=before), seen))

    assert step.uid == "u1" and "resourceVersion" not in step.manifest["metadata"]


def test_it_makes_anew_what_is_missing():
    _, before = at_rest(config_map(a="1"))
    step = only_step(make_plan(task(config_map(a="1"), seen_before=before), {}))

    assert (step.why, step.uid) == (Why.MISSING, "")


def test_it_plans_nothing_at_rest():
    seen, before = at_rest(config_map(a="1"))
    assert not make_plan(task(config_map(a="1"), seen_before=before), seen)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"status": {"phase": "Active"}}, id="status moved"),
        pytest.param({}, id="nothing moved"),
    ],
)
def test_a_status_that_moved_is_no_reason_to_write(change):
    seen, before = at_rest(namespace())
    seen = {ref: type(found)(ref, found.body | change) for ref, found in seen.items()}

    assert not make_plan(task(namespace(), seen_before=before), seen)


def test_it_changes_what_is_wanted_differently():
    seen, before = at_rest(config_map(a="1"))
    plan = make_plan(task(config_map(a="2"), seen_before=before), seen)

    assert only_step(plan).why is Why.CHANGED
    assert only_step(plan).manifest["data"] == {"a": "2"}


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(live(config_map(a="edited")), id="field edited"),
        pytest.param(live(config_map(a="1"), labels={}), id="labels stripped"),
        pytest.param(live(config_map(a="1"), labels=FOREIGN), id="labels replaced"),
        pytest.param(live(config_map(a="1"), annotations={"x": "y"}), id="annotation added"),
        pytest.param(live(config_map(a="1"), uid="u2"), id="made anew by one of ours"),
        pytest.param(live(config_map(a="1"), uid="u2", labels=FOREIGN), id="made anew by another"),
    ],
)
def test_it_repairs_what_drifted(found):
    _, before = at_rest(config_map(a="1"))
    step = only_step(make_plan(task(config_map(a="1"), seen_before=before), {found.ref: found}))

    assert (step.why, step.uid) == (Why.DRIFT, found.uid)


def test_it_adopts_what_it_created_before_it_could_remember_it():
    found = live(config_map(a="1"))
    step = only_step(make_plan(task(config_map(a="1")), {found.ref: found}))

    assert (step.why, step.uid) == (Why.ADOPT, "u1")


@pytest.mark.parametrize(
    "body", [pytest.param(config_map(), id="namespaced"), pytest.param(namespace(), id="namespace")]
)
@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({}, id="no labels"),
        pytest.param(FOREIGN, id="foreign labels"),
        pytest.param({**OWNED, OWNER: "tests.row.2"}, id="another row's"),
    ],
)
def test_it_never_adopts_a_foreign_object_a12(body, labels):
    found = live(body, labels=labels)

    with pytest.raises(Taken, match=f"{found.ref} exists on the cluster"):
        make_plan(task(body), {found.ref: found})


def test_it_never_adopts_a_namespace_that_replaced_ours_a12():
    _, before = at_rest(namespace())
    found = live(namespace(), uid="u2", labels=FOREIGN)

    with pytest.raises(Taken, match="replaced"):
        make_plan(task(namespace(), seen_before=before), {found.ref: found})


def test_one_foreign_object_stops_the_whole_plan():
    found = live(config_map(), labels=FOREIGN)

    with pytest.raises(Taken):
        make_plan(task(namespace(), config_map()), {found.ref: found})


def test_it_waits_for_what_is_being_deleted():
    going = live(namespace(), deletionTimestamp="2026-01-01T00:00:00Z")

    with pytest.raises(Waiting, match="Namespace shop is being deleted"):
        make_plan(task(namespace()), {going.ref: going})


def test_it_removes_what_is_no_longer_wanted():
    seen, before = at_rest(config_map(a="1"))
    step = only_step(make_plan(task(seen_before=before), seen))

    assert (step.verb, step.why, step.uid) == (Verb.DELETE, Why.UNWANTED, "u1")


@pytest.mark.parametrize(
    ("found", "uid_before"),
    [
        pytest.param(live(config_map(), labels={}, uid="u2"), "u1", id="made anew by a foreigner"),
        pytest.param(live(config_map(), labels=FOREIGN), None, id="never ours"),
        pytest.param(
            live(config_map(), deletionTimestamp="2026-01-01T00:00:00Z"), "u1", id="going already"
        ),
    ],
)
@pytest.mark.parametrize("deleting", [False, True], ids=["pruning", "deleting"])
def test_it_never_deletes_what_is_not_its_own(found, uid_before, deleting):
    before = {found.ref: Recorded(found.ref, uid_before, "h", "f")} if uid_before else {}

    assert not make_plan(task(seen_before=before, deleting=deleting), {found.ref: found})


def test_it_deletes_its_own_when_the_labels_were_stripped():
    seen, before = at_rest(config_map(a="1"))
    (ref,) = seen
    seen = {ref: live(config_map(a="1"), labels={})}

    assert only_step(make_plan(task(seen_before=before, deleting=True), seen)).uid == "u1"


def test_a_namespace_goes_only_with_its_row():
    seen, before = at_rest(namespace())

    assert not make_plan(task(seen_before=before), seen)
    assert only_step(make_plan(task(seen_before=before, deleting=True), seen)).verb is Verb.DELETE


def test_it_creates_in_the_order_of_the_kinds_and_deletes_in_reverse():
    deployment = manifest(KINDS[-1], "web")
    bodies = [deployment, config_map("b"), config_map("a"), namespace()]
    created = make_plan(task(*bodies), {})
    seen = {found.ref: found for found in map(live, bodies)}
    removed = make_plan(task(deleting=True), seen)

    assert [[str(step.ref) for step in wave] for wave in created.waves] == [
        ["Namespace shop"],
        ["ConfigMap shop/b", "ConfigMap shop/a"],
        ["Deployment shop/web"],
    ]
    assert [[str(step.ref) for step in wave] for wave in removed.waves] == [
        ["Deployment shop/web"],
        ["ConfigMap shop/a", "ConfigMap shop/b"],
        ["Namespace shop"],
    ]


def test_it_writes_before_it_removes():
    old = live(config_map("old"))
    plan = make_plan(
        task(config_map("new"), seen_before={old.ref: recorded(old, config_map("old"))}),
        {old.ref: old},
    )

    assert [str(step) for step in plan.steps] == [
        "apply ConfigMap shop/new (new)",
        "delete ConfigMap shop/old (unwanted)",
    ]


def test_it_removes_what_another_adapter_made():
    widget = Kind("example.com/v1", "Widget", "widgets")
    body = manifest(widget, "w")
    found = type(live(config_map()))(
        live(config_map()).ref._replace(kind=widget, name="w"),
        live(config_map()).body | {"kind": "Widget", "metadata": {**body["metadata"], "uid": "w1"}},
    )
    before = {found.ref: Recorded(found.ref, "w1", "h", "f")}

    steps = make_plan(task(namespace(), seen_before=before), {found.ref: found}).steps
    assert [str(step) for step in steps] == [
        "apply Namespace shop (new)",
        "delete Widget shop/w (unwanted)",
    ]


def test_it_stamps_owner_and_correlation_on_what_it_applies():
    body = config_map()
    body["metadata"]["labels"] = {"team": "blue", MANAGED_BY: "helm"}
    body["metadata"]["annotations"] = {"note": "kept"}
    meta = only_step(make_plan(task(body), {})).manifest["metadata"]

    assert meta["labels"] == {"team": "blue", **OWNED}
    assert meta["annotations"] == {"note": "kept", CORRELATION: "now"}


def test_it_stamps_a_copy():
    body = config_map()
    make_plan(task(body), {})
    assert "labels" not in body["metadata"]


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        pytest.param(config_map(a="1"), "before", id="unchanged: the recorded one"),
        pytest.param(config_map(a="2"), "now", id="changed: the current one"),
    ],
)
def test_the_correlation_id_stays_while_what_we_want_is_unchanged(now, shown):
    _, before = at_rest(config_map(a="1"))
    drifted = live(config_map(a="edited"))
    step = only_step(make_plan(task(now, seen_before=before), {drifted.ref: drifted}))

    assert step.manifest["metadata"]["annotations"][CORRELATION] == shown


def test_it_annotates_nothing_outside_of_any_correlation():
    step = only_step(make_plan(task(config_map(), correlation_id=""), {}))
    assert "annotations" not in step.manifest["metadata"]


def test_the_same_task_makes_the_same_plan():
    bodies = [namespace(), config_map("a"), config_map("b")]
    assert make_plan(task(*bodies), {}).hash == make_plan(task(*bodies), {}).hash


def test_kinds_that_need_no_order_are_written_at_once():
    """A wave costs a round trip; a namespace comes before its content all the same."""
    bodies = [namespace(), config_map("a"), manifest(DEPLOYMENT, "web"), manifest(SECRET, "keys")]
    kinds = (NAMESPACE, CONFIG_MAP, DEPLOYMENT, SECRET)
    work = Task("tests.row.1", "c", kinds, wanted=[wanted(body) for body in bodies])
    waves = [[step.ref.kind.name for step in wave] for wave in make_plan(work, {}).waves]
    assert waves == [["Namespace"], ["ConfigMap", "Deployment"], ["Secret"]]

    there = {found.ref: found for found in (live(body) for body in bodies)}
    gone = Task("tests.row.1", "c", kinds, deleting=True)
    waves = [[step.ref.kind.name for step in wave] for wave in make_plan(gone, there).waves]
    assert waves == [["Secret"], ["ConfigMap", "Deployment"], ["Namespace"]]
