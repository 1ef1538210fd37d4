"""What becomes of drift: repaired at once, shown until somebody decides, or left to others."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from clusters.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE
from reconcile.drain import take_step
from reconcile.models import AppliedObject, Decision, Drift, Event, Work
from reconcile.values import MANAGED_BY, OWNER, Ref
from tests.clusters.steps import settle
from tests.reconcile.models import HELD, Toy, ToyPlacement
from tests.server_side_apply import fields_v1

HOME = Ref(NAMESPACE, "", "train")
RULES = Ref(CONFIG_MAP, "train", "rules")
CREW = Ref(DEPLOYMENT, "train", "crew")
EDITOR = "kubectl-edit"


def set_to(**data: str) -> Callable:
    return lambda body: body["data"].update(data)


@pytest.fixture
def toy(shelf) -> Toy:
    """A toy in mode auto that stands on its shelf."""
    found = Toy(
        name="train",
        maps={"rules": {"speed": "slow", "sound": "low"}},
        crews={"crew": 2},
        shelves=["shelf"],
    )
    found.declare(by="alice")
    settle()
    shelf.writes.clear()
    shelf.calls.clear()
    return found


@pytest.fixture
def manual(toy, shelf) -> Toy:
    """The same in mode manual."""
    declare(toy, repair_mode="manual")
    settle()
    shelf.writes.clear()
    shelf.calls.clear()
    return toy


def declare(toy: Toy, **spec: object) -> None:
    toy.refresh_from_db()
    for name, value in spec.items():
        setattr(toy, name, value)
    toy.declare(by="alice")


def look() -> ToyPlacement:
    """Look again, as after a change that the watcher saw; all steps that follow are taken."""
    row = ToyPlacement.objects.get()
    row.mark()
    settle()
    return ToyPlacement.objects.get()


def synced(row: ToyPlacement) -> tuple[str, str, str]:
    found = next(c for c in row.conditions if c["type"] == "Synced")
    return found["status"], found["reason"], found["message"]


def opened() -> list[str]:
    return [str(drift) for drift in Drift.objects.open().order_by("object_kind", "path")]


def dry_runs(shelf) -> int:
    return sum(verb == "apply" for verb, _ in shelf.calls) - sum(
        verb == "apply" for verb, _ in shelf.writes
    )


# --- Mode manual: shown, not repaired.


def test_drift_is_shown_and_not_repaired(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    row = look()
    drift = Drift.objects.get()

    assert shelf.writes == [] and shelf.body(RULES)["data"]["speed"] == "fast"
    assert (row.phase, *synced(row)[:2]) == ("Drifted", "False", "Drifted")
    assert "ConfigMap train/rules .data.speed differs (changed by kubectl-edit)" in synced(row)[2]
    assert (drift.path, drift.wanted, drift.found) == (".data.speed", "slow", "fast")
    assert (drift.actor, drift.drift_class, drift.resolution) == (EDITOR, "human", "")


def test_what_is_known_to_differ_costs_nothing_at_rest(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    first, events = Drift.objects.values().get(), Event.objects.count()
    shelf.calls.clear()
    row = look()

    assert dry_runs(shelf) == 0 and shelf.writes == []
    assert row.work.get().due_at is None, "it looks again when something changes"
    assert (Drift.objects.values().get(), Event.objects.count()) == (first, events)


def test_a_further_change_is_noted_on_the_same_record(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    first = Drift.objects.get()
    shelf.edit(RULES, "curl", set_to(speed="faster", sound="loud"))
    look()
    speed, sound = Drift.objects.open().order_by("-path")

    assert (speed.pk, speed.found, speed.actor) == (first.pk, "faster", "curl")
    assert speed.first_seen == first.first_seen < speed.last_seen
    assert (sound.path, sound.times) == (".data.sound", 1)


def test_it_is_told_once_who_changed_what(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    for _ in range(3):
        look()
    (event,) = Event.objects.filter(reason="DriftFound")

    assert event.type == "Warning" and event.actor == EDITOR
    assert ".data.speed (changed by kubectl-edit)" in event.message


def test_drift_that_somebody_takes_back_is_gone(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    shelf.edit(RULES, EDITOR, set_to(speed="slow"))
    row = look()

    assert Drift.objects.get().resolution == "gone" and row.phase == "Deployed"
    assert shelf.writes == []


def test_the_same_field_again_is_the_same_record_opened_again(manual, shelf):
    for speed in ("fast", "slow", "faster"):
        shelf.edit(RULES, EDITOR, set_to(speed=speed))
        look()
    drift = Drift.objects.get()

    assert (drift.times, drift.found, drift.resolution, drift.resolved_at) == (
        2,
        "faster",
        "",
        None,
    )


def test_a_removed_field_is_shown_and_stays_away(manual, shelf):
    shelf.edit(RULES, EDITOR, lambda body: body["data"].pop("sound"))
    look()
    declare(manual, maps={"rules": {"speed": "slower", "sound": "low"}})
    settle()

    assert opened() == ["ConfigMap train/rules .data.sound"]
    assert shelf.body(RULES)["data"] == {"speed": "slower"}


def test_a_missing_object_is_shown_and_not_made_anew(manual, shelf):
    shelf.remove(RULES)
    row = look()
    drift = Drift.objects.get()

    assert not shelf.exists(RULES) and row.phase == "Drifted"
    assert (drift.path, drift.drift_class, drift.found) == ("", "missing", None)
    assert "ConfigMap train/rules is missing" in synced(row)[2]
    assert row.work.get().due_at is None


def test_nothing_is_written_inside_of_a_missing_namespace(manual, shelf):
    shelf.remove(HOME)
    look()
    declare(manual, maps={"rules": {"speed": "slow"}, "notes": {"a": "1"}})
    row = look()

    assert shelf.writes == [] and not shelf.exists(HOME)
    assert row.phase == "Drifted" and "Namespace train" in opened()


def test_a_declaration_is_carried_out_around_what_differs(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    declare(manual, maps={"rules": {"speed": "slow", "sound": "off"}, "notes": {"a": "1"}})
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "fast", "sound": "off"}
    assert opened() == ["ConfigMap train/rules .data.speed"]
    assert shelf.exists(Ref(CONFIG_MAP, "train", "notes"))


def test_a_declaration_shows_drift_that_nobody_looked_at_before(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    declare(manual, maps={"rules": {"speed": "slow", "sound": "off"}})
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "fast", "sound": "off"}
    assert opened() == ["ConfigMap train/rules .data.speed"]


def test_a_declaration_changes_what_is_wanted_of_a_field_that_differs(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    declare(manual, maps={"rules": {"speed": "slowest", "sound": "low"}})
    settle()
    drift = Drift.objects.open().get()

    assert (drift.wanted, drift.found) == ("slowest", "fast")


def test_a_declaration_that_agrees_with_what_was_found_ends_it(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    declare(manual, maps={"rules": {"speed": "fast", "sound": "low"}})
    row = look()

    assert opened() == [] and row.phase == "Deployed"


def test_what_is_no_longer_wanted_is_removed_and_its_drift_ends(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    declare(manual, maps={})
    settle()

    assert not shelf.exists(RULES)
    assert opened() == [] and Drift.objects.get().resolution == "gone"


def test_a_manual_row_is_deleted_whatever_differs(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    manual.refresh_from_db()
    manual.request_deletion(by="alice")
    settle()

    assert not Toy.objects.exists() and not shelf.exists(HOME) and not Drift.objects.exists()


def test_what_differs_is_repaired_when_the_mode_becomes_auto(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    shelf.remove(CREW)
    look()
    declare(manual, repair_mode="auto")
    row = look()

    assert shelf.body(RULES)["data"]["speed"] == "slow" and shelf.exists(CREW)
    assert opened() == [] and row.phase == "Deployed"
    assert set(Drift.objects.values_list("resolution", flat=True)) == {"repaired"}


def test_labels_that_were_stripped_are_shown_and_repaired_with_approval(manual, shelf):
    shelf.edit(RULES, EDITOR, lambda body: body["metadata"].pop("labels"))
    look()
    assert [drift.path for drift in Drift.objects.open().order_by("path")] == [
        f".metadata.labels['{MANAGED_BY}']",
        f".metadata.labels['{OWNER}']",
    ]

    Drift.request_repair(Drift.objects.open(), "bob")
    row = look()
    assert shelf.body(RULES)["metadata"]["labels"][OWNER] == row.owner and opened() == []


# --- Approved.


def test_an_approved_repair_is_carried_out(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast", sound="loud"))
    look()
    assert Drift.request_repair(Drift.objects.open(), "bob") == 2
    settle()
    row = ToyPlacement.objects.get()

    assert shelf.body(RULES)["data"] == {"speed": "slow", "sound": "low"}
    assert row.phase == "Deployed"
    assert {(d.resolution, d.resolved_by, d.times) for d in Drift.objects.all()} == {
        ("repaired", "bob", 1)
    }
    asked = Event.objects.get(reason="RepairRequested")
    assert asked.actor == "bob" and asked.object_uid == manual.uid
    assert "ConfigMap train/rules .data.speed on shelf" in asked.message


def test_only_the_approved_field_is_repaired(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast", sound="loud"))
    look()
    Drift.request_repair(Drift.objects.filter(path=".data.speed"), "bob")
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "slow", "sound": "loud"}
    assert opened() == ["ConfigMap train/rules .data.sound"]


def test_an_approved_missing_object_is_made_anew(manual, shelf):
    shelf.remove(RULES)
    shelf.edit(CREW, EDITOR, lambda body: body["spec"].update(replicas=9))
    look()
    Drift.request_repair(Drift.objects.filter(drift_class="missing"), "bob")
    settle()

    assert shelf.exists(RULES) and shelf.body(CREW)["spec"]["replicas"] == 9
    assert opened() == ["Deployment train/crew .spec.replicas"]


def test_drift_that_came_after_the_approval_is_shown_first(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    shelf.edit(RULES, "curl", set_to(sound="loud"))
    Drift.request_repair(Drift.objects.open(), "bob")
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "slow", "sound": "loud"}
    assert opened() == ["ConfigMap train/rules .data.sound"]


def test_an_approved_repair_that_is_refused_stays_approved(manual, shelf):
    from reconcile.errors import Refused

    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    shelf.fail_on("apply", RULES, Refused("no"))
    Drift.request_repair(Drift.objects.open(), "bob")
    settle()
    assert Drift.objects.open().get().repair_requested_by == "bob"

    shelf.heal()
    look()
    assert shelf.body(RULES)["data"]["speed"] == "slow" and opened() == []


# --- Mode auto: repaired at once, kept on record.


def test_a_repair_is_kept_on_record(toy, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    drift = Drift.objects.get()

    assert (drift.resolution, drift.wanted, drift.found) == ("repaired", "slow", "fast")
    assert (drift.actor, drift.drift_class, drift.times) == (EDITOR, "human", 1)
    assert drift.object_uid == shelf.body(RULES)["metadata"]["uid"]
    assert (drift.tenant, drift.cluster, drift.parent_uid) == ("nursery", "shelf", toy.uid)


def test_repairs_of_one_field_are_counted(toy, shelf):
    for _ in range(3):
        shelf.edit(RULES, EDITOR, set_to(speed="fast"))
        look()
    drift = Drift.objects.get()

    assert drift.times == 3 and drift.first_seen < drift.last_seen


def test_a_missing_object_is_made_anew_and_kept_on_record(toy, shelf):
    shelf.remove(RULES)
    look()
    drift = Drift.objects.get()

    assert shelf.exists(RULES)
    assert (drift.path, drift.drift_class, drift.resolution) == ("", "missing", "repaired")


def fight(shelf, times: int) -> ToyPlacement:
    for _ in range(times):
        shelf.edit(RULES, "argocd", set_to(speed="fast"))
        row = look()
    return row


def test_a_fight_over_a_field_is_given_up_for_a_while(toy, shelf):
    row = fight(shelf, 7)
    drift = Drift.objects.get()

    assert shelf.body(RULES)["data"]["speed"] == "fast" and drift.resolution == ""
    assert (row.phase, synced(row)[2]) == (
        "Drifted",
        "ConfigMap train/rules .data.speed is managed by argocd.",
    )
    (event,) = Event.objects.filter(reason="DriftContested")
    assert event.type == "Warning" and "managed by argocd" in event.message
    due = row.work.get().due_at
    assert due is not None and 50 < (due - timezone.now()).total_seconds() <= 60


def test_the_other_fields_are_repaired_during_a_fight(toy, shelf):
    fight(shelf, 6)
    shelf.edit(RULES, EDITOR, set_to(sound="loud"))
    look()

    assert shelf.body(RULES)["data"] == {"speed": "fast", "sound": "low"}


def test_a_fight_that_is_over_is_forgotten(toy, shelf):
    fight(shelf, 6)
    with time_machine.travel(timezone.now() + timedelta(minutes=3)):
        row = look()
        assert shelf.body(RULES)["data"]["speed"] == "slow" and row.phase == "Drifted"
    with time_machine.travel(timezone.now() + timedelta(minutes=30)):
        row = look()
        assert row.phase == "Deployed" and opened() == []


def test_a_fight_that_goes_on_is_tried_at_longer_and_longer_intervals(toy, shelf):
    fight(shelf, 5)
    waits, now = [], timezone.now()
    for _ in range(3):
        drift = Drift.objects.get()
        waits.append(drift.contested_until - datetime.fromisoformat(drift.repairs[-1]))
        now += timedelta(minutes=3)
        with time_machine.travel(now, tick=False):
            Work.objects.update(lease_until=None)
            fight(shelf, 1)
    assert [wait.total_seconds() for wait in waits] == [60, 120, 240]


# --- Autoscalers.


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_replicas_that_an_autoscaler_has_set_are_its_own(toy, shelf, mode):
    declare(toy, repair_mode=mode)
    settle()
    shelf.scale(CREW, 7)
    row = look()
    assert (row.phase, shelf.body(CREW)["spec"]["replicas"]) == ("Deployed", 7)

    shelf.scale(CREW, 3)
    declare(toy, crews={"crew": 4})
    look()
    assert shelf.body(CREW)["spec"]["replicas"] == 3
    assert not Drift.objects.exists()


def test_the_rest_of_a_scaled_object_is_repaired(toy, shelf):
    def edit(body):
        body["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:2"

    shelf.scale(CREW, 7)
    look()
    shelf.edit(CREW, EDITOR, edit)
    look()
    spec = shelf.body(CREW)["spec"]

    assert spec["template"]["spec"]["containers"][0]["image"] == "crew:1"
    assert spec["replicas"] == 7


def test_a_person_who_scales_is_no_autoscaler(toy, shelf):
    shelf.scale(CREW, 7, manager="kubectl")
    look()

    assert shelf.body(CREW)["spec"]["replicas"] == 2
    assert Drift.objects.get().drift_class == "human"


def test_an_autoscaler_at_work_costs_one_look_for_each_of_its_changes(toy, shelf):
    shelf.scale(CREW, 7)
    look()
    shelf.writes.clear()
    look()
    assert shelf.writes == []


def test_an_autoscaler_that_comes_between_look_and_apply_keeps_its_replicas(toy, shelf):
    shelf.edit(CREW, "vim", lambda body: body["metadata"]["labels"].update(a="b"))
    original = shelf.apply

    def late(ref, *args, **options):
        vars(shelf).pop("apply")
        shelf.scale(CREW, 7)
        return original(ref, *args, **options)

    shelf.apply = late
    look()
    Work.objects.exclude(due_at=None).update(due_at=timezone.now() - timedelta(seconds=1))
    settle()

    assert shelf.body(CREW)["spec"]["replicas"] == 7


# --- Held.


def test_on_a_held_cluster_drift_is_noted_and_nothing_written(toy, shelf):
    HELD["shelf"] = "The cluster was swapped."
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    shelf.remove(CREW)
    declare(toy, maps={"rules": {"speed": "slow"}, "notes": {"a": "1"}})
    settle()
    row = look()

    assert shelf.writes == []
    assert synced(row) == ("Unknown", "ReportOnly", "The cluster was swapped.")
    assert row.observed_generation == 1 < row.generation
    assert opened() == ["Deployment train/crew"], "what is declared is not drift"


def test_what_was_held_back_is_done_once_it_is_confirmed(toy, shelf):
    HELD["shelf"] = "The cluster was swapped."
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    assert opened() == ["ConfigMap train/rules .data.speed"] and shelf.writes == []

    HELD.clear()
    row = look()
    assert shelf.body(RULES)["data"]["speed"] == "slow"
    assert opened() == [] and row.phase == "Deployed"


def test_an_approval_does_not_end_a_hold(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    HELD["shelf"] = "The cluster was swapped."
    Drift.request_repair(Drift.objects.open(), "bob")
    settle()
    assert shelf.writes == []

    HELD.clear()
    look()
    assert shelf.body(RULES)["data"]["speed"] == "slow"


def test_a_deletion_waits_on_a_held_cluster(toy, shelf):
    HELD["shelf"] = "The cluster was swapped."
    shelf.remove(HOME)
    toy.refresh_from_db()
    toy.request_deletion(by="alice")
    settle()
    row = look()
    assert shelf.writes == [] and synced(row)[1] == "ReportOnly"

    HELD.clear()
    row.mark()
    settle()
    assert not Toy.objects.exists()


# --- Extra objects.


@pytest.fixture
def extra(toy, shelf) -> Ref:
    """An object with our labels that we never made, as the watcher has noted it."""
    row, ref = ToyPlacement.objects.get(), Ref(CONFIG_MAP, "train", "stray")
    labels = {MANAGED_BY: "kubenova", OWNER: row.owner}
    meta = {"name": "stray", "namespace": "train", "labels": labels}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    live = shelf.apply_as(EDITOR, ref, body)
    Drift.extra(row, row.work.get(), ref, live.uid, EDITOR)
    return ref


def test_an_extra_object_is_shown_and_never_deleted_by_itself(extra, shelf):
    row = look()

    assert shelf.exists(extra) and row.phase == "Drifted"
    assert "ConfigMap train/stray is extra" in synced(row)[2]


def test_an_extra_object_is_deleted_with_approval(extra, shelf):
    look()
    Drift.request_repair(Drift.objects.open(), "bob")
    settle()

    assert not shelf.exists(extra) and Drift.objects.get().resolution == "repaired"
    assert Event.objects.get(reason="ExtraDeleted")
    assert ToyPlacement.objects.get().phase == "Deployed"


def test_an_extra_object_that_was_replaced_is_spared(extra, shelf):
    Drift.request_repair(Drift.objects.open(), "bob")
    meta = {"name": "stray", "namespace": "train"}
    shelf.remove(extra)
    shelf.apply_as("helm", extra, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    look()

    assert shelf.exists(extra)


def test_what_a_dead_worker_left_unrecorded_is_not_extra_for_long(toy, shelf):
    """The watcher has seen it before the next step could take it up again."""
    row = ToyPlacement.objects.get()
    AppliedObject.objects.at(RULES).delete()
    Drift.extra(row, row.work.get(), RULES, shelf.get(RULES).uid)
    row = look()

    assert (row.phase, Drift.objects.get().resolution) == ("Deployed", "gone")
    assert AppliedObject.objects.at(RULES).exists()


# --- Nothing that a cluster sends breaks a step.


def test_what_a_cluster_sends_is_kept_as_far_as_it_can_be(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="\0" * 3, sound="x" * 100_000))
    row = look()
    sound, speed = Drift.objects.open().order_by("path")

    assert row.phase == "Drifted"
    assert "\0" not in speed.found and sound.found == {"kubenova.io/cut": 100_002}


def test_a_step_survives_managed_fields_that_make_no_sense(manual, shelf, monkeypatch):
    original = shelf.get

    def nonsense(ref):
        live = original(ref)
        if live and ref == RULES:
            odd = {"f:data": {"f:speed": 5, "k:{": {}, "i:x": {}, "v:": {}}}
            entries = [{"manager": 7, "fieldsV1": odd}, "x", {"fieldsV1": fields_v1(frozenset())}]
            live.body["metadata"]["managedFields"] = entries
        return live

    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    monkeypatch.setattr(shelf, "get", nonsense)
    row = look()

    assert row.phase == "Drifted" and not row.work.get().traceback


def test_a_step_under_another_lease_notes_nothing(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    row = ToyPlacement.objects.get()
    row.mark()
    lease = Work.objects.claim(row.work.get().pk)
    original = shelf.apply

    def steal(ref, *args, **options):
        Work.objects.update(lease_token=None)
        return original(ref, *args, **options)

    shelf.apply = steal
    take_step(lease)

    assert not Drift.objects.exists() and not Decision.objects.exists()


def test_a_parent_whose_drift_waits_for_a_decision_is_at_rest_too(manual, shelf):
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    manual.refresh_from_db()

    assert manual.phase == "Drifted" and not Work.objects.exclude(due_at=None).exists()
