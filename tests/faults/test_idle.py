"""Rest costs nothing: counted by the API server itself, in its audit log."""

import threading
import time

import pytest

from tests.faults.sites import Site
from tests.faults.table import Ledger
from tests.faults.test_processes import deployment
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.live, pytest.mark.timeout(600)]

TENANTS = 20
SECONDS = 60.0
AGENTS = ("kubenova", "kubenova-watch")


class Churn:
    """Changes the status of Deployments all the time, as controllers do."""

    def __init__(self, site: Site, paths: list[str]) -> None:
        self._site, self._paths = site, paths
        self._over = threading.Event()
        self.changes = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Churn":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            path = self._paths[self.changes % len(self._paths)]
            self.changes += 1
            body = {"status": {"collisionCount": self.changes}}
            self._site.api.patch(f"{path}/status", body, fieldManager="somebody")


def test_idle_tenants_are_written_nothing_while_their_status_changes(
    world: World, one: Site, ledger: Ledger
):
    names = [f"idle-{number}" for number in range(TENANTS)]
    for name in names:
        world.shop(name)
    world.settle(120)
    time.sleep(3.0)  # what the controllers of the cluster still have to say of new Deployments
    world.settle()
    before = one.audited()
    with Churn(one, [deployment(name) for name in names]) as churn:
        time.sleep(SECONDS)
    after = one.audited()
    writes = [each for each in after[len(before) :] if each.agent in AGENTS and each.writes]
    lists = [each for each in after[len(before) :] if each.agent in AGENTS and each.full_list]
    assert churn.changes > 100
    ledger.add(runs=churn.changes, audit=world.audit())
    assert writes == []
    assert max((lists.count(each) for each in lists), default=0) <= 1
