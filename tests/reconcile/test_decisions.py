"""What people decide about differences: repair, accept, ignore; for a while or for good."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from clusters.kinds import CONFIG_MAP, DEPLOYMENT, SECRET
from reconcile.models import Decision, Drift, Event, Work
from reconcile.models.decisions import decisions_key
from reconcile.refusals import Conflicting, Invalid, NotAllowed
from reconcile.sweep import prune
from reconcile.values import MANAGED_BY, Ref
from tests.clusters.steps import settle
from tests.memory_cluster import MemoryCluster
from tests.reconcile.models import CLUSTERS, Shelf, Toy, ToyPlacement
from tests.reconcile.test_modes import CREW, RULES, declare, look, opened, set_to

EDITOR = "kubectl-edit"
NOTES = Ref(CONFIG_MAP, "train", "notes")


@pytest.fixture
def toy(shelf) -> Toy:
    """A toy in mode auto that stands on its shelf."""
    maps = {"rules": {"speed": "slow", "sound": "low"}, "notes": {"a": "1"}}
    found = Toy(name="train", maps=maps, crews={"crew": 2}, shelves=["shelf"])
    found.declare(by="alice")
    settle()
    return found


@pytest.fixture
def drifted(toy, shelf) -> Drift:
    """A field that differs and waits for a decision, in mode manual."""
    declare(toy, repair_mode="manual")
    settle()
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    shelf.writes.clear()
    return Drift.objects.get()


def ignore(toy: Toy, **rule: object) -> Decision:
    return Decision.ignore(toy, "alice", **{"reason": "theirs", **rule})


# --- Accept.


def test_what_is_accepted_becomes_part_of_the_intent(drifted, toy, shelf):
    assert Drift.accept([drifted], "bob", "it is better so") == 1
    settle()
    row = ToyPlacement.objects.get()
    drifted.refresh_from_db()

    assert (row.phase, shelf.body(RULES)["data"]["speed"]) == ("Deployed", "fast")
    assert (drifted.resolution, drifted.resolved_by) == ("accepted", "bob")
    decision = Decision.objects.get()
    assert (decision.base, decision.value, decision.author) == ("slow", "fast", "bob")
    event = Event.objects.get(reason="DriftAccepted")
    assert event.object_uid == toy.uid and event.actor == "bob"
    assert event.message.endswith(".data.speed on shelf: it is better so")


def test_what_is_accepted_is_held_against_others(drifted, shelf):
    Drift.accept([drifted], "bob")
    declare(Toy.objects.get(), repair_mode="auto")
    settle()
    shelf.edit(RULES, EDITOR, set_to(speed="faster"))
    look()

    assert shelf.body(RULES)["data"]["speed"] == "fast"


def test_other_fields_can_change_beside_what_was_accepted(drifted, toy, shelf):
    Drift.accept([drifted], "bob")
    declare(toy, maps={"rules": {"speed": "slow", "sound": "off"}})
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "fast", "sound": "off"}


def test_a_spec_that_moves_on_wins(drifted, toy, shelf):
    Drift.accept([drifted], "bob")
    settle()
    declare(toy, maps={"rules": {"speed": "slower"}})
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "slower"}
    assert not Decision.objects.exists()
    assert "void" in Event.objects.get(reason="DecisionObsolete").message


def test_a_removed_field_can_be_accepted(drifted, shelf):
    shelf.edit(RULES, EDITOR, lambda body: body["data"].pop("sound"))
    look()
    Drift.accept(Drift.objects.filter(path=".data.sound"), "bob")
    settle()
    Drift.request_repair(Drift.objects.open(), "bob")
    row = look()

    assert shelf.body(RULES)["data"] == {"speed": "slow"} and row.phase == "Deployed"


def test_a_field_inside_of_a_list_can_be_accepted(toy, shelf):
    def edit(body):
        body["spec"]["template"]["spec"]["containers"][0]["image"] = "crew:2"

    declare(toy, repair_mode="manual")
    settle()
    shelf.edit(CREW, EDITOR, edit)
    look()
    assert opened() == [
        "Deployment train/crew .spec.template.spec.containers[name=main].image",
    ]
    Drift.accept(Drift.objects.all(), "bob")
    declare(toy, crews={"crew": 3})
    row = look()

    spec = shelf.body(CREW)["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]) == (3, "crew:2")
    assert row.phase == "Deployed"


def test_accepting_again_takes_the_place_of_the_first(drifted, shelf):
    Drift.accept([drifted], "bob")
    settle()
    shelf.edit(RULES, EDITOR, set_to(speed="faster"))
    look()
    Drift.accept(Drift.objects.open(), "bob")
    row = look()

    assert Decision.objects.get().value == "faster" and row.phase == "Deployed"


def test_revoking_what_was_accepted_brings_the_spec_back(drifted, toy, shelf):
    Drift.accept([drifted], "bob")
    settle()
    Decision.objects.get().revoke("carol")
    settle()

    assert shelf.body(RULES)["data"]["speed"] == "slow"
    assert Event.objects.get(reason="DecisionRevoked").actor == "carol"


def test_a_value_is_accepted_for_its_cluster_alone(drifted, toy, shelf):
    Shelf.objects.create(name="other")
    CLUSTERS["other"] = MemoryCluster(finishes=True)
    Drift.accept([drifted], "bob")
    declare(toy, shelves=["shelf", "other"])
    settle()

    assert shelf.body(RULES)["data"]["speed"] == "fast"
    assert CLUSTERS["other"].body(RULES)["data"]["speed"] == "slow"


# --- What cannot be.


def record(row: ToyPlacement, ref: Ref, **columns: object) -> Drift:
    drift = Drift.about(row, row.work.get(), ref)
    for name, value in columns.items():
        setattr(drift, name, value)
    drift.save()
    return drift


KEYS = Ref(SECRET, "train", "keys")


@pytest.mark.parametrize(
    ("ref", "columns", "words"),
    [
        pytest.param(RULES, {"drift_class": "missing"}, "is missing", id="a missing object"),
        pytest.param(RULES, {"drift_class": "extra"}, "not part of any intent", id="an extra one"),
        pytest.param(KEYS, {"path": ".data.a", "found": "••••••"}, "secret", id="a masked value"),
        pytest.param(
            RULES,
            {"path": ".data.a", "found": {"kubenova.io/cut": 9}},
            "too long",
            id="a value that was cut",
        ),
        pytest.param(
            RULES,
            {"path": f".metadata.labels['{MANAGED_BY}']"},
            "can only be repaired",
            id="the label that makes it ours",
        ),
        pytest.param(
            Ref(CONFIG_MAP, "train", "gone"),
            {"path": ".data.a", "found": "1"},
            "no longer wanted",
            id="an object that nobody wants",
        ),
    ],
)
def test_it_refuses_to_accept_what_cannot_be(toy, ref, columns, words):
    drift = record(ToyPlacement.objects.get(), ref, **columns)
    with pytest.raises(Conflicting, match=words):
        Drift.accept([drift], "bob")

    drift.refresh_from_db()
    assert drift.resolution == "" and not Decision.objects.exists()


def test_all_of_it_happens_or_nothing_does(drifted, toy):
    record(ToyPlacement.objects.get(), NOTES, drift_class="missing")
    with pytest.raises(Conflicting):
        Drift.accept(Drift.objects.all(), "bob")

    assert not Decision.objects.exists() and Drift.objects.open().count() == 2


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(lambda rows: Drift.request_repair(rows, "bob"), id="repair"),
        pytest.param(lambda rows: Drift.accept(rows, "bob"), id="accept"),
        pytest.param(lambda rows: Drift.ignore(rows, "bob", "why"), id="ignore"),
    ],
)
def test_only_operators_decide_about_what_belongs_to_a_cluster(drifted, verb):
    Drift.objects.update(tenant="")
    with pytest.raises(NotAllowed, match="only an operator"):
        verb(Drift.objects.all())


def test_an_operator_decides_about_what_belongs_to_a_cluster(drifted):
    Drift.objects.update(tenant="")
    assert Drift.request_repair(Drift.objects.all(), "olga", operator=True) == 1


def test_what_is_closed_by_now_is_overlooked(drifted):
    Drift.close(Drift.objects.all(), "gone")
    assert Drift.request_repair([drifted], "bob") == Drift.accept([drifted], "bob") == 0
    assert not Event.objects.filter(actor="bob").exists()


# --- Ignore.


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_an_ignored_field_is_left_to_others(toy, shelf, mode):
    ignore(toy, pointer="/data/speed")
    declare(toy, repair_mode=mode)
    settle()
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    row = look()

    assert shelf.body(RULES)["data"]["speed"] == "fast"
    assert row.phase == "Deployed" and not Drift.objects.exists()


def test_what_is_beside_an_ignored_field_is_repaired(toy, shelf):
    ignore(toy, pointer="/data/speed")
    shelf.edit(RULES, EDITOR, set_to(speed="fast", sound="loud"))
    look()

    assert shelf.body(RULES)["data"] == {"speed": "fast", "sound": "low"}
    assert [drift.path for drift in Drift.objects.all()] == [".data.sound"]


def test_an_ignored_field_is_written_while_it_is_ours(toy, shelf):
    ignore(toy, pointer="/data/speed")
    declare(toy, maps={"rules": {"speed": "slower"}})
    settle()

    assert shelf.body(RULES)["data"] == {"speed": "slower"}


def test_an_ignored_field_that_was_removed_stays_away(toy, shelf):
    ignore(toy, pointer="/data/speed")
    shelf.edit(RULES, EDITOR, lambda body: body["data"].pop("speed"))
    row = look()

    assert shelf.body(RULES)["data"] == {"sound": "low"} and row.phase == "Deployed"


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        pytest.param({"pointer": "/data"}, {"rules", "notes"}, id="everywhere"),
        pytest.param({"pointer": "/data", "object_name": "notes"}, {"notes"}, id="one object"),
        pytest.param({"pointer": "/data", "object_kind": "Secret"}, set(), id="another kind"),
        pytest.param({"pointer": "/data", "cluster": "shelf"}, {"rules", "notes"}, id="here"),
        pytest.param({"pointer": "/data", "cluster": "other"}, set(), id="another cluster"),
        pytest.param({"manager": "argocd"}, {"rules", "notes"}, id="a manager"),
        pytest.param({"manager": "flux"}, set(), id="another manager"),
        pytest.param({"manager": "argocd", "pointer": "/data/a"}, {"notes"}, id="a field of his"),
        pytest.param({"object_name": "rules"}, {"rules"}, id="an object as a whole"),
    ],
)
def test_a_rule_reaches_as_far_as_it_says(toy, shelf, rule, left):
    ignore(toy, **rule)
    shelf.edit(RULES, "argocd", set_to(speed="fast"))
    shelf.edit(NOTES, "argocd", set_to(a="2"))
    look()
    found = {
        "rules": shelf.body(RULES)["data"]["speed"] == "fast",
        "notes": shelf.body(NOTES)["data"]["a"] == "2",
    }

    assert {name for name, kept in found.items() if kept} == left


def test_ignoring_a_record_makes_a_rule_for_its_field(drifted, toy, shelf):
    until = timezone.now() + timedelta(days=1)
    assert Drift.ignore([drifted], "bob", "the vendor tunes it", until) == 1
    settle()
    decision, row = Decision.objects.get(), ToyPlacement.objects.get()
    drifted.refresh_from_db()

    assert (decision.pointer, decision.object_kind, decision.object_name, decision.cluster) == (
        *("/data/speed", "ConfigMap", "rules", "shelf"),
    )
    assert (decision.expires_at, decision.reason) == (until, "the vendor tunes it")
    assert drifted.resolution == "ignored" and row.phase == "Deployed" and shelf.writes == []
    assert Event.objects.get(reason="DriftIgnored").actor == "bob"


def test_a_missing_object_can_be_ignored(toy, shelf):
    declare(toy, repair_mode="manual")
    settle()
    shelf.remove(RULES)
    look()
    Drift.ignore(Drift.objects.all(), "bob", "we do without")
    declare(toy, repair_mode="auto")
    row = look()

    assert not shelf.exists(RULES) and row.phase == "Deployed" and opened() == []


def test_an_extra_object_that_is_ignored_is_not_noted_again(toy):
    row, ref = ToyPlacement.objects.get(), Ref(CONFIG_MAP, "train", "stray")
    Drift.extra(row, row.work.get(), ref, "u9", EDITOR)
    Drift.ignore(Drift.objects.all(), "bob", "a copy for tests")
    Drift.extra(row, row.work.get(), ref, "u9", EDITOR)

    assert opened() == []


def test_a_rule_ends_at_its_time(toy, shelf):
    ignore(toy, pointer="/data/speed", expires_at=timezone.now() + timedelta(minutes=5))
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    row = look()
    due = row.work.get().due_at
    assert shelf.body(RULES)["data"]["speed"] == "fast"
    assert due is not None and 290 < (due - timezone.now()).total_seconds() <= 300

    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        Work.objects.filter(pk=row.work.get().pk).update(due_at=timezone.now())
        look()
        assert shelf.body(RULES)["data"]["speed"] == "slow"
        assert Drift.objects.get().resolution == "repaired"


def test_when_a_rule_ends_in_mode_manual_the_drift_is_shown(toy, shelf):
    rule = ignore(toy, pointer="/data/speed")
    declare(toy, repair_mode="manual")
    settle()
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()
    rule.revoke("alice")
    settle()

    assert opened() == ["ConfigMap train/rules .data.speed"]
    assert shelf.body(RULES)["data"]["speed"] == "fast"


def test_a_rule_wakes_whoever_it_concerns(toy):
    Work.objects.update(due_at=None)
    ignore(toy, pointer="/data/speed")

    assert [work.object_id for work in Work.objects.due()] == [ToyPlacement.objects.get().pk]
    assert ToyPlacement.objects.get().work.get().reads.filter(key=decisions_key(toy)).exists()


def test_a_rule_closes_what_it_covers(drifted, toy, shelf):
    ignore(toy, pointer="/data/speed")
    row = look()

    assert opened() == [] and row.phase == "Deployed"
    assert shelf.body(RULES)["data"]["speed"] == "fast"


def test_the_same_rule_again_takes_the_place_of_the_first(toy):
    ignore(toy, pointer="/data/speed", reason="one")
    ignore(toy, pointer="/data/speed", reason="two")

    assert Decision.objects.get().reason == "two"


@pytest.mark.parametrize(
    ("rule", "pointers"),
    [
        pytest.param({"pointer": "/a", "reason": " "}, ["/reason"], id="no reason"),
        pytest.param({"pointer": "data"}, ["/pointer"], id="no JSON pointer"),
        pytest.param(
            {"pointer": "/a", "expires_at": timezone.now() - timedelta(days=1)},
            ["/expires_at"],
            id="an end that is past",
        ),
        pytest.param({"object_kind": "Secret"}, [], id="a rule about everything"),
    ],
)
def test_it_refuses_a_rule_that_makes_no_sense(toy, rule, pointers):
    with pytest.raises(Invalid) as refused:
        ignore(toy, **rule)

    assert [fault.pointer for fault in refused.value.errors] == pointers
    assert not Decision.objects.exists()


def test_decisions_go_with_what_they_were_made_on(toy):
    ignore(toy, pointer="/data/speed")
    toy.refresh_from_db()
    toy.request_deletion(by="alice")
    settle()

    assert not Toy.objects.exists() and not Decision.objects.exists()


def test_a_rule_on_another_toy_is_none_of_its_business(toy, shelf):
    other = Toy(name="car", shelves=[])
    other.declare(by="alice")
    ignore(other, pointer="/data/speed")
    shelf.edit(RULES, EDITOR, set_to(speed="fast"))
    look()

    assert shelf.body(RULES)["data"]["speed"] == "slow"


# --- Kept for a while.


def test_closed_records_and_ended_rules_go_after_a_while(drifted, toy, shelf, settings):
    settings.DRIFT_DAYS = 3
    long_ago = timezone.now() - timedelta(days=4)
    row = ToyPlacement.objects.get()
    old = record(row, NOTES, path=".data.a", resolution="repaired", resolved_at=long_ago)
    new = record(row, NOTES, path=".data.b", resolution="gone", resolved_at=timezone.now())
    ended = ignore(toy, pointer="/data/a")
    Decision.objects.filter(pk=ended.pk).update(expires_at=long_ago)
    standing = ignore(toy, pointer="/data/b")
    Drift.objects.filter(pk=drifted.pk).update(first_seen=long_ago)
    prune()

    assert set(Drift.objects.values_list("pk", flat=True)) == {drifted.pk, new.pk} != {old.pk}
    assert Decision.objects.get() == standing


def test_it_speaks_of_what_was_decided():
    rule = Decision(verb="ignore", object_kind="Deployment", pointer="/spec/replicas")
    assert str(rule) == "ignore Deployment /spec/replicas"
    assert str(Decision(verb="ignore", manager="argocd", cluster="prod")) == (
        "ignore any object all of argocd on prod"
    )
    assert str(DEPLOYMENT.name) in str(rule)
