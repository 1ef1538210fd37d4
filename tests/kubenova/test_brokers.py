"""A worker serves its own queue and the shared one, never another worker's."""

import pytest
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ

from kubenova.brokers import LocalORM, LocalRedis

pytestmark = pytest.mark.django_db
MINE, OTHERS = "kubenova@a:1", "kubenova@b:2"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(Conf, "POLL", 0)


@pytest.fixture
def broker(settings):
    """The broker of the queue of a worker whose own queue is MINE."""
    settings.LOCAL_QUEUE = MINE
    return get_broker()


def payloads(messages):
    return [payload for _, payload in messages or ()]


def test_it_is_the_broker_of_the_queue(broker):
    assert type(broker) is LocalORM
    assert broker.list_key == "kubenova"


def test_it_serves_its_own_queue_and_the_shared_one(broker):
    for queue in (OTHERS, "kubenova", MINE):
        get_broker(queue).enqueue(f"for {queue}")
    taken = payloads(broker.dequeue()) + payloads(broker.dequeue()) + payloads(broker.dequeue())
    assert taken == ["for kubenova", f"for {MINE}"]


def test_a_role_without_a_queue_of_its_own_serves_the_shared_one(broker, settings):
    settings.LOCAL_QUEUE = ""
    get_broker(MINE).enqueue("not for it")
    get_broker().enqueue("for all")
    assert payloads(broker.dequeue()) == ["for all"]
    assert broker.dequeue() is None


def test_a_message_is_taken_once(broker):
    get_broker(MINE).enqueue("once")
    assert payloads(broker.dequeue()) == ["once"]
    assert broker.dequeue() is None


def test_a_message_is_gone_once_it_is_done(broker):
    get_broker(MINE).enqueue("once")
    [(message, _)] = broker.dequeue()
    broker.acknowledge(message)
    assert not OrmQ.objects.exists()


def test_what_waits_in_the_own_queue_is_counted_until_it_is_taken(broker):
    own = get_broker(MINE)
    own.enqueue("once")
    assert own.queue_size() == 1
    broker.dequeue()
    assert own.queue_size() == 0


class Lists:
    """Stands for a Redis server: lists by name."""

    def __init__(self):
        self.lists = {}

    def rpush(self, name, item):
        self.lists.setdefault(name, []).append(item)

    def blpop(self, names, timeout):
        for name in names:
            if self.lists.get(name):
                return name, self.lists[name].pop(0)
        return None


def test_with_redis_its_own_queue_comes_first(settings, monkeypatch):
    settings.LOCAL_QUEUE, server = MINE, Lists()
    monkeypatch.setattr(LocalRedis, "get_connection", lambda *arguments: server)
    for queue in (OTHERS, "kubenova", MINE):
        LocalRedis(queue).enqueue(f"for {queue}")
    shared = LocalRedis("kubenova")
    taken = payloads(shared.dequeue()) + payloads(shared.dequeue())
    assert taken == [f"for {MINE}", "for kubenova"]
    assert shared.dequeue() is None
    assert server.lists[f"django_q:{OTHERS}:q"] == [f"for {OTHERS}"]
