"""From a folder to a control plane that serves: files, processes, readiness, the node."""

import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from sandbox.api import AdminApi, ApiError
from sandbox.certificates import CLIENTS, make_certificates
from sandbox.components import AUDIT_POLICY, ETCD_SOCKET, UNPULLABLE, Layout
from sandbox.errors import ComponentFailed, PortTaken
from sandbox.kubeconfig import write_kubeconfig
from sandbox.processes import Component, Processes

READY_WITHIN = 90.0
RECORD = "plane.json"
NODE = "node-0"

# Below the ranges that systems take ports for outgoing connections from.
PORTS = range(20000, 30000)


def choose_port(asked: int | None, last: int, patience: float = 3.0) -> int:
    """The port asked for, else the one used last (0: none), else a free one.

    A taken one gets `patience` seconds, as who was just killed still holds it a moment. Then
    raises PortTaken, since whoever knows the URL of a sandbox counts on its port.
    """
    for port in (asked, last):
        if not port:
            continue
        if not _becomes_free(port, patience):
            raise PortTaken(
                f"Port {port} is taken by another process. End that one, or choose another "
                "port with --port."
            )
        return port
    return next(port for port in random.sample(PORTS, 1000) if is_free(port))


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As the API server does: a port whose last connections still linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _becomes_free(port: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@dataclass
class Startup:
    """One start of one sandbox. Whoever calls `run` stops what it left when it raises."""

    name: str
    layout: Layout
    processes: Processes
    lifeline: int | None = None
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self) -> None:
        """Write the files, start everything, return when pods would run.

        Raises ComponentFailed.
        """
        self._prepare()
        etcd, api_server, *clients = self.layout.components()
        with self._tied() as lifeline:
            self._start(etcd, lifeline)
            self._wait(etcd.name, "did not listen", self._etcd_socket.exists)
            self._start(api_server, lifeline)
            self._wait(api_server.name, "did not become ready", self._serves)
            for component in clients:
                self._start(component, lifeline)
            self._create_node()
            self._wait("kwok", "did not bring up its node", self._node_is_ready)

    def _prepare(self) -> None:
        folder, certificates = self.layout.folder, self.layout.certificates
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        (folder / "logs").mkdir(exist_ok=True)
        if not certificates.exists():
            fresh = certificates.with_suffix(f".{os.getpid()}")
            make_certificates(fresh)
            fresh.rename(certificates)
        for client in CLIENTS:
            path = self.layout.kubeconfig(client)
            write_kubeconfig(path, self.name, self.layout.server, certificates, client)
        self._etcd_socket.unlink(missing_ok=True)
        (folder / "audit-policy.yaml").write_text(AUDIT_POLICY)
        (folder / "unpullable.yaml").write_text(UNPULLABLE)
        (folder / RECORD).write_text(json.dumps({"port": self.layout.port}))

    @contextmanager
    def _tied(self) -> Iterator[int]:
        """A lifeline for the components, cut when all went well.

        If this process dies before, however hard, the pipe closes and they end. A lifeline
        that the caller gave is never cut.
        """
        if self.lifeline is not None:
            yield self.lifeline
            return
        reading, writing = os.pipe()
        try:
            yield reading
            os.write(writing, b"." * len(self.started))
        finally:
            os.close(reading)
            os.close(writing)

    def _start(self, component: Component, lifeline: int) -> None:
        self.started[component.name] = self.processes.start(component, lifeline)

    def _wait(self, component: str, reason: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not ready():
            for name, process in self.started.items():
                if process.poll() is not None:
                    raise self._failed(name, f"ended with status {process.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(component, f"{reason} within {READY_WITHIN:.0f} s")
            time.sleep(0.05)

    def _failed(self, name: str, reason: str) -> ComponentFailed:
        log = self.processes.log(name)
        return ComponentFailed(name, reason, log, self.processes.last_lines(name))

    @property
    def _etcd_socket(self) -> Path:
        return self.layout.folder / ETCD_SOCKET

    @property
    def _api(self) -> AdminApi:
        return AdminApi(self.layout.port, self.layout.certificates, timeout=5)

    def _serves(self) -> bool:
        try:
            return self._api.request("GET", "/readyz").status == 200
        except (OSError, HTTPException):
            return False

    def _create_node(self) -> None:
        """kwok plays the nodes that exist, but makes none."""
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": NODE,
                "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"},
            },
        }
        try:
            self._api.create("/api/v1/nodes", node)
        except ApiError as error:
            if error.status != 409:
                raise

    def _node_is_ready(self) -> bool:
        try:
            node = self._api.get(f"/api/v1/nodes/{NODE}")
        except (OSError, HTTPException, ApiError):
            return False
        conditions = node.get("status", {}).get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        # A new node is tainted until the controller manager has seen it ready.
        return ready and not node["spec"].get("taints")
