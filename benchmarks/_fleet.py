"""More clusters on the etcd of one: an API server each, with a prefix of its own.

No controllers run for them: what KubeNova projects needs none, and ten of each would measure the
machine. `freeze` makes a black hole of one: its port takes connections and nobody answers.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

from _stage import Unsettled

from sandbox.api import AdminApi
from sandbox.build import build
from sandbox.components import AUDIT_POLICY, ETCD_SOCKET, Layout
from sandbox.kubeconfig import write_kubeconfig
from sandbox.plane import ControlPlane
from sandbox.processes import Processes
from sandbox.startup import choose_port

_SERVER = "kube-apiserver"
_READY_SECONDS = 120.0


class Member:
    """One API server; the same `prefix` as another's makes it a second door to that cluster."""

    def __init__(
        self, plane: ControlPlane, name: str, prefix: str, lifeline: int, *, audit: bool = False
    ) -> None:
        self.name = name
        self.folder = plane.folder.parent / name
        self._processes = Processes(self.folder)
        self.folder.mkdir()
        (self.folder / "certificates").symlink_to(plane.folder / "certificates")
        port = choose_port(None, 0)
        layout = Layout(self.folder, build(), port, audit=audit, etcd_prefix=prefix)
        (self.folder / "logs").mkdir()
        (self.folder / "audit-policy.yaml").write_text(AUDIT_POLICY)
        self.kubeconfig = layout.kubeconfig("admin")
        write_kubeconfig(self.kubeconfig, name, layout.server, layout.certificates, "admin")
        component = next(each for each in layout.components() if each.name == _SERVER)
        socket = f"--etcd-servers=unix://{plane.folder / ETCD_SOCKET}"
        words = (socket if w.startswith("--etcd-servers=") else w for w in component.command)
        self.process = self._processes.start(replace(component, command=tuple(words)), lifeline)
        self.api = AdminApi(port, layout.certificates)

    def ready(self) -> bool:
        """Whether it serves. Raises Unsettled when it has ended."""
        if self.process.poll() is not None:
            raise Unsettled(f"{self.name} has ended: see {self.folder / 'logs'}")
        try:
            return self.api.request("GET", "/readyz").status == 200
        except (OSError, HTTPException):
            return False

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A block during which nobody answers behind its port."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        self._processes.stop([_SERVER])


@contextmanager
def members(
    plane: ControlPlane, lifeline: int, prefixes: dict[str, str], *, audit: bool = False
) -> Iterator[dict[str, Member]]:
    """Yield API servers by name, all of them ready; `prefixes` are where each keeps its objects."""
    started: dict[str, Member] = {}
    try:
        for name, prefix in prefixes.items():
            started[name] = member = Member(plane, name, prefix, lifeline, audit=audit)
            deadline = time.monotonic() + _READY_SECONDS
            while not member.ready():
                if time.monotonic() > deadline:
                    raise Unsettled(f"{name} was not ready within {_READY_SECONDS:.0f} s")
                time.sleep(0.1)
        yield started
    finally:
        for member in started.values():
            member.stop()


def kubeconfigs(plane: ControlPlane, others: dict[str, Member]) -> dict[str, Path]:
    """The kubeconfigs of all: the first cluster is called `first`."""
    return {"first": plane.kubeconfig} | {name: each.kubeconfig for name, each in others.items()}
