"""One control plane: up, down, status.

Everything of it lives in one folder: data, certificates, kubeconfigs, logs and pid files. The
processes outlive whoever started them; `down`, from any process, finds them by their pid files.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.api import AdminApi
from sandbox.build import build
from sandbox.components import NAMES, Layout
from sandbox.errors import InvalidName, KubectlFailed
from sandbox.golang import Report
from sandbox.processes import Processes
from sandbox.startup import RECORD, Startup, choose_port


@dataclass(frozen=True)
class Status:
    """What is there of a sandbox: pids by component (None: not running), memory in bytes."""

    name: str
    server: str
    kubeconfig: Path
    pids: dict[str, int | None]
    memory: int

    @property
    def running(self) -> bool:
        """All components are alive."""
        return all(self.pids.values())

    @property
    def word(self) -> str:
        """running, stopped or broken (some components are gone)."""
        if self.running:
            return "running"
        return "broken" if any(self.pids.values()) else "stopped"


def state_root() -> Path:
    """`$XDG_STATE_HOME/kubenova/sandbox`, by default below `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "kubenova" / "sandbox"


class ControlPlane:
    """A control plane by its name.

    `port` is the API server's; without it the one used last, else a free one. `folder` holds
    its state (default: one per name below `state_root()`). `fsync=False` loses data on a power
    cut and is for tests. `audit` writes `logs/audit.log` (level Metadata). `lifeline` is the
    reading end of a pipe: the control plane lives only as long as a writer of it; without one
    it lives until `down`. Raises InvalidName.
    """

    def __init__(
        self,
        name: str = "sandbox",
        port: int | None = None,
        folder: Path | None = None,
        *,
        fsync: bool = True,
        audit: bool = False,
        etcd_prefix: str = "/registry",
        lifeline: int | None = None,
        report: Report = print,
    ) -> None:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
            raise InvalidName(
                f"“{name}” cannot name a sandbox: use 1 to 63 lower-case letters, digits and -, "
                "not - at either end."
            )
        self.name = name
        self.folder = (folder or state_root() / name).absolute()
        self._port = port
        self._fsync = fsync
        self._audit = audit
        self._etcd_prefix = etcd_prefix
        self._lifeline = lifeline
        self._report = report
        self._processes = Processes(self.folder)

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig; exists after the first `up`."""
        return self.folder / "admin.kubeconfig"

    @property
    def port(self) -> int:
        """The port of the API server, 0 before the first `up`."""
        try:
            record: dict[str, int] = json.loads((self.folder / RECORD).read_text())
        except FileNotFoundError:
            return self._port or 0
        return record["port"]

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def api(self) -> AdminApi:
        """The API server, spoken to as admin."""
        return AdminApi(self.port, self.folder / "certificates")

    def status(self) -> Status:
        """What runs now; never waits and changes nothing."""
        living = {name: self._processes.find(name) for name in NAMES}
        pids = {name: process.pid if process else None for name, process in living.items()}
        memory = self._processes.memory(NAMES)
        return Status(self.name, self.server, self.kubeconfig, pids, memory)

    def up(self) -> Status:
        """Bring it up and wait until it serves; a running one is left as it is.

        Builds the binaries when the cache has none. After a crash what is left is stopped
        and everything starts again on the data it had. Raises SandboxError; then nothing of
        it is running.
        """
        with self._alone():
            if self.status().running:
                return self.status()
            self._stop()
            port = choose_port(self._port, self.port)
            layout = Layout(
                folder=self.folder,
                binaries=build(self._report),
                port=port,
                fsync=self._fsync,
                audit=self._audit,
                etcd_prefix=self._etcd_prefix,
            )
            with ExitStack() as undo:
                undo.callback(self._stop)
                Startup(self.name, layout, self._processes, self._lifeline).run()
                undo.pop_all()
            return self.status()

    def down(self, wipe: bool = False) -> None:
        """Stop it; with `wipe` also forget its data, keys and logs. Fine when not running."""
        if not self.folder.exists():
            return
        with self._alone():
            self._stop()
            if wipe:
                shutil.rmtree(self.folder)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run this sandbox's kubectl as its admin and return its standard output.

        Raises KubectlFailed with what it wrote to standard error.
        """
        command = [str(build(self._report).sandbox), "kubectl", f"--kubeconfig={self.kubeconfig}"]
        done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True)
        if done.returncode != 0:
            raise KubectlFailed(arguments, done.stderr)
        return done.stdout

    def _stop(self) -> None:
        """Etcd last: the others still write while they end, and keep nothing themselves."""
        *others, etcd = reversed(NAMES)
        self._processes.stop(others, seconds=5)
        self._processes.stop([etcd])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time starts or stops a sandbox."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder, which `down` may remove.
        with (self.folder.parent / f".{self.folder.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
