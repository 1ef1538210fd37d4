"""When a cluster refuses the token of a grant that has ended is recorded; no token ever is."""

import asyncio
import time
from contextlib import contextmanager

import pytest

from access.models import KubeconfigGrant
from access.proxy import obituaries
from access.proxy.directory import Directory
from access.proxy.identity import Doorkeeper
from access.proxy.obituaries import Obituaries
from access.proxy.upstream import Upstream
from reconcile.models import Event
from tests.access.fake_cluster import FakeCluster
from tests.access.grants import ISSUE, acme, alices, as_, clusters, door, grant_of
from tests.access.proxies import Fixed, cluster

__all__ = ["acme", "alices", "as_", "cluster", "clusters", "door"]


@pytest.fixture
def grant(transactional_db, alices, monkeypatch) -> KubeconfigGrant:
    """Alice's grant; the cluster is asked often."""
    monkeypatch.setattr(obituaries, "_EVERY", 0.05)
    return grant_of(alices.post(ISSUE))


@contextmanager
def reviewing(cluster: FakeCluster):
    """How the proxy asks a cluster, inside of an event loop."""
    known = Fixed()
    known.knows(cluster)
    directory = Directory(known)  # type: ignore[arg-type]
    yield Obituaries(Doorkeeper(directory)), directory, Upstream(cluster.credential)


def follow(cluster: FakeCluster, grant: KubeconfigGrant, seconds: float, times: int = 1) -> None:
    """Follow the token of a grant for so long."""

    async def run() -> None:
        with reviewing(cluster) as (asking, directory, upstream):
            await directory.refresh()
            for _ in range(times):
                asking.follow("prod", grant.name, cluster.token(grant.name), upstream)
            await asyncio.sleep(seconds)
            await asking.close()
            await upstream.close()

    asyncio.run(run())
    grant.refresh_from_db()


def reviews(cluster: FakeCluster) -> int:
    """How often the cluster was asked."""
    return sum(seen.target.endswith("/tokenreviews") for seen in cluster.seen)


def test_the_first_refusal_of_the_cluster_is_recorded(cluster, grant):
    grant.revoke("alice")
    began = time.monotonic()
    cluster.alive = lambda token: time.monotonic() - began < 0.4
    follow(cluster, grant, 1.2, times=3)
    assert set(grant.seen_dead) == {"prod"}
    event = Event.objects.get(reason="TokenDead")
    assert (event.object_uid, event.tenant) == (grant.uid, "acme")
    assert "prod refuses" in event.message
    assert 3 < reviews(cluster) < 14, "it asks until it is dead, once for all calls, then no more"
    first = dict(grant.seen_dead)
    follow(cluster, grant, 0.3)
    assert grant.seen_dead == first


def test_nothing_is_recorded_while_the_cluster_takes_it(cluster, grant):
    grant.revoke("alice")
    follow(cluster, grant, 0.4)
    assert reviews(cluster) > 2
    assert grant.seen_dead == {}


def test_nothing_is_recorded_of_a_grant_that_lives_on(cluster, grant):
    """The token before a renewal dies, too, but that is not the end of the grant."""
    cluster.alive = lambda token: False
    follow(cluster, grant, 0.4)
    assert grant.seen_dead == {}


def test_a_cluster_that_cannot_say_is_asked_again(cluster, grant):
    grant.revoke("alice")
    cluster.answers["/apis/authentication.k8s.io/v1/tokenreviews"] = (500, {})
    follow(cluster, grant, 0.4)
    assert reviews(cluster) > 2
    assert grant.seen_dead == {}


def test_whoever_sees_a_grant_sees_when_its_token_was_dead(cluster, grant, alices):
    grant.revoke("alice")
    cluster.alive = lambda token: False
    follow(cluster, grant, 0.4)
    shown = alices.get(f"/api/v1/grants/{grant.name}").json()
    assert shown["seen_dead"]["prod"].startswith("20")
    assert cluster.token(grant.name)[:40] not in str(shown)
