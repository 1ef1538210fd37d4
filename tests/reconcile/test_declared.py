"""Declaring: one transaction, one generation, one event, and marks for all that depends on it."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from reconcile.correlation import correlate
from reconcile.drain import take_step
from reconcile.errors import Unreachable
from reconcile.models import Event, Lease, Work, touch
from reconcile.refusals import Conflicting, Deleting
from reconcile.values import Phase
from tests.clusters.steps import settle
from tests.memory_cluster import MemoryCluster
from tests.reconcile.models import CLUSTERS, Shelf, Toy, ToyPlacement

pytestmark = pytest.mark.django_db


@pytest.fixture
def shelves(db) -> dict[str, MemoryCluster]:
    """Three shelves with clusters behind them."""
    for name in ("a", "b", "c"):
        Shelf.objects.create(name=name)
        CLUSTERS[name] = MemoryCluster(finishes=True)
    return CLUSTERS


def make_toy(**columns) -> Toy:
    toy = Toy(**{"name": "train", "maps": {"rules": {"a": "1"}}, "shelves": ["a", "b"]} | columns)
    toy.declare(by="alice")
    return toy


def again(toy: Toy, **columns) -> bool:
    """Declare the toy anew with other columns."""
    toy.refresh_from_db()
    for name, value in columns.items():
        setattr(toy, name, value)
    return toy.declare(by="bob")


def placed_on(toy: Toy) -> dict[str, ToyPlacement]:
    return {row.cluster.name: row for row in toy.placements.all()}


def reasons(toy: Toy) -> list[str]:
    rows = Event.objects.filter(object_uid=toy.uid).order_by("pk")
    return list(rows.values_list("reason", flat=True))


# --- One declaration.


def test_it_saves_the_spec_with_its_first_generation(shelves):
    with correlate("request-1"):
        toy = make_toy()
    toy.refresh_from_db()

    assert (toy.generation, toy.observed_generation, toy.phase) == (1, 0, Phase.PENDING)
    assert (toy.declared_by, toy.correlation_id) == ("alice", "request-1")


def test_it_counts_every_change(shelves):
    toy = make_toy()
    assert again(toy, maps={}) and again(toy, shelves=["a"])
    toy.refresh_from_db()

    assert toy.generation == 3 and toy.declared_by == "bob"


def test_the_same_again_changes_nothing(shelves):
    toy = make_toy()
    settle()
    marks = list(Work.objects.order_by("pk").values_list("marks", flat=True))

    assert again(toy) is False
    assert Toy.objects.get().generation == 1 and Toy.objects.get().declared_by == "alice"
    assert list(Work.objects.order_by("pk").values_list("marks", flat=True)) == marks
    assert reasons(toy).count("Changed") == 0


def test_it_tells_who_declared_what(shelves):
    toy = make_toy()
    again(toy, maps={})
    events = Event.objects.filter(object_uid=toy.uid).order_by("pk")

    assert [(event.reason, event.actor) for event in events] == [
        ("Created", "alice"),
        ("Changed", "bob"),
    ]
    assert events[1].message == "Toy train was changed by bob."


def test_it_places_on_every_target_and_makes_all_of_it_due(shelves):
    toy = make_toy()

    assert set(placed_on(toy)) == {"a", "b"}
    assert Work.objects.due().count() == 3


def test_a_refused_declaration_leaves_no_trace(shelves, monkeypatch):
    def refuse(self, *, by, created):
        raise Conflicting("no")

    monkeypatch.setattr(Toy, "on_declared", refuse)
    with pytest.raises(Conflicting):
        make_toy()

    assert not Toy.objects.exists() and not Work.objects.exists() and not Event.objects.exists()


def test_a_bad_spec_is_refused_before_anything_is_written(shelves):
    with pytest.raises(ValidationError):
        make_toy(name="x" * 41)
    assert not Toy.objects.exists()


def test_a_taken_name_is_refused(shelves):
    make_toy()
    with pytest.raises((ValidationError, IntegrityError)), transaction.atomic():
        make_toy()


def test_a_declaration_of_what_somebody_changed_meanwhile_is_refused(shelves):
    toy = make_toy()
    stale = Toy.objects.get()
    again(toy, maps={})
    stale.maps = {"other": {}}

    with pytest.raises(Conflicting, match="changed meanwhile"):
        stale.declare(by="carol")
    assert Toy.objects.get().maps == {}


def test_a_declaration_of_what_is_being_deleted_is_refused(shelves):
    toy = make_toy()
    stale = Toy.objects.get()
    toy.request_deletion(by="alice")
    stale.maps = {}

    with pytest.raises(Deleting):
        stale.declare(by="carol")


def test_a_declaration_of_what_is_gone_meanwhile_is_refused(shelves):
    toy = make_toy()
    stale = Toy.objects.get()
    toy.request_deletion(by="alice")
    settle()
    stale.maps = {}

    with pytest.raises(Deleting):
        stale.declare(by="carol")


def test_a_declaration_writes_no_status(shelves):
    toy = make_toy()
    stale = Toy.objects.get()
    settle()
    stale.maps = {}
    stale.declare(by="bob")
    toy.refresh_from_db()

    assert toy.phase == Phase.DEPLOYED and toy.observed_generation == 1


def test_whoever_reads_the_row_is_marked(shelves, pebble):
    toy = make_toy()
    reader = pebble("reader")
    reader.reads.create(key=toy.key)
    Work.objects.filter(pk=reader.pk).update(due_at=None)
    again(toy, maps={})
    reader.refresh_from_db()

    assert reader.due_at is not None


# --- Where it is placed.


def test_a_shelf_that_is_chosen_gets_a_placement(shelves):
    toy = make_toy()
    settle()
    again(toy, shelves=["a", "b", "c"])
    settle()

    assert {row.phase for row in placed_on(toy).values()} == {"Deployed"} and len(toys_on("c")) == 1


def toys_on(name: str) -> list[str]:
    return [ref.name for ref in CLUSTERS[name].refs() if ref.name == "train"]


def test_a_shelf_that_is_no_longer_declared_is_cleared(shelves):
    toy = make_toy()
    settle()
    again(toy, shelves=["a"])
    settle()

    assert set(placed_on(toy)) == {"a"} and toys_on("b") == [] and toys_on("a") == ["train"]


def test_a_declared_removal_survives_the_parents_own_steps(shelves):
    """The parent sums up while its placement is still going."""
    toy = make_toy()
    settle()
    shelves["b"].finishes = False
    again(toy, shelves=["a"])
    for _ in range(3):
        toy.mark()
        settle()
    going = placed_on(toy)["b"]
    assert going.deleting and not going.unselected
    told = Event.objects.filter(object_uid=going.uid, reason="DeletionRequested")
    assert [event.message for event in told] == ["Toy train on b is no longer selected."]

    shelves["b"].finishes = True
    shelves["b"].finish_deletions()
    going.mark()
    settle()
    assert set(placed_on(toy)) == {"a"}


def test_a_shelf_that_vanishes_by_itself_is_kept_and_told(shelves):
    """Only a declaration removes; what the shelves' own names and labels do never does."""
    toy = make_toy()
    settle()
    Shelf.objects.filter(name="b").update(name="renamed")
    CLUSTERS["renamed"] = CLUSTERS["b"]
    touch("shelves")
    settle()
    kept = placed_on(toy)["renamed"]

    assert kept.unselected and not kept.deleting and toys_on("b") == ["train"]
    assert kept.conditions[0]["reason"] == "NoLongerSelected"
    told = Event.objects.filter(object_uid=kept.uid, reason="Deployed")
    assert told.count() == 1, "its phase has not moved"


def test_a_shelf_that_comes_back_is_selected_again(shelves):
    toy = make_toy()
    settle()
    for name in ("renamed", "b"):
        Shelf.objects.exclude(name="a").exclude(name="c").update(name=name)
        CLUSTERS[name] = CLUSTERS["b"]
        touch("shelves")
        settle()
    row = placed_on(toy)["b"]

    assert not row.unselected and row.conditions[0]["reason"] == "Applied"


def test_declaring_anew_confirms_the_removal(shelves):
    toy = make_toy()
    settle()
    Shelf.objects.filter(name="b").update(name="renamed")
    CLUSTERS["renamed"] = CLUSTERS["b"]
    touch("shelves")
    settle()
    again(toy, maps={})
    settle()

    assert set(placed_on(toy)) == {"a"} and toys_on("b") == []


def test_a_shelf_that_appears_is_placed_on_without_a_declaration(shelves):
    toy = make_toy(shelves=["a", "new"])
    settle()
    Shelf.objects.create(name="new")
    CLUSTERS["new"] = MemoryCluster()
    touch("shelves")
    settle()

    assert set(placed_on(toy)) == {"a", "new"} and toys_on("new") == ["train"]


def test_whoever_reads_the_row_is_marked_when_a_shelf_appears(shelves, pebble):
    toy = make_toy(shelves=["a", "new"])
    settle()
    reader = pebble("reader")
    reader.reads.create(key=toy.key)
    Work.objects.update(due_at=None)
    Shelf.objects.create(name="new")
    lease = claim_marked(toy)
    Toy.objects.get().step(lease)
    reader.refresh_from_db()

    assert reader.due_at is not None


def claim_marked(toy: Toy) -> Lease:
    toy.mark()
    lease = Work.objects.claim(toy.work.get().pk)
    assert lease is not None
    return lease


def test_a_shelf_that_is_chosen_again_while_it_is_cleared_stays(shelves):
    toy = make_toy()
    settle()
    before = placed_on(toy)
    again(toy, shelves=["a"])
    again(toy, shelves=["a", "b"])
    shelves["b"].writes.clear()
    settle()

    assert placed_on(toy) == before and shelves["b"].writes == [], "the very same, untouched"
    assert placed_on(toy)["b"].phase == "Deployed" and not placed_on(toy)["b"].deleting


def test_a_step_does_not_undo_a_declaration_made_since_its_row_was_read(shelves):
    toy = make_toy()
    settle()
    stale = Toy.objects.get()
    again(toy, shelves=["a"])
    stale.step(claim_marked(stale))

    assert placed_on(toy)["b"].deleting, "the stale spec still chose it"


# --- What it sums up.


@pytest.mark.parametrize(
    ("one", "other", "sum_"),
    [
        pytest.param("Active", "Active", "Deployed", id="all ready"),
        pytest.param("Active", "Soon", "Applying", id="one on its way"),
        pytest.param("Active", "Broken", "Error", id="one failed"),
        pytest.param("Soon", "Broken", "Error", id="the worst wins"),
    ],
)
def test_the_phase_is_the_worst_of_its_placements(shelves, one, other, sum_):
    toy = make_toy()
    settle()
    for name, status in (("a", one), ("b", other)):
        (ref,) = (ref for ref in shelves[name].refs() if str(ref) == "Namespace train")
        shelves[name].set_status(ref, {"phase": status})
        placed_on(toy)[name].mark()
    settle()
    toy.refresh_from_db()

    assert toy.phase == sum_


def test_its_conditions_name_the_placements_that_are_bad(shelves):
    toy = make_toy()
    settle()
    for name in ("a", "b"):
        (ref,) = (ref for ref in shelves[name].refs() if str(ref) == "Namespace train")
        shelves[name].set_status(ref, {"phase": "Broken"})
        placed_on(toy)[name].mark()
    settle()
    toy.refresh_from_db()
    ready = next(c for c in toy.conditions if c["type"] == "Ready")

    assert ready["message"] == (
        "Toy train on a: The toy is broken.; Toy train on b: The toy is broken."
    )


def test_it_is_not_deployed_before_every_placement_has_the_generation(shelves):
    toy = make_toy()
    settle()
    again(toy, maps={})
    lease = claim_marked(toy)
    Toy.objects.get().step(lease)
    toy.refresh_from_db()

    assert (toy.phase, toy.observed_generation) == ("Applying", 1)
    lease.release(0.0)
    settle()
    toy.refresh_from_db()
    assert (toy.phase, toy.observed_generation) == ("Deployed", 2)


def test_placed_nowhere_it_is_pending_and_says_so(shelves):
    toy = make_toy(shelves=[])
    settle()
    toy.refresh_from_db()

    assert toy.phase == "Pending" and toy.conditions[0]["reason"] == "NoClusterSelected"


def step_of(row: Toy | ToyPlacement) -> None:
    """One step of this row alone."""
    work = row.work.get()
    lease = Work.objects.claim(work.pk)
    assert lease is not None and take_step(lease) is not None


def test_a_placement_that_moves_sums_its_parent_up_without_a_step_of_it(shelves):
    toy = make_toy()
    step_of(toy)
    for placement in toy.placements.all():
        step_of(placement)
    if connection.vendor == "postgresql":  # many write at once: its own step sums up
        step_of(toy)
    toy.refresh_from_db()

    assert (toy.phase, toy.observed_generation) == ("Deployed", 1)
    assert toy.work.get().due_at is None
    assert reasons(toy)[-1] == "Deployed"


def test_of_many_placements_a_step_makes_the_sum(shelves):
    many = [f"s{number}" for number in range(9)]
    for name in many:
        Shelf.objects.create(name=name)
        CLUSTERS[name] = MemoryCluster(finishes=True)
    toy = make_toy(shelves=many)
    step_of(toy)
    step_of(toy.placements.order_by("pk")[0])
    assert toy.work.get().due_at is not None
    settle()
    toy.refresh_from_db()

    assert toy.phase == "Deployed"


def test_what_is_not_deployed_looks_again_where_its_placements_do_not_sum_up(shelves):
    toy = make_toy(shelves=[])
    settle()
    due = toy.work.get().due_at

    assert (due is None) == (connection.vendor == "sqlite")


# --- Deletion.


def test_it_goes_after_everything_that_is_its_own(shelves):
    toy = make_toy()
    settle()
    toy.request_deletion(by="alice")
    assert Toy.objects.get().deleting
    settle()

    assert not Toy.objects.exists() and not Work.objects.exists()
    assert [toys_on(name) for name in "ab"] == [[], []]
    assert reasons(toy)[-2:] == ["DeletionRequested", "Deleted"]


def test_asking_twice_deletes_once(shelves):
    toy = make_toy()
    toy.request_deletion(by="alice")
    Toy.objects.get().request_deletion(by="bob")

    assert reasons(toy).count("DeletionRequested") == 1
    assert Toy.objects.get().declared_by == "alice"


def test_it_is_applying_while_it_goes(shelves):
    toy = make_toy()
    settle()
    shelves["b"].finishes = False
    toy.request_deletion(by="alice")
    settle()
    toy.refresh_from_db()

    assert toy.phase == "Applying" and toy.conditions[0]["reason"] == "Deleting"


def test_a_cluster_that_does_not_answer_holds_its_part_of_the_deletion_alone(shelves):
    toy = make_toy()
    settle()
    shelves["b"].always(Unreachable("down"))
    toy.request_deletion(by="alice")
    settle()
    assert set(placed_on(toy)) == {"b"} and toys_on("a") == []

    shelves["b"].heal()
    placed_on(toy)["b"].mark()
    settle()
    assert not Toy.objects.exists() and toys_on("b") == []


def test_a_name_is_free_again_once_its_object_is_gone(shelves):
    make_toy().request_deletion(by="alice")
    settle()
    make_toy()
    settle()

    assert Toy.objects.get().phase == "Deployed"
