"""The dirty set: claims, leases, marks, turns, crashes."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from reconcile.correlation import correlate
from reconcile.drain import take_step
from reconcile.errors import Stale, Unreachable
from reconcile.loop import Outcome
from reconcile.models import Event, Lease, Work, marking, touch
from reconcile.models.rows import read, reading, row_of
from reconcile.sweep import sweep
from tests.reconcile.models import STEPS, Pebble, Toy, ToyPlacement

pytestmark = pytest.mark.django_db
_AROUND = 2  # SAVEPOINT and RELEASE: a test is a transaction itself


def claim(work: Work) -> Lease:
    lease = Work.objects.claim(work.pk)
    assert lease is not None
    return lease


def expire(work: Work) -> None:
    """Let the lease run out, as if its holder had been stopped."""
    Work.objects.filter(pk=work.pk).update(lease_until=Now() - timedelta(seconds=1))


def seconds_until_due(work: Work) -> float:
    work.refresh_from_db()
    return (work.due_at - timezone.now()).total_seconds()


def is_due(work: Work) -> bool:
    return Work.objects.due().filter(pk=work.pk).exists()


# --- Claims.


def test_a_new_row_is_due_at_once(pebble):
    assert is_due(pebble())


def test_a_claim_counts_the_attempt_before_the_step(pebble):
    work = pebble()
    lease = claim(work)
    work.refresh_from_db()

    assert work.attempts == lease.work.attempts == 1
    assert work.lease_token == lease.token
    assert 14 < (work.lease_until - timezone.now()).total_seconds() <= 15


def test_a_claimed_row_cannot_be_claimed_again_f4(pebble):
    work = pebble()
    claim(work)

    assert Work.objects.claim(work.pk) is None and not is_due(work)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"due_at": None}, id="at rest"),
        pytest.param({"due_at": Now() + timedelta(seconds=5)}, id="due later"),
        pytest.param({"quarantined_at": Now()}, id="set aside"),
    ],
)
def test_what_is_not_due_cannot_be_claimed(pebble, state):
    work = pebble()
    Work.objects.filter(pk=work.pk).update(**state)

    assert Work.objects.claim(work.pk) is None


def test_a_row_that_is_gone_cannot_be_claimed(db):
    assert Work.objects.claim(4711) is None


def test_a_lease_that_ran_out_can_be_claimed_by_another_f1(pebble):
    work = pebble()
    first = claim(work)
    expire(work)
    second = claim(work)

    assert second.token != first.token and second.work.attempts == 2


def found(work: Work) -> Work:
    (row,) = Work.objects.fair(10)
    assert row.pk == work.pk
    return row


def test_what_was_found_due_is_taken_as_it_was_found_in_one_statement(
    pebble, django_assert_num_queries
):
    seen = found(pebble())
    with django_assert_num_queries(1):
        lease = Work.objects.take(seen)
    stored = Work.objects.get()

    assert lease.work is seen and lease.token == stored.lease_token
    assert seen.attempts == stored.attempts == 1
    assert abs(seen.lease_until - stored.lease_until) < timedelta(seconds=2)
    assert Work.objects.take(seen) is None, "it is leased"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"marks": 7}, id="marked"),
        pytest.param({"attempts": 2}, id="crashed"),
        pytest.param({"failures": 1}, id="failed"),
        pytest.param({"due_at": None}, id="at rest"),
        pytest.param({"quarantined_at": Now()}, id="set aside"),
    ],
)
def test_what_has_moved_on_since_it_was_found_is_not_taken(pebble, change):
    seen = found(pebble())
    Work.objects.update(**change)

    assert Work.objects.take(seen) is None
    assert Work.objects.get().lease_token is None


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_at_once_exactly_one_wins_f5(pebble):
    work, won, ready = pebble(), [], threading.Barrier(8)

    def take() -> None:
        ready.wait()
        won.append(Work.objects.claim(work.pk))
        connection.close()

    for _ in range(5):
        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (lease,) = [lease for lease in won if lease]
        lease.release(0.0)
        won.clear()


# --- Leases.


def test_renewing_extends_the_lease(pebble):
    work = pebble()
    lease = claim(work)
    Work.objects.filter(pk=work.pk).update(lease_until=Now() + timedelta(seconds=1))

    assert lease.renew()
    work.refresh_from_db()
    assert (work.lease_until - timezone.now()).total_seconds() > 14


def test_a_lease_that_ran_out_is_not_renewed_even_if_nobody_has_it(pebble):
    work = pebble()
    lease = claim(work)
    expire(work)

    assert not lease.renew()


def test_a_lease_that_another_has_is_not_renewed(pebble):
    work = pebble()
    lease = claim(work)
    expire(work)
    claim(work)

    assert not lease.renew()


def test_no_wave_begins_when_the_lease_is_about_to_run_out_f6(pebble, settings):
    settings.LEASE_SECONDS = 1
    lease = claim(pebble())
    lease.check()
    time.sleep(0.85)

    with pytest.raises(Stale):
        lease.check()


def test_renewing_lets_waves_begin_again(pebble, settings):
    work = pebble()
    settings.LEASE_SECONDS = 0.1
    lease = claim(work)
    time.sleep(0.1)
    settings.LEASE_SECONDS = 15
    Work.objects.filter(pk=work.pk).update(lease_until=Now() + timedelta(seconds=1))

    assert lease.renew()
    lease.check()


def test_a_worker_that_was_stopped_while_claiming_does_not_believe_in_its_lease_f6(pebble):
    """The time counts from before the claim, not from when its answer was read."""
    lease = Lease(pebble(), began=time.monotonic() - 20)

    with pytest.raises(Stale):
        lease.check()


def test_only_the_holder_holds(pebble):
    work = pebble()
    first = claim(work)
    first.hold()
    expire(work)
    second = claim(work)

    second.hold()
    with pytest.raises(Stale):
        first.hold()


# --- Release.


def test_a_released_row_is_at_rest(pebble):
    work = pebble()
    claim(work).release(None)
    work.refresh_from_db()

    assert (work.due_at, work.lease_token, work.attempts) == (None, None, 0)


def test_a_released_row_is_due_when_it_asked_for_it(pebble):
    work = pebble()
    claim(work).release(30, failures=2)

    assert 29 < seconds_until_due(work) <= 30 and work.failures == 2


def test_a_change_made_meanwhile_stays_due_law_g(pebble):
    work = pebble()
    lease = claim(work)
    Work.objects.filter(pk=work.pk).mark()
    lease.release(None)

    assert is_due(work)


def test_a_change_made_meanwhile_is_not_made_to_wait_for_a_backoff_law_g(pebble):
    work = pebble()
    lease = claim(work)
    Work.objects.filter(pk=work.pk).mark()
    lease.release(300, failures=9)
    work.refresh_from_db()

    assert is_due(work) and work.failures == 0


def test_a_change_made_before_the_claim_needs_no_second_step(pebble):
    work = pebble()
    Work.objects.filter(pk=work.pk).mark()
    claim(work).release(None)

    assert not is_due(work)


def test_a_zombie_releases_nothing_f6(pebble):
    work = pebble()
    zombie = claim(work)
    expire(work)
    holder = claim(work)
    zombie.release(None)
    work.refresh_from_db()

    assert work.lease_token == holder.token and work.attempts == 2


def test_every_mark_is_kept_when_many_come_at_once_f3(pebble):
    work = pebble()
    before = work.marks
    for _ in range(10):
        Work.objects.filter(pk=work.pk).mark()
    work.refresh_from_db()

    assert work.marks == before + 10


def test_marking_does_not_put_off_what_is_due_already(pebble):
    work = pebble()
    Work.objects.filter(pk=work.pk).update(due_at=Now() - timedelta(minutes=5))
    Work.objects.filter(pk=work.pk).mark()

    assert seconds_until_due(work) < -299


@pytest.mark.parametrize("due", [None, timedelta(minutes=5)], ids=["at rest", "due later"])
def test_marking_makes_due_at_once(pebble, due):
    work = pebble()
    Work.objects.filter(pk=work.pk).update(due_at=due and Now() + due)
    Work.objects.filter(pk=work.pk).mark()

    assert is_due(work)


def test_marking_carries_the_correlation_id_of_who_marked(pebble):
    work = pebble()
    with correlate("request-1"):
        Work.objects.filter(pk=work.pk).mark()
    Work.objects.filter(pk=work.pk).mark()
    work.refresh_from_db()

    assert work.correlation_id == "request-1", "a mark without one leaves the last"


# --- What an intent has read.


def reads(work: Work, *keys: str) -> bool:
    lease = Lease(work, time.monotonic())
    return Pebble.objects.get(pk=work.object_id).watch_reads(set(keys), lease)


def at_rest(work: Work) -> Work:
    Work.objects.filter(pk=work.pk).update(due_at=None)
    return work


def test_touching_a_key_marks_its_readers_alone(pebble):
    acme, globex = at_rest(pebble("acme")), at_rest(pebble("globex"))
    reads(acme, "tenant/acme", "clusters/labels")
    reads(globex, "tenant/globex", "clusters/labels")

    touch("tenant/acme")
    assert is_due(acme) and not is_due(globex)


def test_touching_several_keys_marks_a_row_once(pebble):
    work = at_rest(pebble())
    reads(work, "a", "b")
    before = work.marks

    touch("a", "b")
    work.refresh_from_db()
    assert work.marks == before + 1


def test_touching_what_nobody_read_marks_nothing(pebble):
    work = at_rest(pebble())
    touch("nobody/reads/this")
    assert not is_due(work)


def test_a_key_that_is_no_longer_read_marks_no_more(pebble):
    work = at_rest(pebble())
    reads(work, "a", "b")
    reads(work, "b")

    touch("a")
    assert not is_due(work)
    touch("b")
    assert is_due(work)


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        pytest.param((), (), False, id="none"),
        pytest.param((), ("a",), True, id="first"),
        pytest.param(("a",), ("a",), False, id="same"),
        pytest.param(("a",), ("a", "b"), True, id="more"),
        pytest.param(("a", "b"), ("a",), False, id="fewer"),
    ],
)
def test_new_keys_ask_for_the_intent_to_be_computed_again(pebble, before, now, new):
    work = pebble()
    reads(work, *before)

    assert reads(work, *now) is new


def test_reading_collects_the_keys_inside_of_the_block_alone():
    read("before")
    with reading() as outer:
        read("a")
        with reading() as inner:
            read("b")
        read("c")
    read("after")

    assert (outer, inner) == ({"a", "c"}, {"b"})


@pytest.mark.django_db(transaction=True)
def test_whoever_begins_to_read_a_key_waits_for_whoever_is_touching_it(pebble):
    """What was changed is seen when the intent is computed again: no change falls between."""
    work, seen = pebble(tenant="old"), []

    def begin_to_read() -> None:
        if reads(work, "key"):
            seen.append(Pebble.objects.get().tenant)
        connection.close()

    reader = threading.Thread(target=begin_to_read)
    with transaction.atomic():
        Pebble.objects.update(tenant="new")
        touch("key")
        reader.start()
        reader.join(0.3)
        assert reader.is_alive()
    reader.join(10)

    assert seen == ["new"]


# --- What one transaction marks.


def marks_of(work: Work) -> int:
    work.refresh_from_db()
    return work.marks


def test_a_transaction_marks_at_its_end_and_each_row_once(pebble):
    work = at_rest(pebble())
    before = work.marks
    with marking():
        Work.objects.filter(pk=work.pk).mark()
        with marking():
            Work.objects.filter(pk=work.pk).mark()
        assert marks_of(work) == before

    assert marks_of(work) == before + 1 and is_due(work)


def test_a_transaction_that_fails_marks_nothing(pebble):
    work = at_rest(pebble())
    before = work.marks
    with pytest.raises(ZeroDivisionError), marking():
        Work.objects.filter(pk=work.pk).revive()
        raise ZeroDivisionError

    assert marks_of(work) == before and not is_due(work)
    Work.objects.filter(pk=work.pk).mark()
    assert marks_of(work) == before + 1, "what failed is not made up for later"


def test_a_key_is_touched_for_those_who_read_it_by_the_end(pebble):
    work = at_rest(pebble())
    with marking():
        touch("key")
        reads(work, "key")

    assert is_due(work)


def test_what_a_transaction_removes_it_does_not_mark(pebble):
    work = pebble()
    with marking() as marks:
        Work.objects.filter(pk=work.pk).revive()
        marks.drop(Work.objects.filter(pk=work.pk))

    assert not Work.objects.exists()


def test_all_of_a_transaction_is_undone_when_its_lease_was_lost_f6(pebble):
    work, other = pebble("held"), at_rest(pebble("other"))
    lease = claim(work)
    with pytest.raises(Stale), marking(lease):
        Pebble.objects.filter(name="held").update(tenant="changed")
        Work.objects.filter(pk=other.pk).mark()
        expire(work)
        claim(work)

    assert Pebble.objects.get(name="held").tenant == "" and not is_due(other)


def test_a_mark_in_passing_leaves_the_cause_of_what_has_yet_to_settle(pebble):
    work = pebble()
    with correlate("request-1"):
        Work.objects.filter(pk=work.pk).mark()
    with correlate("request-2"):
        Work.objects.filter(pk=work.pk).mark(by_the_way=True)
    work.refresh_from_db()
    assert work.correlation_id == "request-1"

    at_rest(work)
    with correlate("request-3"):
        Work.objects.filter(pk=work.pk).mark(by_the_way=True)
    work.refresh_from_db()
    assert work.correlation_id == "request-3"


def test_a_mark_of_its_own_counts_more_than_one_in_passing(pebble):
    work = pebble()
    before = work.marks
    with correlate("request-2"), marking():
        Work.objects.filter(pk=work.pk).mark(by_the_way=True)
        Work.objects.filter(pk=work.pk).mark()

    assert marks_of(work) == before + 1 and work.correlation_id == "request-2"


# --- Turns.


def test_tenants_take_turns(pebble):
    for number in range(20):
        pebble(f"acme {number}", tenant="acme")
    for number in range(2):
        pebble(f"globex {number}", tenant="globex")

    tenants = [work.tenant for work in Work.objects.fair(5)]
    assert sorted(tenants[:2]) == sorted(tenants[2:4]) == ["acme", "globex"] and len(tenants) == 5


def test_a_tenant_is_served_in_the_order_in_which_its_rows_became_due(pebble):
    works = [pebble(f"{number}", tenant="acme") for number in range(3)]
    for age, work in enumerate(works):
        Work.objects.filter(pk=work.pk).update(due_at=Now() - timedelta(seconds=age))

    assert [work.pk for work in Work.objects.fair(3)] == [work.pk for work in reversed(works)]


def test_a_full_cluster_is_passed_over(pebble):
    busy, idle, none = pebble("a", shelf_pk=1), pebble("b", shelf_pk=2), pebble("c")
    found = {work.pk for work in Work.objects.fair(10, skip_clusters=[1])}

    assert found == {idle.pk, none.pk} and busy.pk not in found


def test_a_transaction_that_marks_one_row_reads_and_writes_nothing_else(
    pebble, django_assert_num_queries
):
    work = pebble()
    notify = connection.vendor == "postgresql"
    with django_assert_num_queries(2 + notify + _AROUND):  # find the row, mark it
        Work.objects.filter(pk=work.pk).mark()


def test_what_is_leased_or_later_takes_no_turn(pebble):
    claim(pebble("leased"))
    at_rest(pebble("rests"))

    assert Work.objects.fair(10) == []


# --- Steps.


def test_a_step_gives_the_row_back(pebble):
    work = pebble(act=lambda row, lease: Outcome(look_in=60))
    take_step(claim(work))

    assert 59 < seconds_until_due(work) <= 60 and work.lease_token is None


def test_failures_in_a_row_are_counted_and_end_with_a_success(pebble):
    work = pebble(act=lambda row, lease: Outcome(0.0, Unreachable("down")))
    for expected in (1, 2, 3):
        take_step(claim(work))
        work.refresh_from_db()
        assert work.failures == expected

    STEPS["pebble"] = lambda row, lease: Outcome(0.0)
    take_step(claim(work))
    work.refresh_from_db()
    assert work.failures == 0


def test_a_step_runs_under_the_correlation_id_of_the_mark(pebble):
    seen = []
    work = pebble(act=lambda row, lease: seen.append(Event.record(row, "Done", "…")))
    with correlate("request-1"):
        Work.objects.filter(pk=work.pk).mark()
    take_step(claim(work))

    assert seen[0].correlation_id == "request-1"


def test_a_row_comes_with_all_it_hangs_on_in_one_query(shelf, django_assert_num_queries):
    Toy(name="bear", shelves=["shelf"]).declare(by="alice")
    work = ToyPlacement.objects.get().work.get()

    with django_assert_num_queries(1):
        assert str(row_of(work)) == "Toy bear on shelf"


def test_a_row_that_is_read_anew_brings_anew_what_it_hangs_on(shelf, django_assert_num_queries):
    Toy(name="bear", shelves=["shelf"]).declare(by="alice")
    row = ToyPlacement.objects.get()
    assert row.toy.maps == {}
    Toy.objects.update(maps={"eyes": {"colour": "blue"}})

    with django_assert_num_queries(1):
        row.refresh_from_db()
        assert row.toy.maps == {"eyes": {"colour": "blue"}} and str(row) == "Toy bear on shelf"


def test_the_work_of_a_row_that_is_gone_goes_too(pebble):
    work = pebble()
    Pebble.objects.all().delete()

    assert take_step(claim(work)) is None
    assert not Work.objects.exists()


def test_delivered_twice_a_step_is_taken_once_f4(pebble):
    taken = []
    work = pebble(act=lambda row, lease: taken.append(row.pk))
    first, second = Work.objects.claim(work.pk), Work.objects.claim(work.pk)
    take_step(first)

    assert second is None and len(taken) == 1


def test_what_was_committed_before_a_kill_is_due_without_any_message_f3(pebble):
    """The row of the dirty set is the queue: nothing else has to survive."""
    work = pebble()
    assert [found.pk for found in Work.objects.fair(10)] == [work.pk]


# --- Crashes.


def explode(row: Pebble, lease: Lease) -> Outcome:
    raise ZeroDivisionError("a defect")


def crash(work: Work, times: int = 1) -> None:
    for _ in range(times):
        Work.objects.filter(pk=work.pk).update(due_at=Now())
        assert take_step(claim(work)) is None


def test_a_crash_leaves_its_traceback_and_is_tried_again_later_f31(pebble):
    work = pebble(act=explode)
    crash(work)

    assert 1 < seconds_until_due(work) <= 2
    assert "ZeroDivisionError: a defect" in work.traceback and "explode" in work.traceback
    assert work.lease_token is None and work.quarantined_at is None


def test_crashes_are_tried_again_ever_later_f31(pebble):
    work = pebble(act=explode)
    waits = []
    for _ in range(4):
        crash(work)
        waits.append(round(seconds_until_due(work)))

    assert waits == [2, 4, 8, 16]


def test_after_five_crashes_in_a_row_it_is_set_aside_and_people_see_it_f31(pebble):
    work = pebble(act=explode)
    crash(work, times=5)
    work.refresh_from_db()
    row = Pebble.objects.get()

    assert work.quarantined_at and Work.objects.claim(work.pk) is None
    assert row.phase == "Error"
    (condition,) = row.conditions
    assert (condition["type"], condition["status"]) == ("Synced", "False")
    assert condition["reason"] == "Quarantined" and "operator" in condition["message"]
    assert Event.objects.filter(reason="Quarantined", type="Warning").count() == 1


def test_a_success_in_between_forgets_the_crashes_f31(pebble):
    work = pebble(act=explode)
    crash(work, times=4)
    STEPS.clear()
    Work.objects.filter(pk=work.pk).update(due_at=Now())
    take_step(claim(work))
    STEPS["pebble"] = explode
    crash(work, times=4)
    work.refresh_from_db()

    assert work.quarantined_at is None


def test_others_are_served_while_one_crashes_f31(pebble):
    served = []
    poison = pebble("poison", act=explode)
    fine = pebble("fine", act=lambda row, lease: served.append(row.name))
    for work in Work.objects.fair(10):
        take_step(claim(work))

    assert served == ["fine"] and {poison.pk, fine.pk} == {w.pk for w in Work.objects.all()}


def test_whoever_changes_what_is_wanted_revives_it_f31(pebble):
    work = pebble(act=explode)
    crash(work, times=5)
    Pebble.objects.get().mark()
    work.refresh_from_db()

    assert is_due(work) and (work.attempts, work.quarantined_at) == (0, None)


def test_a_change_made_during_the_last_crash_is_not_set_aside_law_g(pebble):
    def explode_while_someone_repairs(row, lease):
        Pebble.objects.get().mark()
        raise ZeroDivisionError

    work = pebble(act=explode)
    crash(work, times=4)
    STEPS["pebble"] = explode_while_someone_repairs
    crash(work)
    work.refresh_from_db()

    assert is_due(work) and work.quarantined_at is None


def test_a_row_that_kills_its_worker_is_set_aside_by_the_sweep_f31(pebble):
    work = pebble()
    for _ in range(5):
        claim(work)
        expire(work)
    sweep()
    work.refresh_from_db()

    assert work.quarantined_at and "died" in work.traceback
    assert Pebble.objects.get().conditions[0]["reason"] == "Quarantined"
    assert Event.objects.filter(reason="Quarantined").count() == 1


def test_the_sweep_leaves_alone_what_is_under_way(pebble):
    work = pebble()
    for _ in range(4):
        claim(work)
        expire(work)
    claim(work)
    sweep()
    work.refresh_from_db()

    assert work.quarantined_at is None


def test_what_has_killed_its_workers_is_offered_to_none_and_set_aside_f31(pebble, settings):
    """Its lease runs out long before a sweep comes by: until then it would go on killing."""
    work = pebble()
    for _ in range(settings.QUARANTINE_ATTEMPTS):
        (offered,) = Work.objects.fair(10)
        assert Work.objects.claim(offered.pk)
        expire(work)
    offered_then = Work.objects.fair(10)
    sweep()
    work.refresh_from_db()

    assert (offered_then, work.quarantined_at is None) == ([], False)


def test_the_sweep_counts_what_is_due(pebble):
    pebble("due")
    at_rest(pebble("rests"))
    claim(pebble("leased"))

    assert sweep() == 1


def test_a_zombie_that_crashes_harms_nobody_f6(pebble):
    work = pebble(act=explode)
    Work.objects.filter(pk=work.pk).update(attempts=9)
    zombie = claim(work)
    expire(work)
    holder = claim(work)
    take_step(zombie)
    work.refresh_from_db()

    assert (work.lease_token, work.quarantined_at, work.traceback) == (holder.token, None, "")
    assert Pebble.objects.get().conditions == []
