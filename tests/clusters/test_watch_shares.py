"""How watchers share the clusters: fairly, one each, and never for longer than they live."""

import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from clusters.models import Cluster, Watcher, WatchLease
from clusters.watch.shares import Share

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=5)


@pytest.fixture
def six() -> list[int]:
    """The primary keys of six clusters."""
    return [Cluster.objects.create(name=f"c{number}").pk for number in range(6)]


def share(name: str) -> Share:
    return Share(15, holder=name)


def dies(*shares: Share) -> None:
    """The time of its leases passes while nothing renews them."""
    tokens = [each.token for each in shares]
    for model in (Watcher, WatchLease):
        model.objects.filter(token__in=tokens).update(until=F("until") - LONG_AGO)


def rounds(clusters: list[int], *shares: Share) -> list[int]:
    """Each looks twice in turn; how many clusters each has then."""
    for each in (*shares, *shares):
        each.renew(clusters)
    return [len(each.renew(clusters)) for each in shares]


def test_one_alone_takes_everything(six):
    assert share("a").renew(six) == set(six)
    assert {lease.holder for lease in WatchLease.objects.standing()} == {"a"}


def test_who_joins_gets_its_part(six):
    first, second, third = share("a"), share("b"), share("c")
    assert rounds(six, first) == [6]
    assert rounds(six, first, second) == [3, 3]
    assert rounds(six, first, second, third) == [2, 2, 2]


def test_no_cluster_is_held_twice(six):
    shares = [share(str(number)) for number in range(4)]
    rounds(six, *shares)
    held = [each.renew(six) for each in shares]
    assert sorted(pk for part in held for pk in part) == six


@pytest.mark.parametrize(("clusters", "watchers"), [(6, 4), (1, 3), (5, 2), (6, 6)])
def test_parts_differ_by_what_does_not_divide(six, clusters, watchers):
    shares = [share(str(number)) for number in range(watchers)]
    parts = rounds(six[:clusters], *shares)
    assert sum(parts) == clusters
    assert max(parts) == -(-clusters // watchers)


def test_nothing_moves_between_watchers_that_stay(six):
    shares = [share("a"), share("b")]
    rounds(six, *shares)
    before = list(WatchLease.objects.values_list("cluster_id", "token", "taken_at"))
    rounds(six, *shares)
    assert list(WatchLease.objects.values_list("cluster_id", "token", "taken_at")) == before


def test_a_dead_one_is_replaced(six):
    first, second = share("a"), share("b")
    rounds(six, first, second)
    dies(first)
    assert second.renew(six) == set(six)


def test_f6_one_that_wakes_too_late_finds_its_leases_gone(six):
    frozen, other = share("a"), share("b")
    rounds(six, frozen, other)
    dies(frozen)
    other.renew(six)
    assert frozen.renew(six) == set()
    assert Watcher.living().count() == 1, "it has not slept long enough to be renewed"


def test_one_that_slept_while_nobody_else_was_there_goes_on(six):
    alone = share("a")
    alone.renew(six)
    dies(alone)
    assert alone.renew(six) == set(six)


def test_one_that_leaves_leaves_everything(six):
    first, second = share("a"), share("b")
    rounds(six, first, second)
    first.leave()
    assert not WatchLease.objects.held(first.token).exists()
    assert second.renew(six) == set(six)


def test_it_lets_go_of_what_is_to_be_watched_no_more(six):
    alone = share("a")
    alone.renew(six)
    assert alone.renew(six[:2]) == set(six[:2])
    assert WatchLease.objects.standing().count() == 2


def test_it_renews_in_time(six):
    short = Share(3, holder="a")
    short.renew(six)
    before = WatchLease.objects.standing().values_list("until", flat=True)[0]
    time.sleep(1.1)
    short.renew(six)
    after = WatchLease.objects.standing().values_list("until", flat=True)[0]
    assert after - before >= timedelta(seconds=1)


def test_a_cluster_is_taken_by_one_of_two_at_the_same_moment(six):
    WatchLease.objects.offer(six)
    takes = [WatchLease.objects.take(six[0], uuid4(), name, 15) for name in ("a", "b")]
    assert takes == [True, False]


def test_those_long_dead_are_forgotten():
    Watcher.objects.create(holder="old", until=timezone.now() - timedelta(hours=2))
    Watcher.stay(uuid4(), "new", 15)
    assert [row.holder for row in Watcher.objects.all()] == ["new"]


def test_it_names_host_and_process():
    host, _, pid = Share(15).holder.rpartition(":")
    assert host and pid.isdigit()


def test_f23_leases_end_by_the_clock_of_the_database(six, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: pytest.fail("the clock of this machine"))
    assert share("a").renew(six) == set(six)
