"""The worlds of the fault cases: one for the session, renewed only when a test has broken it."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pluggy
import pytest

from sandbox.plane import ControlPlane
from tests.faults.proxy import Faults
from tests.faults.sites import Site
from tests.faults.table import Ledger, Table, case_of
from tests.faults.world import World
from tests.live.control_plane import running

SEED = 20
TABLE = pytest.StashKey[Table]()
REPORT = "KUBENOVA_RELIABILITY"  # the file that the table is written to
HEADING = Path(__file__).with_name("heading.md")


def pytest_configure(config: pytest.Config) -> None:
    """The table of the session."""
    config.stash[TABLE] = Table()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes an hour, but where it is asked for by marker or by path."""
    asked = "faults" in config.option.markexpr or any("faults" in each for each in config.args)
    long = [
        item
        for item in items
        if item.get_closest_marker("faults") and not item.get_closest_marker("live")
    ]
    if asked or not long:
        return
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """Note in the table what became of a test."""
    report = (yield).get_result()
    case = case_of(getattr(item, "originalname", item.name))
    if not case or not item.get_closest_marker("faults"):
        return
    result = item.config.stash[TABLE].of(case)
    if report.failed:
        result.failed.append(item.name)
    if report.skipped and hasattr(report, "wasxfail"):
        result.expected.append(report.wasxfail)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table where it is wanted."""
    table, path = session.config.stash[TABLE], os.environ.get(REPORT)
    if path and table.results:
        table.write(session.config.rootpath / path, HEADING.read_text())


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Where a test notes what it has measured."""
    case = case_of(request.function.__name__)
    return Ledger(request.config.stash[TABLE].of(case))


def site(name: str, plane: ControlPlane) -> Site:
    """A control plane behind a fault proxy."""
    proxy = Faults(plane.server, plane.folder / "certificates" / "ca.crt", seed=SEED)
    return Site(name, plane, proxy)


@pytest.fixture(scope="session")
def one_world(pytestconfig: pytest.Config) -> Iterator[World]:
    """The roles, and the cluster `one`, which counts its requests, behind its proxy."""
    with folder() as place, plane(pytestconfig, "faults-one", audit=True) as first:
        world, one = World(place), site("one", first)
        with one.proxy:
            try:
                world.start()
                world.register(one)
                yield world
            finally:
                world.end()


@pytest.fixture(scope="session")
def second_site(one_world: World, pytestconfig: pytest.Config) -> Iterator[Site]:
    """The cluster `two` of the same world."""
    with plane(pytestconfig, "faults-two") as second:
        two = site("two", second)
        with two.proxy:
            one_world.register(two)
            yield two


@contextmanager
def folder() -> Iterator[Path]:
    """Where a world keeps its state and its logs; KUBENOVA_KEEP_FAULTS keeps them for a look."""
    place = Path(tempfile.mkdtemp(prefix="kubenova-world-"))
    yield place
    if not os.environ.get("KUBENOVA_KEEP_FAULTS"):
        shutil.rmtree(place)


plane = contextmanager(running)


@pytest.fixture
def world(one_world: World) -> Iterator[World]:
    """The world without faults; what a test asks for is gone afterwards."""
    one_world.recover()
    yield one_world
    one_world.recover()
    one_world.empty()


@pytest.fixture
def one(world: World) -> Site:
    """The cluster `one`."""
    return world.sites["one"]


@pytest.fixture
def two(world: World, second_site: Site) -> Site:
    """The cluster `two`."""
    return second_site
