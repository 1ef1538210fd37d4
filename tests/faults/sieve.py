"""The small Sieve: kill the worker at every write of every operation, compare the end states.

After Sun et al., "Automatic Reliability Testing for Cluster Management Controllers" (OSDI 2022):
what a controller leaves behind when it dies half-way must not decide where the next one ends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff

from tests.faults.actions import Signal
from tests.faults.exchange import Written
from tests.faults.rules import WRITE, nth
from tests.faults.sites import Site
from tests.faults.web import NEWER
from tests.faults.world import World

TENANT = "sieve"
State = dict[str, list[str]]


def _create(world: World) -> None:
    world.shop(TENANT)


def _change(world: World) -> None:
    (app,) = world.apps.values()
    world.change(app, NEWER)


def _remove_app(world: World) -> None:
    (app,) = world.apps.values()
    world.remove(app)


def _remove_tenant(world: World) -> None:
    world.remove_tenant(TENANT)


# One after the other they are the life of a tenant; each begins where the one before ended.
OPERATIONS: dict[str, Callable[[World], None]] = {
    "create tenant, project, app": _create,
    "change the image": _change,
    "delete the app": _remove_app,
    "delete the tenant": _remove_tenant,
}


@dataclass(frozen=True)
class Clean:
    """What an operation writes, and where it ends, when nothing goes wrong."""

    operation: str
    writes: list[Written]
    state: State


@dataclass(frozen=True)
class Sifted:
    """One kill: at which write, how long until all was at rest again, and what then differed."""

    operation: str
    write: int
    after: bool
    seconds: float
    difference: list[str]

    def __str__(self) -> str:
        moment = "after" if self.after else "before"
        told = f"{self.operation}: killed {moment} write {self.write}, {self.seconds:.1f} s"
        return "\n".join([told, *self.difference])


def record(world: World, site: Site) -> list[Clean]:
    """Run every operation without a fault."""
    found = []
    for name, operate in OPERATIONS.items():
        mark = len(site.proxy.journal)
        operate(world)
        world.settle()
        found.append(Clean(name, site.proxy.journal.since(mark), world.state()))
    return found


def sift(
    world: World, site: Site, clean: Sequence[Clean], write: int, *, after: bool
) -> Iterator[Sifted]:
    """Run every operation; in each, kill the worker before or after its `write`-th write.

    An operation with fewer writes goes undisturbed, and is not yielded.
    """
    for expected in clean:
        kill = nth(WRITE, Signal(world.victims, after_forwarding=after), write)
        with site.proxy.rules.during(kill):
            OPERATIONS[expected.operation](world)
            world.until(lambda kill=kill: kill.met or _at_rest(world), "the kill or the end")
            seconds = world.settle()
        if kill.met:
            found = difference(expected.state, world.state())
            yield Sifted(expected.operation, write, after, seconds, found)


def _at_rest(world: World) -> bool:
    return not world.database.unsettled()


def difference(wanted: State, found: State) -> list[str]:
    """Where two end states differ, line by line; empty when they are the same."""
    return [
        line
        for place in wanted
        for line in unified_diff(wanted[place], found[place], "clean", place, lineterm="", n=0)
    ]
