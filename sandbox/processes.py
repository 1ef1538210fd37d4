"""Starting, finding and stopping the processes of a sandbox by their pid files.

A pid file may be stale: its process may be gone and the pid be someone else's by now. So it
also holds the command line; a process is ours only while both agree.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# The one variable of the Go package `lifeline`.
LIFELINE = "SANDBOX_LIFELINE"

# What a component may inherit; everything else (proxies, ETCD_*, KUBECONFIG) stays out.
INHERITED = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")


@dataclass(frozen=True)
class Component:
    """One process of the control plane."""

    name: str
    command: tuple[str, ...]


def end(processes: Iterable["subprocess.Popen[bytes]"], seconds: float) -> None:
    """End what this process has started: SIGTERM to all, SIGKILL to who is left by then."""
    ending = list(processes)
    for process in ending:
        process.terminate()
    for process in ending:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Processes:
    """The processes of the sandbox in `folder`: pid files in `run/`, output in `logs/`."""

    folder: Path

    def start(self, component: Component, lifeline: int) -> subprocess.Popen[bytes]:
        """Start a component in a session of its own and record its pid.

        `lifeline` is the reading end of a pipe: until the component has read a byte from
        it, it ends when the last writer does.
        """
        log = self.log(component.name)
        log.parent.mkdir(exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        with log.open("wb") as output:
            process = subprocess.Popen(
                component.command,
                cwd=self.folder,
                env={**environment, LIFELINE: str(lifeline)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lifeline,),
            )
        self._record(component, process.pid)
        # The kernel shows a new command line a moment after exec has succeeded; until then
        # `stop` would not know the process.
        deadline = time.monotonic() + 1
        while self.find(component.name) is None and time.monotonic() < deadline:
            if process.poll() is not None:
                break
            time.sleep(0.001)
        return process

    def log(self, name: str) -> Path:
        """Where a component writes to."""
        return self.folder / "logs" / f"{name}.log"

    def last_lines(self, name: str, count: int = 8) -> list[str]:
        """The end of a component's log, long lines cut."""
        try:
            lines = self.log(name).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [line[:500] for line in lines[-count:]]

    def find(self, name: str) -> psutil.Process | None:
        """The living process of a component, None if its record is missing or stale."""
        try:
            record = json.loads(self._pid_file(name).read_text())
            process = psutil.Process(record["pid"])
            ours = process.cmdline() == record["command"]
        except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.Error):
            return None
        return process if ours and process.is_running() else None

    def memory(self, names: Iterable[str]) -> int:
        """The resident memory of these components, in bytes."""
        total = 0
        for name in names:
            process = self.find(name)
            # It may end between the two calls.
            with suppress(psutil.Error):
                total += process.memory_info().rss if process else 0
        return total

    def stop(self, names: Iterable[str], seconds: float = 10.0) -> None:
        """End these components: SIGTERM to all, SIGKILL to who is left after `seconds`."""
        names = list(names)
        living = [process for name in names if (process := self.find(name))]
        for process in living:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(living, timeout=seconds)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=seconds)
        for name in names:
            self._pid_file(name).unlink(missing_ok=True)

    def _pid_file(self, name: str) -> Path:
        return self.folder / "run" / f"{name}.json"

    def _record(self, component: Component, pid: int) -> None:
        path = self._pid_file(component.name)
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".fresh")
        fresh.write_text(json.dumps({"pid": pid, "command": list(component.command)}))
        fresh.replace(path)
