"""Random faults, one after the other, while people go on asking for things.

KUBENOVA_SOAK_SECONDS says for how long (`make soak`), KUBENOVA_SOAK_SEED which dice.
"""

import os
import random
import time
from collections.abc import Callable

import pytest

from tests.faults.actions import Delay, Fail, Reset, Watched
from tests.faults.drift import Opened
from tests.faults.events import doubled, ended, swallowed
from tests.faults.rules import EVERYTHING, WATCH, WRITE, Rule
from tests.faults.sites import Site
from tests.faults.table import Ledger
from tests.faults.world import World

SECONDS = float(os.environ.get("KUBENOVA_SOAK_SECONDS", "0"))
SEED = int(os.environ.get("KUBENOVA_SOAK_SEED", "1"))
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(SECONDS + 900),
    pytest.mark.skipif(not SECONDS, reason="make soak runs it, for KUBENOVA_SOAK_SECONDS"),
]
PROMISE = 30.0
BACKOFF = 60.0  # a cluster that did not answer is asked again after at most so long


class Soak:
    """What people do and what goes wrong, by dice."""

    def __init__(self, world: World, site: Site) -> None:
        self.world, self.site = world, site
        self.dice = random.Random(SEED)
        self.count = 0

    # --- What people do.

    def ask(self) -> None:
        """One thing, whichever makes sense now."""
        apps = list(self.world.apps.values())
        choice = self.dice.random()
        if len(apps) < 3 or (choice < 0.2 and len(apps) < 8):
            self.count += 1
            self.world.shop(f"soak-{self.count}")
        elif choice < 0.8:
            self.world.change(self.dice.choice(apps), f"nginx:{self.dice.randrange(1000)}")
        else:
            self.world.remove_tenant(self.dice.choice(apps).tenant)

    # --- What goes wrong, for so many seconds.

    def kill(self, seconds: float) -> None:
        """A role dies."""
        self.dice.choice(self.world.roles.all).kill()
        time.sleep(seconds / 4)

    def storm(self, seconds: float) -> None:
        """Requests fail in one way or the other."""
        action = self.dice.choice(
            [Fail(503), Fail(500), Fail(429, {}, {"Retry-After": "1"}), Reset(), Reset(True)]
        )
        share = self.dice.choice([0.1, 0.5, 1.0])
        with self.site.proxy.rules.during(Rule(EVERYTHING, action, share=share)):
            time.sleep(seconds)

    def slow(self, seconds: float) -> None:
        """Writes take long."""
        with self.site.proxy.rules.during(Rule(WRITE, Delay(self.dice.uniform(0.1, 2.0)))):
            time.sleep(seconds)

    def away(self, seconds: float) -> None:
        """The cluster is not there."""
        self.dice.choice([self.site.proxy.refuse, self.site.proxy.swallow])()
        time.sleep(seconds)
        self.site.proxy.reopen()

    def lie(self, seconds: float) -> None:
        """The watch does not do what it should, while somebody changes an object."""
        fault = self.dice.choice([swallowed, doubled, ended])
        with self.site.proxy.rules.during(Rule(WATCH, Watched(fault))):
            self.site.proxy.cut()
            tenants = [app.tenant for app in self.world.apps.values()]
            time.sleep(seconds / 2)
            settled = [name for name in tenants if self.site.image(f"{name}--shop")]
            if settled:
                Opened.of(self.site, self.dice.choice(settled)).open()
            time.sleep(seconds / 2)

    @property
    def faults(self) -> list[Callable[[float], None]]:
        """All that can go wrong."""
        return [self.kill, self.kill, self.storm, self.slow, self.away, self.lie]


def test_soak_random_faults_lose_nothing(world: World, one: Site, ledger: Ledger):
    soak, until = Soak(world, one), time.monotonic() + SECONDS
    while time.monotonic() < until:
        world.up()
        fault = soak.dice.choice(soak.faults)
        for _ in range(soak.dice.randrange(1, 4)):
            soak.ask()
        began = time.monotonic()
        fault(soak.dice.uniform(2.0, 10.0))
        lasted = time.monotonic() - began
        seconds = world.settle(150)
        audit = world.audit()
        print(f"{fault.__name__}: {lasted:.1f} s, at rest after {seconds:.1f} s")
        ledger.add(seconds=seconds, audit=audit)
        assert audit.clean, (fault.__name__, audit)
        assert seconds < PROMISE + BACKOFF
