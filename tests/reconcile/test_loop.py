"""The loop on the smallest rows: Intent → Plan → Apply → Observe → Converge."""

import threading
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from clusters.kinds import CONFIG_MAP, NAMESPACE, SERVICE
from reconcile.correlation import correlate
from reconcile.drain import take_step
from reconcile.errors import (
    Conflict,
    Forbidden,
    Missing,
    Refused,
    Stale,
    Unauthenticated,
    Unreachable,
    Waiting,
)
from reconcile.locks import has_one_writer
from reconcile.loop import apply_all, carry_through
from reconcile.models import AppliedObject, Event, Lease, Work, touch
from reconcile.plan import CREATE_ONLY
from reconcile.values import (
    CORRELATION,
    MANAGED_BY,
    MANAGER,
    OWNER,
    Kind,
    Plan,
    Ref,
    Step,
    Verb,
    Why,
)
from tests.clusters.steps import settle
from tests.memory_cluster import MemoryCluster
from tests.reconcile.models import CLUSTERS, Shelf, Toy, Toybox, ToyIntent, ToyPlacement
from tests.reconcile.worlds import expire_leases, interfere, leave_alone

HOME = Ref(NAMESPACE, "", "train")
NOTES = Ref(CONFIG_MAP, "train", "notes")
RULES = Ref(CONFIG_MAP, "train", "rules")


@pytest.fixture
def toy(shelf) -> Toy:
    """A toy that is declared; no step was taken yet."""
    found = Toy(name="train", maps={"rules": {"speed": "slow"}}, shelves=["shelf"])
    with correlate("request-1"):
        found.declare(by="alice")
    return found


@pytest.fixture
def placed(toy, shelf) -> ToyPlacement:
    """A toy on its shelf; what was written until then is forgotten."""
    settle()
    shelf.writes.clear()
    shelf.calls.clear()
    return ToyPlacement.objects.get()


def redeclare(toy: Toy, **maps: dict[str, str]) -> None:
    toy.refresh_from_db()
    toy.maps = maps
    toy.declare(by="alice")


def step(row: ToyPlacement) -> Work:
    """Take one step with the row and return its work as it is afterwards."""
    row.mark()
    take_step(lease_of(row))
    row.refresh_from_db()
    return row.work.get()


def lease_of(row: ToyPlacement) -> Lease:
    lease = Work.objects.claim(row.work.get().pk)
    assert lease is not None
    return lease


def synced(row: ToyPlacement) -> tuple[str, str]:
    row.refresh_from_db()
    found = next(c for c in row.conditions if c["type"] == "Synced")
    return found["status"], found["reason"]


def wait(row: ToyPlacement) -> float:
    due = row.work.get().due_at
    return (due - timezone.now()).total_seconds()


# --- Writing.


def test_it_writes_in_the_order_of_the_kinds(toy, shelf):
    settle()
    assert shelf.writes == [("apply", HOME), ("apply", RULES)]


def test_it_writes_a_wave_in_parallel(shelf):
    """No apply of the wave returns before all of them have begun."""
    together = threading.Barrier(3, timeout=10)
    maps = {name: {"a": "1"} for name in ("a", "b", "c")}
    Toy(name="train", maps=maps, shelves=["shelf"]).declare(by="alice")
    original = shelf.apply

    def wait_for_the_others(ref, *args, **options):
        if ref.kind == CONFIG_MAP:
            together.wait()
        return original(ref, *args, **options)

    shelf.apply = wait_for_the_others
    settle()

    assert len(shelf.refs(CONFIG_MAP)) == 3


def test_it_reads_nothing_inside_of_a_namespace_that_does_not_exist(toy, shelf):
    settle()
    row = ToyPlacement.objects.get()
    shelf.remove(HOME)
    shelf.calls.clear()
    row.mark()
    settle()

    assert ("get", RULES) not in shelf.calls[: shelf.calls.index(("apply", HOME))]


def test_what_was_never_written_is_created_without_a_look_before(toy, shelf):
    settle()
    assert [verb for verb, _ in shelf.calls] == ["apply", "apply"]


def test_what_is_there_already_is_looked_at_before_it_is_decided_a12(toy, shelf):
    """The worker was killed after its first write: what it made is known by its label."""
    row = ToyPlacement.objects.get()
    labels = {MANAGED_BY: MANAGER, OWNER: row.owner}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "train"}}
    body["metadata"]["labels"] = labels
    shelf.apply(HOME, body)
    settle()

    assert ToyPlacement.objects.get().phase == "Deployed"
    assert ("get", HOME) in shelf.calls and shelf.exists(RULES)


def test_a_foreign_object_is_found_when_it_lets_the_creation_fail_a12(toy, shelf):
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "train"}}
    shelf.apply_as("argocd", HOME, body)
    settle()

    assert synced(ToyPlacement.objects.get()) == ("False", "Taken")
    assert not shelf.exists(RULES)


def test_at_rest_it_reads_by_name_and_lists_nothing(placed, shelf):
    step(placed)

    assert sorted(map(str, shelf.calls)) == sorted(map(str, [("get", HOME), ("get", RULES)]))


def test_it_writes_only_what_has_changed(placed, toy, shelf):
    redeclare(toy, rules={"speed": "slow"}, notes={"a": "1"})
    settle()

    assert shelf.writes == [("apply", NOTES)]


def test_it_remembers_a_wave_when_the_next_one_fails(toy, shelf):
    """Refused in the second wave, the first is on record (F2)."""
    shelf.fail_on("apply", RULES, Refused("no"))
    settle()

    assert [record.ref for record in AppliedObject.objects.all()] == [HOME]


def test_one_failure_in_a_wave_does_not_lose_what_the_others_wrote(toy, shelf):
    redeclare(toy, rules={"a": "1"}, notes={"a": "1"})
    shelf.fail_on("apply", NOTES, Refused("no"))
    settle()

    assert {record.ref for record in AppliedObject.objects.all()} == {HOME, RULES}


def test_after_a_failed_wave_no_further_wave_begins(toy, shelf):
    shelf.fail_on("apply", HOME, Refused("no"))
    settle()

    assert shelf.writes == []


# --- What is remembered.


def test_the_correlation_id_of_the_request_arrives_on_the_object(placed, shelf):
    annotations = shelf.body(RULES)["metadata"]["annotations"]
    assert annotations == {CORRELATION: "request-1"}


def test_a_repair_keeps_the_correlation_id_of_the_declaration(placed, shelf):
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(speed="fast"))
    with correlate("watcher-7"):
        step(placed)

    assert shelf.body(RULES)["metadata"]["annotations"][CORRELATION] == "request-1"


def test_a_foreign_addition_is_taken_note_of_once(placed, shelf):
    shelf.edit(HOME, "argo", lambda body: body["metadata"]["labels"].update(argo="1"))
    step(placed)
    assert shelf.writes == [("apply", HOME)]
    step(placed)

    assert shelf.writes == [("apply", HOME)], "an apply that changed nothing adopts what it saw"
    assert not Event.objects.filter(reason="DriftRepaired").exists()


def test_status_churn_costs_no_write(placed, shelf):
    shelf.set_status(HOME, {"phase": "Active", "conditions": [{"type": "X"}]})
    step(placed)
    record = AppliedObject.objects.at(HOME).get()

    assert shelf.writes == []
    assert record.status_fp == shelf.get(HOME).status_fp


def test_what_was_pruned_is_forgotten_once_it_is_seen_gone(placed, toy, shelf):
    redeclare(toy)
    settle()
    assert shelf.writes == [("delete", RULES)]
    step(placed)

    assert [record.ref for record in AppliedObject.objects.all()] == [HOME]


def test_what_is_pruned_is_remembered_until_it_is_gone(placed, toy, shelf):
    hold = {"finalizers": ["example.org/hold"]}
    shelf.edit(RULES, "vim", lambda body: body["metadata"].update(hold))
    redeclare(toy)
    settle()
    step(placed)

    assert RULES in {record.ref for record in AppliedObject.objects.all()}


def test_a_repair_is_told_with_the_field_and_who_did_it(placed, shelf):
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(speed="fast"))
    step(placed)
    event = Event.objects.get(reason="DriftRepaired")

    assert event.actor == "kubectl-edit"
    assert ".data.speed (changed by kubectl-edit)" in event.message
    (field,) = event.data["fields"]
    assert (field["path"], field["found"], field["wanted"]) == (".data.speed", "fast", "slow")
    assert event.data["object"] == "ConfigMap train/rules"


def test_a_deletion_by_somebody_else_is_told(placed, shelf):
    shelf.remove(RULES)
    step(placed)

    message = Event.objects.get(reason="DriftRepaired").message
    assert message.startswith("ConfigMap train/rules was missing and was made anew")


# --- What was seen becomes conditions and phase.


def test_it_is_deployed_when_it_is_synced_and_ready(placed):
    assert placed.phase == "Deployed" and placed.observed_generation == 1
    assert synced(placed) == ("True", "Applied")
    assert placed.work.get().due_at is None, "at rest"


@pytest.mark.parametrize(
    ("status", "phase", "reason", "looks_again"),
    [
        pytest.param("Active", "Deployed", "Active", False, id="ready"),
        pytest.param("Soon", "Applying", "Progressing", True, id="on its way"),
        pytest.param("Broken", "Error", "Broken", False, id="failed"),
    ],
)
def test_the_adapter_says_how_it_is_doing(placed, shelf, status, phase, reason, looks_again):
    shelf.set_status(HOME, {"phase": status})
    work = step(placed)
    ready = next(c for c in placed.conditions if c["type"] == "Ready")

    assert (placed.phase, ready["reason"]) == (phase, reason)
    assert (work.due_at is not None) is looks_again


def test_a_condition_keeps_the_time_of_its_last_transition(placed, shelf):
    before = {c["type"]: c["last_transition"] for c in placed.conditions}
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        shelf.set_status(HOME, {"phase": "Broken"})
        step(placed)
    after = {c["type"]: c["last_transition"] for c in placed.conditions}

    assert after["Synced"] == before["Synced"] and after["Ready"] > before["Ready"]


def test_a_change_of_phase_is_told_once(placed, shelf):
    shelf.set_status(HOME, {"phase": "Broken"})
    for _ in range(3):
        step(placed)
    (event,) = Event.objects.filter(reason="Error", object_uid=placed.uid)

    assert event.type == "Warning"
    assert event.message == "Toy train on shelf is Error: The toy is broken."


def test_the_parent_hears_of_every_change(placed, toy, shelf):
    shelf.set_status(HOME, {"phase": "Broken"})
    placed.mark()
    settle()
    toy.refresh_from_db()

    assert toy.phase == "Error"


def test_whoever_reads_the_row_is_marked_when_it_changes(placed, shelf, pebble):
    reader = pebble("reader")
    reader.reads.create(key=placed.key)
    Work.objects.filter(pk=reader.pk).update(due_at=None)
    shelf.set_status(HOME, {"phase": "Broken"})
    step(placed)
    reader.refresh_from_db()

    assert reader.due_at is not None


# --- Errors, by what to do next.


@pytest.mark.parametrize(
    ("error", "condition", "phase", "least", "most"),
    [
        pytest.param(Refused("no"), ("False", "Refused"), "Error", 1.5, 2.4, id="refused"),
        pytest.param(
            Unauthenticated("who?"), ("False", "Unauthenticated"), "Error", 23, 36, id="401"
        ),
        pytest.param(
            Missing("no such kind"), ("False", "CapabilityMissing"), "Error", 23, 36, id="missing"
        ),
        pytest.param(
            Waiting("terminating"), ("Unknown", "WaitingForCluster"), "Pending", 1.5, 2.4, id="wait"
        ),
        pytest.param(
            Refused("slow down", retry_after=40), ("False", "Refused"), "Error", 39, 48, id="429"
        ),
    ],
)
def test_an_error_decides_what_is_shown_and_when_to_look_again(
    toy, shelf, error, condition, phase, least, most
):
    shelf.always(error)
    settle()
    row = ToyPlacement.objects.get()

    assert synced(row) == condition and row.phase == phase
    assert row.conditions[0]["message"] == error.message
    assert least <= wait(row) <= most


def test_it_waits_longer_after_each_failure(toy, shelf):
    shelf.always(Refused("no"))
    settle()
    row = ToyPlacement.objects.get()
    for expected in (4, 8, 16):
        row.work.update(due_at=timezone.now() - timedelta(seconds=1))
        take_step(lease_of(row))
        assert expected * 0.7 < wait(row) < expected * 1.3


def test_a_declaration_ends_the_waiting(toy, shelf):
    shelf.fail_next(Refused("no"))
    settle()
    redeclare(toy, rules={"speed": "fast"})
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "fast"}
    assert ToyPlacement.objects.get().work.get().failures == 0


def test_a_cluster_that_does_not_answer_is_shown_only_after_a_grace(placed, shelf, settings):
    shelf.always(Unreachable("connection refused"))
    step(placed)
    assert placed.phase == "Deployed", "a blip is not shown"

    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        step(placed)
    assert synced(placed) == ("Unknown", "Unreachable") and placed.phase == "Error"


def test_an_answer_ends_the_grace(placed, shelf):
    shelf.fail_next(Unreachable("connection refused"))
    step(placed)
    step(placed)
    assert placed.failing_since is None

    shelf.always(Unreachable("connection refused"))
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        step(placed)
    assert placed.phase == "Deployed", "the grace begins anew"


def test_an_answer_that_was_lost_on_the_way_is_found_out_f14(toy, shelf):
    shelf.fail_next(Unreachable("connection reset"), verb="apply", after=True)
    settle()
    row = ToyPlacement.objects.get()
    row.mark()
    settle()

    assert row.phase == "Pending" and ToyPlacement.objects.get().phase == "Deployed"
    assert len(shelf.refs(CONFIG_MAP)) == 1


def test_a_conflict_of_uids_is_looked_at_again_at_once(placed, shelf):
    shelf.edit(RULES, "vim", lambda body: body["data"].update(speed="fast"))
    shelf.fail_next(Conflict("the uid moved on"), verb="apply")
    step(placed)

    assert placed.phase == "Deployed" and wait(placed) < 0.1


def test_conflicts_without_end_are_shown_f19(placed, shelf):
    shelf.edit(RULES, "vim", lambda body: body["data"].update(speed="fast"))
    shelf.fail_on("apply", RULES, Conflict("the uid moved on"))
    work = placed.work.get()
    for _ in range(5):
        Work.objects.filter(pk=work.pk).update(due_at=timezone.now() - timedelta(seconds=1))
        take_step(lease_of(placed))

    assert synced(placed) == ("False", "Conflict")


def test_a_field_that_another_manager_took_is_taken_back_f19(placed, shelf):
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(speed="fast"))
    step(placed)

    assert shelf.body(RULES)["data"] == {"speed": "slow"}
    assert shelf.calls.count(("apply", RULES)) == 2, "first without force, then with it"


def test_a_defect_in_an_adapter_is_a_crash_of_this_row_alone_f31(toy, shelf, monkeypatch):
    def broken(self, intent: ToyIntent):
        raise KeyError("a defect")

    monkeypatch.setattr(Toybox, "render", broken)
    settle()
    work = ToyPlacement.objects.get().work.get()

    assert "KeyError: 'a defect'" in work.traceback and shelf.writes == []


def test_the_parent_shows_that_a_placement_was_set_aside_f31(toy, shelf, monkeypatch):
    monkeypatch.setattr(Toybox, "render", lambda self, intent: 1 / 0)
    row = ToyPlacement.objects.get()
    for _ in range(5):
        settle()
        row.work.filter(quarantined_at=None).update(due_at=timezone.now() - timedelta(seconds=1))
    toy.refresh_from_db()

    assert ToyPlacement.objects.get().phase == toy.phase == "Error"
    assert "set aside" in toy.conditions[0]["message"]


# --- A worker that is late.


def steal(row: ToyPlacement) -> Lease:
    """Another worker takes the row over."""
    expire_leases()
    return lease_of(row)


def test_a_zombie_begins_no_wave_f6(toy, shelf):
    row = ToyPlacement.objects.get()
    lease = lease_of(row)
    lease._deadline = 0.0
    outcome = row.step(lease)

    assert isinstance(outcome.error, Stale) and shelf.writes == []


def test_a_zombie_stops_after_the_wave_in_which_it_lost_the_lease_f6(toy, shelf):
    row = ToyPlacement.objects.get()
    lease = lease_of(row)

    def lose(ref):
        steal(row)
        lease._deadline = 0.0  # the time that is left is known without asking anybody

    interfere(shelf, "apply", lose)
    outcome = row.step(lease)

    assert isinstance(outcome.error, Stale)
    assert shelf.writes == [("apply", HOME)]
    assert not AppliedObject.objects.exists() and not row.conditions


def test_a_zombie_writes_no_status_f6(placed, shelf):
    lease = _claimed(placed)
    shelf.set_status(HOME, {"phase": "Broken"})
    steal(placed)
    placed.step(lease)
    placed.refresh_from_db()

    assert placed.phase == "Deployed"


def _claimed(row: ToyPlacement) -> Lease:
    row.mark()
    return lease_of(row)


def test_whoever_has_the_lease_forgets_the_row_when_all_is_gone(placed, toy, shelf):
    toy.refresh_from_db()
    toy.shelves = []
    toy.declare(by="alice")
    placed.refresh_from_db()
    placed.step(_claimed(placed))
    assert not ToyPlacement.objects.exists()


def test_a_row_that_is_chosen_again_while_its_objects_go_is_kept_law_g(placed, toy, shelf):
    toy.refresh_from_db()
    toy.shelves = []
    toy.declare(by="alice")

    def choose_again(ref):
        toy.shelves = ["shelf"]
        toy.declare(by="alice")

    happened = interfere(shelf, "delete", choose_again)
    settle()

    assert happened and ToyPlacement.objects.get() == placed and shelf.exists(RULES)
    assert synced(placed) == ("True", "Applied") and not placed.deleting


def test_a_zombie_forgets_nothing_f6(placed, toy, shelf):
    """All is gone when it looks, but the row is another worker's by then."""
    toy.request_deletion(by="alice")
    placed.refresh_from_db()
    shelf.remove(HOME)
    lease = lease_of(placed)
    happened = interfere(shelf, "owned", lambda kind: steal(placed))
    outcome = placed.step(lease)

    assert happened and isinstance(outcome.error, Stale)
    assert ToyPlacement.objects.filter(pk=placed.pk).exists()


def test_a_zombie_does_not_resurrect_what_was_deleted_meanwhile_f6(placed, toy, shelf):
    redeclare(toy, rules={"speed": "fast"})
    row = ToyPlacement.objects.get()
    lease = lease_of(row)

    def delete_everything(ref):
        expire_leases()
        Toy.objects.get().request_deletion(by="alice")
        leave_alone(shelf)
        settle()

    interfere(shelf, "apply", delete_everything)
    row.step(lease)

    assert not Toy.objects.exists() and not shelf.exists(HOME) and not shelf.exists(RULES)


# --- What the intent reads.


def test_touching_what_the_intent_read_makes_the_row_due(placed):
    touch("toy/train")
    assert Work.objects.due().get().object_id == placed.pk


def test_an_intent_is_computed_anew_when_its_keys_were_not_yet_watched(toy, shelf, monkeypatch):
    """A change may come after the parent was read and before its key is watched: no mark tells."""
    monkeypatch.setattr("reconcile.models.convergent.has_one_writer", lambda: False)
    original = ToyPlacement.intent
    changed = []

    def intent(self):
        found = original(self)
        if not changed:
            changed.append(Toy.objects.filter(pk=toy.pk).update(maps={"rules": {"speed": "new"}}))
        return found

    monkeypatch.setattr(ToyPlacement, "intent", intent)
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "new"}


@pytest.mark.django_db(transaction=True)
def test_nobody_writes_while_its_first_intent_is_computed_once(toy, shelf, monkeypatch):
    alone, original = [], ToyPlacement.intent

    def intent(self):
        alone.append(connection.in_atomic_block)
        return original(self)

    monkeypatch.setattr(ToyPlacement, "intent", intent)
    settle()
    first = [True] if has_one_writer() else [False, False]  # else it is computed anew
    assert alone == first

    toy.maps = {"rules": {"speed": "new"}}
    toy.declare(by="alice")
    settle()
    assert alone == [*first, False]


# --- Deletion.


def test_it_waits_for_what_lost_its_labels_and_is_held_by_a_finalizer_f22(placed, toy, shelf):
    def strip_and_hold(body):
        del body["metadata"]["labels"]
        body["metadata"]["finalizers"] = ["example.org/hold"]

    shelf.edit(RULES, "vim", strip_and_hold)
    toy.request_deletion(by="alice")
    settle()
    assert synced(placed) == ("Unknown", "Deleting") and placed.phase == "Applying"
    assert "ConfigMap train/rules" in placed.conditions[0]["message"]

    shelf.edit(RULES, "vim", lambda body: body["metadata"].pop("finalizers"))
    shelf.finish_deletions()
    placed.mark()
    settle()
    assert not Toy.objects.exists() and not shelf.exists(HOME)


# --- What is no longer served.


def test_objects_of_a_kind_that_is_gone_do_not_hold_a_deletion_up_f20(placed, toy, shelf):
    shelf.unserve(CONFIG_MAP)
    toy.request_deletion(by="alice")
    settle()

    assert not Toy.objects.exists() and not shelf.exists(HOME)


def test_nothing_is_written_when_a_wanted_kind_is_not_served_f20(placed, shelf):
    shelf.edit(HOME, "vim", lambda body: body["metadata"].pop("labels"))
    shelf.unserve(CONFIG_MAP)
    step(placed)

    assert shelf.writes == [] and placed.phase == "Error"


def test_a_kind_that_is_wanted_and_not_served_is_shown_f20(placed, shelf):
    shelf.unserve(CONFIG_MAP)
    step(placed)
    assert synced(placed) == ("False", "CapabilityMissing")

    shelf.serve(CONFIG_MAP)
    step(placed)
    assert synced(placed) == ("True", "Applied") and shelf.exists(RULES)


def test_what_another_adapter_made_is_removed_f20(placed, shelf):
    """The cluster's capabilities chose another adapter once; its kinds are unknown to this one."""
    widget = Kind("example.com/v1", "Widget", "widgets")
    shelf.serve(widget)
    ref = Ref(widget, "train", "w")
    live = shelf.apply(
        ref,
        {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "metadata": {"name": "w", "namespace": "train"},
        },
    )
    record = AppliedObject.of(placed.work.get(), ref)
    record.uid = live.uid
    record.save()
    step(placed)

    assert not shelf.exists(ref)


def test_it_serves_several_clusters_from_one_declaration(toy, shelf):
    Shelf.objects.create(name="other")
    CLUSTERS["other"] = type(shelf)(finishes=True)
    toy.refresh_from_db()
    toy.shelves = ["shelf", "other"]
    toy.declare(by="alice")
    settle()

    assert all(cluster.exists(RULES) for cluster in CLUSTERS.values())
    uids = {cluster.body(RULES)["metadata"]["uid"] for cluster in CLUSTERS.values()}
    assert len(uids) == 2


def test_one_cluster_that_fails_does_not_hold_up_the_other_f36(toy, shelf):
    Shelf.objects.create(name="other")
    CLUSTERS["other"] = type(shelf)(finishes=True)
    CLUSTERS["other"].always(Refused("no"))
    toy.refresh_from_db()
    toy.shelves = ["shelf", "other"]
    toy.declare(by="alice")
    settle()
    toy.refresh_from_db()

    assert shelf.exists(RULES) and toy.phase == "Error"
    assert "Toy train on other: no" in toy.conditions[0]["message"]


# --- A binding that was just made.

DOOR = Ref(SERVICE, "train", "door")


def forbid(shelf, times: int) -> None:
    refusal = Forbidden('is forbidden: User "kubenova" cannot patch resource "configmaps"')
    shelf.fail_on("apply", RULES, refusal, times=times)


def creation(ref: Ref) -> Step:
    held = {"spec": {"clusterIP": "None"}} if ref == DOOR else {"data": {"speed": "slow"}}
    body = {"apiVersion": "v1", "kind": ref.kind.name, **held}
    meta = {"name": ref.name, "namespace": ref.namespace, "resourceVersion": CREATE_ONLY}
    return Step(Verb.APPLY, Why.NEW, ref, "", body | {"metadata": meta})


@pytest.fixture
def home(shelf) -> MemoryCluster:
    """A cluster with the namespace."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "train"}}
    shelf.apply_as("kubectl", HOME, manifest)
    shelf.calls.clear()
    return shelf


@pytest.mark.parametrize(
    ("refusals", "pauses", "written"),
    [
        pytest.param(2, (0.0, 0.0, 0.0), True, id="believed in time"),
        pytest.param(3, (0.0, 0.0), False, id="believed too late"),
        pytest.param(1, (), False, id="nothing was bound"),
    ],
)
def test_what_is_forbidden_right_after_a_binding_is_tried_again(home, refusals, pauses, written):
    forbid(home, refusals)
    wave = [creation(NOTES), creation(RULES)]
    done, error = carry_through(home, wave, {}, pauses)

    assert home.exists(RULES) is written and home.exists(NOTES)
    assert {item.step.ref for item in done} == ({NOTES, RULES} if written else {NOTES})
    assert (error is None) is written


def test_what_was_written_is_not_written_again_with_it(home):
    forbid(home, 2)
    carry_through(home, [creation(NOTES), creation(RULES)], {}, (0.0, 0.0))

    applied = [ref for verb, ref in home.writes if verb == "apply" and ref == NOTES]
    assert len(applied) == 1


@pytest.mark.parametrize("waves", [[[NOTES], [DOOR]], [[NOTES, DOOR]], [[DOOR]]])
def test_policies_see_their_parameters_a_moment_after_those_are_written(home, waves):
    """What is forbidden behind a ConfigMap, or beside it, is tried again in the same step."""
    home.fail_on("apply", DOOR, Forbidden("no params found for policy binding"), times=2)
    plan = Plan(tuple(tuple(creation(ref) for ref in wave) for wave in waves))
    row = SimpleNamespace(remember=lambda *written: None)
    lease = SimpleNamespace(check=lambda: None)

    with pytest.raises(Forbidden) if waves == [[DOOR]] else nullcontext():
        apply_all(row, home, plan, {}, lease)

    assert home.exists(DOOR) is (waves != [[DOOR]])


def test_another_refusal_is_final(home):
    home.fail_on("apply", RULES, Refused("no"), times=1)
    _, error = carry_through(home, [creation(RULES)], {}, (0.0, 0.0))

    assert type(error) is Refused and not home.exists(RULES)
