"""`manage.py run`: all of KubeNova on this machine by one command."""

import fcntl
import http.client
import os
import shutil
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.urls import is_valid_path

from kubenova import demo, metrics
from kubenova.runner import (
    Children,
    PortTaken,
    Role,
    RoleDied,
    Stop,
    check_port,
    end_descendants,
    manage,
)
from sandbox.errors import SandboxError
from sandbox.plane import ControlPlane

READY_SECONDS = 90.0


def roles(port: int, proxy_port: int) -> tuple[Role, ...]:
    """Return every role of a run, in the order in which they start."""
    return (
        Role("web", manage("web", "--bind", f"127.0.0.1:{port}")),
        Role("worker", manage("worker")),
        Role("watch", manage("watch")),
        Role("proxy", manage("proxy", "--host", "127.0.0.1", "--port", str(proxy_port))),
    )


@dataclass
class Run:
    """One run of everything: prepares, starts, fills, waits, ends."""

    port: int
    proxy_port: int
    kubeconfig: Path | None
    with_demo: bool
    state: Path = field(default_factory=lambda: settings.STATE_DIR)
    quiet: bool = True  # until people have read where to go, roles write to their log files only

    @property
    def url(self) -> str:
        """Where people go."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> int:
        """Run until a signal; return the exit status."""
        check_port(self.port, "make run PORT=… or --port")
        check_port(self.proxy_port, "make run PROXY_PORT=… or --proxy-port")
        stop = Stop.on_signals()
        children = Children(self.state / "logs", self._environment(), self._hear)
        reader, writer = os.pipe()
        plane = ControlPlane(folder=self.state / "sandbox", lifeline=reader, report=_indented)
        try:
            with ThreadPoolExecutor(1) as pool:
                cluster = pool.submit(self._cluster, plane)
                try:
                    self._start(children, stop)
                    self._fill(cluster, children, stop)
                finally:
                    self._end(children, plane, cluster, stop)
        finally:
            os.close(writer)
            os.close(reader)
        return 0

    def _hear(self, line: str) -> None:
        if not self.quiet:
            tell(line)

    def _environment(self) -> dict[str, str]:
        defaults = {
            "KUBENOVA_LOG_FORMAT": "console",
            "KUBENOVA_STATIC_IN_PLACE": "1",
            "KUBENOVA_CLUSTER_ALLOW_LOOPBACK": "1",
            "KUBENOVA_PROXY_URL": f"https://127.0.0.1:{self.proxy_port}",
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        }
        # One port cannot be three roles': the web role's /metrics tells of all of them.
        return {**defaults, **os.environ, "KUBENOVA_METRICS_BIND": ""}

    def _cluster(self, plane: ControlPlane) -> demo.Target:
        """Return the cluster to use, started if it is the sandbox. Raises SandboxError."""
        if self.kubeconfig:
            return demo.Target("mine", self.kubeconfig)
        with step("The sandbox cluster is up"):
            plane.up()
        return demo.Target("sandbox", plane.kubeconfig)

    def _start(self, children: Children, stop: Stop) -> None:
        with step("The database is ready"):
            metrics.forget_dead(settings.PROMETHEUS_DIR)
            call_command("migrate", verbosity=0, interactive=False)
            call_command("createcachetable", verbosity=0)
            connections.close_all()
        with step("Web, worker, watcher and proxy are up"):
            children.start(roles(self.port, self.proxy_port))
            deadline = time.monotonic() + READY_SECONDS
            children.wait(stop, lambda: self._is_ready(deadline))

    def _is_ready(self, deadline: float) -> bool:
        """Ask the doors. Raises NotReady when they should have opened by now."""
        if time.monotonic() > deadline:
            raise NotReady(f"Not ready after {READY_SECONDS:.0f} s: see /readyz and the logs.")
        return _says_ready(self.port) and _listens(self.proxy_port)

    def _fill(self, cluster: "Future[demo.Target]", children: Children, stop: Stop) -> None:
        if not children.wait(stop, cluster.done):
            return
        record = demo.Record(self.state / "demo.json")
        target, passwords = cluster.result(), {}
        if self.with_demo:
            with step("The demo content is declared"):
                passwords = demo.make_people(record)
                connections.close_all()
                api = demo.Api(self.url, demo.OPERATOR, passwords[demo.OPERATOR])
                demo.make_content(api, record, target)
            with step("The demo app is deployed") as outcome:
                if not demo.wait_deployed(api, target, _indented, lambda: not stop.asked.is_set()):
                    outcome.text = "The demo app is not deployed yet: see the events of its objects"
        record.write(url=self.url, proxy={"url": self._environment()["KUBENOVA_PROXY_URL"]})
        tell(summary(self.url, passwords, target, self.state))
        self.quiet = False
        children.wait(stop)

    def _end(
        self, children: Children, plane: ControlPlane, cluster: "Future[demo.Target]", stop: Stop
    ) -> None:
        tell("\nStopping …")
        self.quiet = False
        killed = children.stop(stop)
        if killed:
            tell(f"Had to be killed: {', '.join(killed)}")
        if not cluster.done():
            end_descendants()
        if not self.kubeconfig:
            plane.down()
        end_descendants()
        tell("Stopped, nothing is left running.")


class Command(BaseCommand):
    """Prepare, start, fill with demo content, show where to go; Ctrl-C ends everything."""

    help = "Run all of KubeNova on this machine, with a sandbox cluster and demo content."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, and what to use."""
        parser.add_argument("--port", type=int, default=8000, help="of the pages and the API")
        parser.add_argument("--proxy-port", type=int, default=settings.PROXY_PORT)
        parser.add_argument("--kubeconfig", type=Path, help="use this cluster, not a sandbox")
        parser.add_argument("--no-demo", action="store_true", help="no demo people and content")

    def handle(
        self,
        *args: str,
        port: int,
        proxy_port: int,
        kubeconfig: Path | None,
        no_demo: bool,
        **options: object,
    ) -> None:
        """Run until a signal; exit 1 when something failed."""
        if kubeconfig and not kubeconfig.is_file():
            raise CommandError(f"There is no file {kubeconfig}.")
        tell(f"KubeNova {settings.VERSION} starts; what it keeps is in {settings.STATE_DIR}")
        try:
            with alone(settings.STATE_DIR):
                status = Run(port, proxy_port, kubeconfig, not no_demo).serve()
        except RoleDied as died:
            raise CommandError("\n  ".join([f"{died}. It said last:", *died.lines])) from died
        except (PortTaken, AlreadyRunning, NotReady, SandboxError, demo.DemoFailed) as error:
            raise CommandError(str(error)) from error
        sys.exit(status)


class NotReady(Exception):
    """The web role did not become ready."""


class AlreadyRunning(Exception):
    """Another run uses the same state."""


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Be the only run on this state folder. Raises AlreadyRunning naming the other one."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(f"KubeNova runs here already, pid {lock.read()}.") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@dataclass
class Outcome:
    """What the line of a step will say."""

    text: str


@contextmanager
def step(text: str) -> Iterator[Outcome]:
    """Tell when a step is done and how long it took."""
    outcome, began = Outcome(text), time.monotonic()
    yield outcome
    tell(f"{time.monotonic() - began:6.1f} s  {outcome.text}")


def tell(text: str) -> None:
    """Write a line; a terminal that went away stops nothing."""
    try:
        sys.stdout.write(f"{text}\n")  # at once: lines of several threads must not mix
        sys.stdout.flush()
    except OSError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (it lives as long as we do)


def _indented(text: str) -> None:
    tell(f"          {text}")


def _says_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


def summary(url: str, passwords: dict[str, str], target: demo.Target, state: Path) -> str:
    """Return the table of URLs and logins."""
    pages = (("/", "pages"), ("/admin/", "for operators"), ("/api/v1/docs", "the API"))
    logins = (f"  {name:<10}{passwords[name]:<20}{demo.PEOPLE[name]}" for name in passwords)
    kubectl = shutil.which("kubectl") or "kubectl"
    return "\n".join(
        [
            "",
            *(f"  {url + path:<40}{what}" for path, what in pages if is_valid_path(path)),
            "",
            *logins,
            "",
            f"  {kubectl} --kubeconfig {target.kubeconfig} get namespaces",
            f"  Logs are in {state / 'logs'}. Ctrl-C ends everything.",
            "",
        ]
    )
