"""All that follow a cluster learn from the first of them that it is back (F24)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from clusters.answers import Expired, Throttled
from clusters.kinds import CONFIG_MAP, ROLE
from clusters.watch.follower import Follower
from clusters.watch.recovery import Recovery
from clusters.watch.session import Session, Silent
from reconcile.errors import Forbidden, Unreachable
from tests.clusters.hostile_server import Exchange, HostileServer
from tests.clusters.scripted_watch import LIMITS, LOOPBACK, ApiServer, Notes, page

DOWN = Unreachable("down")
LONG = 30.0


@contextmanager
def followers(recovery: Recovery, count: int) -> Iterator[None]:
    if not count:
        yield
        return
    with recovery.following(), followers(recovery, count - 1):
        yield


def timed(scene: Callable[[], Awaitable[None]]) -> float:
    """Run it; return the seconds it took. It is given up after ten."""

    async def run() -> None:
        async with asyncio.timeout(10):
            await scene()

    began = time.monotonic()
    asyncio.run(run())
    return time.monotonic() - began


async def waiting(recovery: Recovery, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(recovery.wait(DOWN, LONG)) for _ in range(count)]
    await asyncio.sleep(0.02)
    return tasks


def test_an_answer_wakes_all_who_wait_apart_from_each_other():
    async def scene() -> None:
        recovery = Recovery(ask_every=0.1)
        ended: list[float] = []

        async def one() -> None:
            await recovery.wait(DOWN, LONG)
            ended.append(time.monotonic())

        with followers(recovery, 12):
            async with asyncio.TaskGroup() as group:
                for _ in range(12):
                    group.create_task(one())
                await asyncio.sleep(0.01)
                recovery.answered()
        assert max(ended) - min(ended) > 0.1, "a small server is not asked for everything at once"

    assert timed(scene) < 2.0


def test_one_asks_often_when_most_wait():
    async def scene() -> None:
        recovery = Recovery(ask_every=0.1)
        with followers(recovery, 12):
            tasks = await waiting(recovery, 12)
            done, rest = await asyncio.wait(tasks, timeout=0.5)
            assert len(done) == 1, "the others wait for its answer"
            for task in rest:
                task.cancel()

    timed(scene)


def test_the_next_one_asks_when_that_one_has():
    async def scene() -> None:
        recovery = Recovery(ask_every=0.05)
        with followers(recovery, 3):
            others = await waiting(recovery, 3)
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            for _ in range(4):
                await recovery.wait(DOWN, LONG)  # it failed again, and waits again
            for task in others:
                task.cancel()

    assert timed(scene) < 1.0


def test_a_kind_that_fails_alone_is_asked_for_no_more_often():
    async def scene() -> None:
        recovery = Recovery(ask_every=0.01)
        with followers(recovery, 12):
            await recovery.wait(DOWN, 0.3)

    assert timed(scene) >= 0.3


def test_a_backoff_that_is_shorter_stays_so():
    async def scene() -> None:
        recovery = Recovery(ask_every=5.0)
        with recovery.following():
            await recovery.wait(DOWN, 0.05)

    assert timed(scene) < 1.0


@pytest.mark.parametrize(
    "error",
    [Forbidden("no"), Throttled("less"), Expired("gone")],
    ids=lambda error: type(error).__name__,
)
def test_what_a_living_server_says_is_waited_for_to_the_end(error):
    async def scene() -> None:
        recovery = Recovery(ask_every=0.01)
        with recovery.following():
            task = asyncio.create_task(recovery.wait(error, 0.3))
            await asyncio.sleep(0.05)
            recovery.answered()
            await task

    assert timed(scene) >= 0.3


def test_one_that_answers_now_and_then_is_not_asked_all_the_time():
    async def scene() -> None:
        recovery = Recovery(ask_every=0.4)
        with recovery.following():
            task = asyncio.create_task(recovery.wait(DOWN, LONG))
            await asyncio.sleep(0.01)
            recovery.answered()
            await task

    assert timed(scene) >= 0.32


def test_a_silent_watch_is_woken_as_well():
    async def scene() -> None:
        recovery = Recovery(ask_every=0.1)
        with recovery.following():
            task = asyncio.create_task(recovery.wait(Silent("nothing for 90 s"), LONG))
            await asyncio.sleep(0.02)
            recovery.answered()
            await task

    assert timed(scene) < 2.0


def test_an_answer_of_before_wakes_nobody():
    async def scene() -> None:
        recovery = Recovery()
        with followers(recovery, 3):
            recovery.answered()
            await recovery.wait(DOWN, 0.2)

    assert timed(scene) >= 0.2


def test_who_is_cancelled_leaves_nothing_behind():
    async def scene() -> None:
        recovery = Recovery(ask_every=0.05)
        with recovery.following():
            (task,) = await waiting(recovery, 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await recovery.wait(DOWN, LONG)  # it may ask

    assert timed(scene) < 1.0


@pytest.mark.django_db(transaction=True)
def test_followers_of_a_cluster_that_was_away_list_it_together(monkeypatch):
    monkeypatch.setattr(Unreachable, "first", 60.0)  # each would be back in a minute
    away = page() | {"code": 503}
    apis = {kind: ApiServer([away, page(version="10")]) for kind in (CONFIG_MAP, ROLE)}

    def serve(exchange: Exchange) -> None:
        apis[ROLE if "/roles" in exchange.target else CONFIG_MAP](exchange)

    async def run() -> list[Notes]:
        recovery, notes = Recovery(ask_every=0.3), [Notes(), Notes()]
        async with Session(server.credential(), LOOPBACK, LIMITS) as session:
            tasks = [
                asyncio.create_task(
                    Follower(7, kind, session, each, each.report, recovery=recovery).run()
                )
                for kind, each in zip(apis, notes, strict=True)
            ]
            async with asyncio.timeout(8):
                while not all(each.good for each in notes):
                    await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return notes

    with HostileServer(serve) as server:
        notes = asyncio.run(run())
    assert [len(each.errors) for each in notes] == [1, 1]
