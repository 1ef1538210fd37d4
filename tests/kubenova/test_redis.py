"""The worker role with Redis as its broker, where a server is installed."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NotThere

from tests.kubenova.roles import alive, eventually, family, free_port
from tests.kubenova.test_worker import Worker, state

__all__ = ["state"]

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server is installed"),
]


class Server:
    """A Redis of its own on loopback that keeps nothing."""

    def __init__(self, folder) -> None:
        self.port, self._folder = free_port(), folder
        self.client = Redis(port=self.port)
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": ""}
        words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
        self.process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except NotThere:
            return False

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    found = Server(tmp_path)
    yield found
    found.stop()
    found.client.close()


@pytest.fixture
def worker(state, server) -> Iterator[Worker]:
    role = Worker(state, REDIS_URL=server.url)
    yield role
    role.process.kill()
    role.process.wait()
    role.process.stdout.close()


def test_its_drains_run_over_redis_and_end_in_time_f34(worker, server):
    eventually(lambda: len(worker.draining()) == 2)
    worker.draining()[0].kill()
    eventually(lambda: worker.drains() != [True, True])
    eventually(lambda: worker.drains() == [True, True])
    everyone, began = family(worker.process.pid), time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    status, _ = worker.ended()
    assert (status, time.monotonic() - began < 30) == (0, True)
    assert not alive(everyone)
    assert server.client.keys("django_q:kubenova@*") == [], "its own queue is gone"


def test_it_outlives_a_redis_that_is_away_for_a_while(worker, server):
    server.stop()
    time.sleep(6)  # longer than a drain lives
    assert worker.process.poll() is None, "the role ended"
    server.start()
    eventually(lambda: worker.process.poll() is not None or worker.drains() == [True, True], 60)
    assert worker.process.poll() is None
