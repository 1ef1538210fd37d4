"""Events: what happened, for people, found by correlation id; and the id itself."""

import threading
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from reconcile import metrics
from reconcile.correlation import asked, correlate, correlation_id, new_correlation_id, traceparent
from reconcile.lanes import parallel
from reconcile.models import Event
from reconcile.sweep import prune
from tests.reconcile.models import Pebble


@pytest.fixture
def row(db) -> Pebble:
    return Pebble.objects.create(name="stone", tenant="acme")


def test_it_says_what_happened_to_which_object(row):
    event = Event.record(row, "Moved", "Pebble stone was moved.", actor="alice", data={"to": "x"})

    assert (event.kind, event.object_uid, event.name) == ("pebble", row.uid, "Pebble stone")
    assert (event.tenant, event.cluster, event.actor) == ("acme", "", "alice")
    assert (event.type, event.data) == (Event.Type.NORMAL, {"to": "x"})
    assert str(event) == "Moved: Pebble stone was moved."


def test_it_carries_the_correlation_id_of_what_is_going_on(row):
    with correlate("request-1"):
        inside = Event.record(row, "Moved", "…")
    outside = Event.record(row, "Moved", "…")

    assert (inside.correlation_id, outside.correlation_id) == ("request-1", "")


def test_what_is_too_long_for_its_column_is_cut(row):
    row.name = "x" * 300
    event = Event.record(row, "Moved", "m" * 5000, actor="a" * 300)
    event.refresh_from_db()

    assert (len(event.name), len(event.actor), len(event.message)) == (200, 150, 5000)


def test_it_is_counted_by_kind_and_reason(row, django_capture_on_commit_callbacks):
    counter = metrics.EVENTS.labels(kind="pebble", reason="Counted")
    before = counter._value.get()
    with django_capture_on_commit_callbacks(execute=True):
        Event.record(row, "Counted", "…")

    assert counter._value.get() == before + 1


def test_what_is_undone_is_not_counted(row, django_capture_on_commit_callbacks):
    counter = metrics.EVENTS.labels(kind="pebble", reason="Undone")
    before = counter._value.get()
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        Event.record(row, "Undone", "…")
        transaction.set_rollback(True)
    assert counter._value.get() == before


def test_the_newest_come_first(row):
    for number in range(3):
        Event.record(row, "Moved", str(number))
    assert [event.message for event in Event.objects.all()] == ["2", "1", "0"]


def test_old_events_go_and_young_ones_stay(row, settings):
    settings.EVENT_DAYS = 30
    for age in (0, 29, 31, 400):
        event = Event.record(row, "Moved", str(age))
        at = timezone.now() - timedelta(days=age)
        Event.objects.filter(pk=event.pk).update(at=at)

    assert prune() == 2
    assert [event.message for event in Event.objects.all()] == ["0", "29"]


def test_old_events_go_in_batches(row):
    for _ in range(5):
        Event.record(row, "Moved", "…")
    Event.objects.update(at=timezone.now() - timedelta(days=31))

    assert [Event.prune(30, batch=2) for _ in range(4)] == [2, 2, 1, 0]


def test_each_object_keeps_its_newest(row, settings):
    settings.EVENTS_PER_OBJECT = 3
    other = Pebble.objects.create(name="other", tenant="acme")
    for number in range(5):
        Event.record(row, "Moved", str(number))
    Event.record(other, "Moved", "other")

    assert prune() == 2
    assert [event.message for event in Event.objects.all()] == ["other", "4", "3", "2"]


def test_what_is_too_much_goes_in_batches(row):
    for _ in range(7):
        Event.record(row, "Moved", "…")

    assert [Event.thin_out(2, batch=2) for _ in range(4)] == [2, 2, 1, 0]


def test_many_are_written_at_once_and_keep_their_own_time(row, django_assert_num_queries):
    events = [Event.about(row, "Moved", str(number)) for number in range(5)]
    before = timezone.now()
    with django_assert_num_queries(1):
        Event.keep(events)

    kept = Event.objects.order_by("pk")
    assert [event.message for event in kept] == ["0", "1", "2", "3", "4"]
    assert all(event.at < before for event in kept)


# --- The request that began it.


def test_what_a_person_asks_for_begins_with_the_request(row):
    with correlate("request-1"), asked("POST", "/api/v1/pebbles"):
        Event.record(row, "Created", "…", actor="alice")
        Event.record(row, "Placed", "…", actor="alice")

    first, *rest = Event.objects.order_by("pk")
    assert (first.reason, first.actor, first.correlation_id) == ("Requested", "alice", "request-1")
    assert first.message == "alice asked: POST /api/v1/pebbles."
    assert first.data == {"method": "POST", "path": "/api/v1/pebbles"}
    assert [event.reason for event in rest] == ["Created", "Placed"]


def test_a_request_is_told_again_when_its_first_try_was_undone(row):
    with correlate("request-1"), asked("PUT", "/x"):
        with pytest.raises(KeyError), transaction.atomic():
            Event.record(row, "Created", "…", actor="alice")
            raise KeyError
        Event.record(row, "Created", "…", actor="alice")

    assert [event.reason for event in Event.objects.order_by("pk")] == ["Requested", "Created"]


def test_what_nobody_asked_for_has_no_request(row):
    with asked("POST", "/x"):
        Event.record(row, "Observed", "…")
    Event.record(row, "Created", "…", actor="alice")

    assert [event.reason for event in Event.objects.order_by("pk")] == ["Observed", "Created"]


# --- The correlation id.


def test_there_is_none_outside_of_any_request_or_step():
    assert correlation_id() == ""


def test_it_lasts_as_long_as_its_block():
    with correlate("outer"):
        with correlate("inner") as now:
            assert now == correlation_id() == "inner"
        assert correlation_id() == "outer"
    assert correlation_id() == ""


def test_an_empty_one_is_replaced_by_a_fresh_one():
    with correlate("") as one, correlate("") as other:
        assert one != other and len(one) == len(new_correlation_id()) == 32


def test_it_goes_along_into_the_threads_of_a_wave():
    with correlate("request-1"):
        assert parallel(lambda _: correlation_id(), range(5)) == ["request-1"] * 5


def test_it_does_not_leak_into_other_threads():
    found = []
    with correlate("request-1"):
        thread = threading.Thread(target=lambda: found.append(correlation_id()))
        thread.start()
        thread.join()

    assert found == [""]


def test_there_is_no_trace_where_nothing_is_traced():
    assert traceparent() == ""
