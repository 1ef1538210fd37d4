"""Plans below HTTP: what they stand on, what is pinned, and the check before the first write."""

import threading
import time
from dataclasses import replace

import pytest

from clusters.kinds import CONFIG_MAP, NAMESPACE, SECRET
from reconcile.correlation import correlate
from reconcile.drift import MASK, Difference
from reconcile.errors import Refused, Unreachable, Waiting
from reconcile.models import Event, PlanRecord, Work
from reconcile.planning.accepting import accept, plan, standing_plan
from reconcile.planning.asking import look, supposed
from reconcile.planning.footing import Footing, hash_of, moved
from reconcile.planning.rehearsal import MOST_ROWS, Draft, rehearse
from reconcile.planning.report import lines_of
from reconcile.planning.values import (
    PLAN_NAMESPACE,
    Checked,
    Headroom,
    PlannedCluster,
    PlannedObject,
    Report,
    State,
    Trial,
    rehomed,
    shown,
)
from reconcile.refusals import PlanOutdated, TooMuch
from reconcile.values import CORRELATION, OWNER, Live, Ref, Step, Verb, Why, phase_of
from tests.clusters.steps import settle
from tests.memory_cluster import MemoryCluster
from tests.reconcile.models import CLUSTERS, Shelf, Toy, ToyPlacement
from tests.reconcile.worlds import Killed, expire_leases, kill_after, leave_alone

HOME = Ref(NAMESPACE, "", "train")
RULES = Ref(CONFIG_MAP, "train", "rules")
NOTES = Ref(CONFIG_MAP, "train", "notes")

# --- What a plan stands on. Pure.

BEFORE = Footing(
    "Toy train on shelf",
    "shelf",
    "toybox",
    wanted={"ConfigMap train/rules": "a" * 32},
    live={"ConfigMap train/rules": ("uid-1", "fp-1")},
)
MOVES = {
    "the adapter": (
        replace(BEFORE, basis="toybox 2"),
        ["What serves Toy train on shelf has changed: toybox is toybox 2 now."],
    ),
    "the intent": (
        replace(BEFORE, wanted={"ConfigMap train/rules": "b" * 32}),
        ["What is wanted of ConfigMap train/rules on shelf has changed."],
    ),
    "one object more": (
        replace(BEFORE, wanted={**BEFORE.wanted, "ConfigMap train/notes": "c" * 32}),
        ["What is wanted of ConfigMap train/notes on shelf has changed."],
    ),
    "a change on the cluster": (
        replace(BEFORE, live={"ConfigMap train/rules": ("uid-1", "fp-2")}),
        ["ConfigMap train/rules was changed on shelf."],
    ),
    "another of the name": (
        replace(BEFORE, live={"ConfigMap train/rules": ("uid-2", "fp-1")}),
        ["ConfigMap train/rules was changed on shelf."],
    ),
    "an object gone": (replace(BEFORE, live={}), ["ConfigMap train/rules is gone from shelf."]),
    "an object come": (
        replace(BEFORE, live={**(BEFORE.live or {}), "ConfigMap train/notes": ("u", "f")}),
        ["ConfigMap train/notes has appeared on shelf."],
    ),
    "a cluster that is silent": (replace(BEFORE, live=None), ["Cluster shelf could not be asked."]),
    "a deletion": (
        replace(BEFORE, deleting=True),
        ["Toy train on shelf is now to be removed."],
    ),
    "another row": (
        replace(BEFORE, row="Toy car on shelf"),
        ["Toy car on shelf has become part of it.", "Toy train on shelf is no longer part of it."],
    ),
}


@pytest.mark.parametrize(("now", "told"), MOVES.values(), ids=MOVES)
def test_a_move_is_told_and_changes_the_hash(now, told):
    assert moved([BEFORE], [now]) == told
    assert hash_of([BEFORE]) != hash_of([now])


def test_a_hash_does_not_depend_on_the_order():
    other = replace(BEFORE, row="Toy car on shelf")
    assert hash_of([BEFORE, other]) == hash_of([other, BEFORE])
    assert moved([BEFORE, other], [other, BEFORE]) == []


@pytest.mark.parametrize("footing", [BEFORE, replace(BEFORE, live=None)], ids=["asked", "not"])
def test_a_footing_can_be_stored(footing):
    assert Footing.read(footing.as_json()) == footing
    assert hash_of([Footing.read(footing.as_json())]) == hash_of([footing])


def manifest(ref: Ref, **body: object) -> dict:
    meta = {"name": ref.name, "namespace": ref.namespace}
    return {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta, **body}


def test_what_is_shown_has_no_secrets_and_nothing_that_counts():
    ref = Ref(SECRET, "train", "key")
    body = manifest(ref, data={"a": "c2VjcmV0"}, stringData={"b": "secret"}, status={"x": 1})
    body["metadata"] |= {
        "uid": "u",
        "resourceVersion": "7",
        "managedFields": [],
        "labels": {OWNER: "made.up"},
        "annotations": {CORRELATION: "r-1", "kept": "yes"},
    }
    found = shown(ref, body)
    assert (found["data"], found["stringData"]) == ({"a": MASK}, {"b": MASK})
    assert found["metadata"] == {
        "name": "key",
        "namespace": "train",
        "annotations": {"kept": "yes"},
    }
    assert "status" not in found and body["data"] == {"a": "c2VjcmV0"}


def test_a_step_is_tried_elsewhere_as_a_creation():
    body = manifest(RULES, data={})
    body["metadata"]["resourceVersion"] = "1"
    tried = rehomed(Step(Verb.APPLY, Why.NEW, RULES, "uid", body))
    assert (tried.ref.namespace, tried.uid) == (PLAN_NAMESPACE, "")
    assert tried.manifest["metadata"] == {"name": "rules", "namespace": PLAN_NAMESPACE}
    assert body["metadata"]["namespace"] == "train"


def test_a_report_without_writes_is_complete():
    report = Report("hash")
    assert report.complete
    assert report.summary == {"create": 0, "change": 0, "delete": 0, "denied": 0}


ACTIONS = [
    pytest.param(Verb.DELETE, None, "delete", id="delete"),
    pytest.param(Verb.APPLY, {}, "create", id="create"),
    pytest.param(Verb.APPLY, None, "change", id="change"),
]


@pytest.mark.parametrize(("verb", "body", "action"), ACTIONS)
def test_a_write_is_named_for_people(verb, body, action):
    found = PlannedObject("row", verb, Why.NEW, RULES, Trial(Checked.SERVER), manifest=body)
    assert (found.action, found.as_json()["action"]) == (action, action)


# --- Rehearsals.


@pytest.fixture
def toy(shelf: MemoryCluster) -> Toy:
    """A toy that stands on its shelf."""
    found = Toy(name="train", maps={"rules": {"speed": "slow"}}, shelves=["shelf"])
    with correlate("request-1"):
        found.declare(by="alice")
    settle()
    shelf.writes.clear()
    shelf.calls.clear()
    return found


def changing(toy: Toy, **maps: dict[str, str]):
    """A declaration that can be made twice: each time of the toy as it is stored."""

    def declare() -> Toy:
        row = Toy.objects.get(pk=toy.pk)
        row.maps = maps
        row.declare(by="alice")
        return row

    return declare


def faster(toy: Toy):
    return changing(toy, rules={"speed": "fast"}, notes={"a": "1"})


@pytest.mark.django_db
def test_a_rehearsal_leaves_nothing_but_its_drafts(toy, shelf):
    marks = list(Work.objects.values_list("pk", "marks", "due_at"))
    row, (draft,) = rehearse(faster(toy))
    assert (row.generation, Toy.objects.get().generation) == (2, 1)
    assert draft.name == "Toy train on shelf" and draft.news
    assert list(Work.objects.values_list("pk", "marks", "due_at")) == marks
    assert Event.objects.filter(reason="Changed").count() == 0
    assert shelf.calls == []


@pytest.mark.django_db
def test_what_raises_raises_and_leaves_nothing(toy):
    def refuse() -> None:
        faster(toy)()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        plan(refuse, by="alice")
    assert Toy.objects.get().generation == 1 and not PlanRecord.objects.exists()


@pytest.mark.django_db
def test_a_row_that_is_only_summed_up_is_no_part_of_it(toy):
    assert rehearse(Toy.objects.get().mark_to_sum_up) == (None, [])


@pytest.mark.django_db
def test_a_new_shelf_shows_what_comes_though_nobody_declares(toy, shelf):
    """The toy's own step would place it: what follows from marks is planned to its end."""
    from reconcile.models import touch

    toy.refresh_from_db()
    toy.shelves = ["shelf", "other"]
    toy.declare(by="alice")
    settle()
    CLUSTERS["other"] = MemoryCluster(finishes=True)

    def build() -> None:
        Shelf.objects.create(name="other")
        touch("shelves")

    found = plan(build, by="olga")
    assert [(each.name, len(each.objects)) for each in found.clusters] == [("other", 2)]
    assert not Shelf.objects.filter(name="other").exists()
    assert ToyPlacement.objects.count() == 1


@pytest.mark.django_db
def test_more_than_anybody_waits_for_is_refused(toy, monkeypatch):
    from reconcile.planning import rehearsal

    assert MOST_ROWS >= 1000
    monkeypatch.setattr(rehearsal, "MOST_ROWS", 1)
    with pytest.raises(TooMuch, match="smaller part"):
        plan(faster(toy), by="alice")


# --- Asking.


def planned(toy: Toy) -> dict[str, tuple[str, str, str]]:
    report = plan(faster(toy), by="alice")
    return {
        each.ref.name: (each.action, each.trial.checked, each.trial.denial or each.trial.message)
        for each in report.objects
    }


@pytest.mark.django_db
def test_a_change_and_an_addition_are_tried_where_they_belong(toy, shelf):
    assert planned(toy) == {
        "rules": ("change", Checked.SERVER, ""),
        "notes": ("create", Checked.SERVER, ""),
    }
    assert shelf.writes == []


FAULTS = {
    "a refusal": (Refused("too fast"), ("change", Checked.SERVER, "too fast")),
    "a wait": (Waiting("being terminated"), ("change", Checked.NONE, "being terminated")),
    "a cut line": (Unreachable("broke off"), ("change", Checked.NONE, "broke off")),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("error", "told"), FAULTS.values(), ids=FAULTS)
def test_what_becomes_of_one_write_hides_no_other(toy, shelf, error, told):
    shelf.fail_on("apply", RULES, error)
    assert planned(toy) == {"rules": told, "notes": ("create", Checked.SERVER, "")}


@pytest.mark.django_db
def test_a_cluster_that_hangs_costs_no_more_than_the_deadline(toy, shelf):
    from reconcile.deadline import left

    waited = threading.Event()

    def hang(ref: Ref) -> Live | None:
        waited.set()
        time.sleep(max(left(), 0))
        raise Unreachable("the time is up")

    shelf.get = hang  # type: ignore[method-assign]
    _, drafts = rehearse(faster(toy))
    began = time.monotonic()
    (found,) = look(drafts, dry_run=True, seconds=0.3)
    assert time.monotonic() - began < 3
    assert waited.is_set()
    assert (found.state, found.message, found.seen) == (State.UNREACHABLE, "the time is up", None)


@pytest.mark.django_db
def test_clusters_are_asked_at_once(toy, shelf):
    """Each waits for the other: one after the other they would wait for ever."""
    Shelf.objects.create(name="other")
    CLUSTERS["other"] = MemoryCluster(finishes=True)
    toy.refresh_from_db()
    toy.shelves = ["shelf", "other"]
    toy.declare(by="alice")
    settle()
    both = threading.Barrier(2, timeout=5)
    for cluster in CLUSTERS.values():
        cluster.get = _after(both, cluster.get)  # type: ignore[method-assign]
    report = plan(faster(toy), by="alice")
    assert {each.state for each in report.clusters} == {State.ASKED}
    assert len(report.objects) == 4


def _after(both: threading.Barrier, get):
    met = threading.Event()

    def wait(ref: Ref):
        if not met.is_set():
            met.set()
            both.wait()
        return get(ref)

    return wait


@pytest.mark.django_db
def test_what_nobody_could_look_at_is_supposed_from_what_was_left(toy):
    _, (draft,) = rehearse(changing(toy, notes={"a": "1"}))
    steps = {str(step.ref): (step.verb, step.why) for step in supposed(draft.task).steps}
    assert steps == {
        "ConfigMap train/notes": (Verb.APPLY, Why.NEW),
        "ConfigMap train/rules": (Verb.DELETE, Why.UNWANTED),
    }


@pytest.mark.django_db
def test_what_stands_is_planned_for_drift_as_well(toy, shelf):
    assert standing_plan(toy).objects == ()
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(speed="light"))
    (found,) = standing_plan(toy).objects
    (field,) = found.fields
    assert (found.why, field.found, field.wanted) == (Why.DRIFT, "light", "slow")
    assert field.actor == "kubectl-edit"


@pytest.mark.django_db
def test_drafts_of_a_standing_row_need_no_news(toy):
    row = ToyPlacement.objects.get()
    assert not Draft.of(row).news and Draft.of(row, standing=True).news


# --- What was accepted is what is applied.


def synced(row: ToyPlacement) -> dict:
    row.refresh_from_db()
    return next(each for each in row.conditions if each["type"] == "Synced")


def accept_faster(toy: Toy) -> ToyPlacement:
    """Plan, accept and stop: the drain has not come yet."""
    shown_hash = plan(faster(toy), by="alice").hash
    with correlate("request-2"):
        accept(faster(toy), shown_hash, by="alice")
    row = ToyPlacement.objects.get()
    assert row.pinned_plan["hash"] == shown_hash
    return row


@pytest.mark.django_db
def test_what_was_accepted_is_applied_and_the_pin_goes(toy, shelf):
    row = accept_faster(toy)
    settle()
    assert (synced(row)["reason"], row.pinned_plan) == ("Applied", None)
    assert shelf.body(RULES)["data"] == {"speed": "fast"}
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(speed="light"))
    row.mark()
    settle()
    assert shelf.body(RULES)["data"] == {"speed": "fast"}  # drift is repaired as ever


def move_on_cluster(toy: Toy, shelf: MemoryCluster) -> None:
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(speed="light"))


def move_what_was_deleted(toy: Toy, shelf: MemoryCluster) -> None:
    shelf.remove(RULES)


def move_what_was_made(toy: Toy, shelf: MemoryCluster) -> None:
    shelf.apply_as("kubectl", NOTES, manifest(NOTES, data={}))


def move_intent(toy: Toy, shelf: MemoryCluster) -> None:
    """By something else than a declaration of the row itself, such as a rule of its tenant."""
    Toy.objects.update(maps={"rules": {"speed": "ludicrous"}, "notes": {"a": "1"}})


AFTERWARDS = {
    "A43-the cluster moved": (move_on_cluster, "ConfigMap train/rules was changed on shelf."),
    "A43-an object went": (move_what_was_deleted, "ConfigMap train/rules is gone from shelf."),
    "A43-the intent moved": (
        move_intent,
        "What is wanted of ConfigMap train/rules on shelf has changed.",
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("move", "told"), AFTERWARDS.values(), ids=AFTERWARDS)
def test_what_moved_between_acceptance_and_drain_stops_it(toy, shelf, move, told):
    row = accept_faster(toy)
    move(toy, shelf)
    settle()
    found = synced(row)
    assert (found["status"], found["reason"], row.phase) == ("False", "PlanStale", "Error")
    assert told in found["message"] and "Nothing was applied" in found["message"]
    assert shelf.writes == []


@pytest.mark.django_db
def test_a_foreign_object_that_came_in_between_stops_it_too(toy, shelf):
    row = accept_faster(toy)
    move_what_was_made(toy, shelf)
    settle()
    assert synced(row)["reason"] == "Taken" and shelf.writes == []


@pytest.mark.django_db
def test_a_cluster_that_moves_back_brings_nothing_about(toy, shelf):
    row = accept_faster(toy)
    move_on_cluster(toy, shelf)
    settle()
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(speed="slow"))
    row.mark()
    settle()
    assert synced(row)["reason"] == "PlanStale" and shelf.writes == []


@pytest.mark.django_db
def test_a_new_declaration_ends_it(toy, shelf):
    row = accept_faster(toy)
    move_on_cluster(toy, shelf)
    settle()
    changing(toy, rules={"speed": "walking"})()
    settle()
    assert (synced(row)["reason"], row.pinned_plan) == ("Applied", None)
    assert shelf.body(RULES)["data"] == {"speed": "walking"}


@pytest.mark.django_db
def test_so_does_a_deletion(toy, shelf):
    accept_faster(toy)
    move_on_cluster(toy, shelf)
    settle()
    Toy.objects.get().request_deletion(by="alice")
    settle()
    assert not Toy.objects.exists() and not shelf.exists(RULES)


@pytest.mark.django_db
@pytest.mark.parametrize("writes", [1, 2])
def test_a_worker_that_was_killed_halfway_does_not_make_its_own_plan_stale(toy, shelf, writes):
    row = accept_faster(toy)
    kill_after(shelf, writes)
    with pytest.raises(Killed):
        settle()
    leave_alone(shelf)
    expire_leases()
    settle()
    assert (synced(row)["reason"], row.pinned_plan) == ("Applied", None)
    assert shelf.body(NOTES)["data"] == {"a": "1"}


@pytest.mark.django_db
def test_a_deletion_that_was_killed_halfway_goes_on(toy, shelf):
    def delete() -> None:
        Toy.objects.get().request_deletion(by="alice")

    accept(delete, plan(delete, by="alice").hash, by="alice")
    assert ToyPlacement.objects.get().pinned_plan["footing"]["deleting"] is True
    kill_after(shelf, 1)
    with pytest.raises(Killed):
        settle()
    leave_alone(shelf)
    expire_leases()
    settle()
    assert not Toy.objects.exists()


@pytest.mark.django_db
def test_a_plan_accepted_while_nobody_could_look_holds_for_what_is_found(toy, shelf):
    shelf.always(Unreachable("down"))
    row = accept_faster(toy)
    assert row.pinned_plan["footing"]["live"] is None
    shelf.heal()
    move_on_cluster(toy, shelf)
    settle()
    assert synced(row)["reason"] == "Applied"


@pytest.mark.django_db
def test_an_old_hash_is_refused_and_says_what_moved(toy, shelf):
    old = plan(faster(toy), by="alice").hash
    move_on_cluster(toy, shelf)
    with pytest.raises(PlanOutdated) as refused:
        accept(faster(toy), old, by="alice")
    assert refused.value.extra["moved"] == ["ConfigMap train/rules was changed on shelf."]
    assert Toy.objects.get().generation == 1
    assert ToyPlacement.objects.get().pinned_plan is None


@pytest.mark.django_db
def test_a_spec_that_moves_between_look_and_declaration_is_refused(toy, shelf):
    """The race of A43: somebody else declares while the clusters are asked."""
    declare = Toy.objects.get  # read anew each time
    hashed = plan(faster(toy), by="alice").hash
    runs = []

    def racing() -> Toy:
        runs.append(1)
        row = declare(pk=toy.pk)
        row.maps = {"rules": {"speed": "fast"}, "notes": {"a": str(len(runs))}}
        row.declare(by="alice")
        return row

    with pytest.raises(PlanOutdated, match="ConfigMap train/notes"):
        accept(racing, hashed, by="alice")
    assert (len(runs), Toy.objects.get().generation) == (2, 1)


def test_a_stale_plan_is_an_error_and_no_drift():
    from reconcile.values import Condition, Status

    stale = Condition("Synced", Status.FALSE, "PlanStale")
    assert phase_of(stale, Condition("Ready", Status.UNKNOWN, "PlanStale")) == "Error"


# --- As text.


LINES = [
    "apply ConfigMap train/rules (changed)",
    "  .data.speed: slow → fast",
    "  warning: speed is deprecated",
    "apply ConfigMap train/notes (new, schema alone)",
    "  denied: no notes",
    "delete ConfigMap train/old (unwanted, not checked)",
    "quota: 3 more pods in train, -1 of 5 left, which is too little",
]


def test_a_report_reads_as_text():
    field = Difference(".data.speed", "slow", "fast")
    warned = Trial(Checked.SERVER, warnings=("speed is deprecated",))
    denied, unseen = Trial(Checked.SCHEMA, denial="no notes"), Trial(Checked.NONE)
    old = Ref(CONFIG_MAP, "train", "old")
    objects = (
        PlannedObject("row", Verb.APPLY, Why.CHANGED, RULES, warned, (field,)),
        PlannedObject("row", Verb.APPLY, Why.NEW, NOTES, denied, manifest={}),
        PlannedObject("row", Verb.DELETE, Why.UNWANTED, old, unseen),
    )
    room = Headroom("train", "pods", "5", "3", "3", "-1", fits=False)
    cluster = PlannedCluster("shelf", State.ASKED, objects=objects, headroom=(room,))
    assert lines_of(Report("hash", (cluster,))) == LINES
    silent = PlannedCluster("shelf", State.UNREACHABLE, "down", ("It was held.",))
    assert lines_of(Report("hash", (silent,))) == ["none: down", "note: It was held."]
