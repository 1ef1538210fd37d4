"""The stage of a benchmark: control planes, a database of its own and the roles as processes."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402

from sandbox.api import AdminApi  # noqa: E402
from sandbox.components import NAMES  # noqa: E402
from sandbox.plane import ControlPlane  # noqa: E402
from sandbox.processes import Processes, end  # noqa: E402

STOP_SECONDS = 20.0


class Unsettled(SystemExit):
    """What a benchmark needs before it can begin, or counts on at its end, did not come about."""


class Stage:
    """One control plane, a fresh database, and roles that are started when they are asked for."""

    def __init__(
        self, folder: Path, plane: ControlPlane, environment: Mapping[str, str], lifeline: int
    ) -> None:
        """`lifeline` is the reading end of a pipe: whatever holds it ends with this process."""
        self.folder, self.plane, self.lifeline = folder, plane, lifeline
        self._environment = {**os.environ, **environment}
        self._roles: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def api(self) -> AdminApi:
        """The API server, as its admin."""
        return self.plane.api

    def start(self, role: str, *arguments: str, **environment: str) -> None:
        """Start a role; what it says is in the folder."""
        with (self.folder / f"{role}.log").open("ab") as log:
            self._roles[role] = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), role.partition("-")[0], *arguments],
                env=self._environment | environment,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self, *roles: str) -> None:
        """Stop these roles, or all."""
        end([self._roles.pop(role) for role in roles or list(self._roles)], STOP_SECONDS)

    def kill(self, role: str) -> None:
        """SIGKILL a role; what it has started dies with it."""
        process = self._roles.pop(role)
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        psutil.wait_procs(family, timeout=STOP_SECONDS)

    def pids(self) -> dict[str, list[int]]:
        """Who spends processor time here: the parts of the control plane, and the roles."""
        processes = Processes(self.plane.folder)
        server = {name: processes.find(name) for name in NAMES}
        found = {name: [process.pid] for name, process in server.items() if process}
        return found | {role: [process.pid] for role, process in self._roles.items()}

    def check(self) -> None:
        """Raise Unsettled when a role has ended by itself."""
        for role, process in self._roles.items():
            if process.poll() is not None:
                raise Unsettled(f"{role} has ended: see {self.folder / role}.log")


@contextmanager
def stage(name: str, *, audit: bool = False, **environment: str) -> Iterator[Stage]:
    """Yield a stage whose control plane is up and whose database is empty; nothing stays behind.

    Django is set up in this process, on the same database: SQLite, or that of DATABASE_URL, which
    has to be empty. With KEEP_STAGE in the environment the folder stays for a look at the logs.
    """
    with ExitStack() as stack:
        folder = Path(
            tempfile.mkdtemp(prefix="kn-bench-")
            if os.environ.get("KEEP_STAGE")
            else stack.enter_context(tempfile.TemporaryDirectory(prefix="kn-bench-"))
        )
        own = {
            "DJANGO_SETTINGS_MODULE": "kubenova.settings",
            "KUBENOVA_STATE": str(folder / "state"),
            "KUBENOVA_CLUSTER_ALLOW_LOOPBACK": "1",
            "KUBENOVA_LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(ROOT),
        } | environment
        os.environ |= own
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        lifeline, writer = os.pipe()
        stack.callback(os.close, writer)
        stack.callback(os.close, lifeline)
        plane = ControlPlane(
            name, folder=folder / "plane", audit=audit, lifeline=lifeline, report=print
        )
        stack.callback(plane.down)
        plane.up()
        found = Stage(folder, plane, own, lifeline)
        stack.callback(found.stop)
        yield found


def until(reached: Callable[[], bool], seconds: float, what: str, every: float = 0.05) -> float:
    """Wait until that is so; return the seconds it took. Raises Unsettled with `what`."""
    began = time.monotonic()
    while not reached():
        if time.monotonic() - began > seconds:
            raise Unsettled(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - began


def register(name: str, kubeconfig: Path) -> None:
    """Register a cluster; some worker, or `drain`, brings up its baseline."""
    from clusters.credentials import Given
    from clusters.kubeconfig import parse
    from clusters.models import Cluster
    from clusters.rules import address_rules

    cluster = Cluster(name=name, labels={"stage": "bench"})
    cluster.given = Given.of(parse(kubeconfig.read_bytes(), address_rules()))
    cluster.declare(by="olga")


def drained(reached: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Drain in this process until that is so: for what comes before anything is measured."""
    from reconcile.drain import drain

    def step() -> bool:
        drain(0.3)
        return reached()

    until(step, seconds, what)


def deployed(names: Sequence[str] = ()) -> bool:
    """Whether every cluster (or these) is Deployed."""
    from clusters.models import Cluster

    rows = Cluster.objects.filter(name__in=names) if names else Cluster.objects.all()
    return {row.phase for row in rows} == {"Deployed"}
