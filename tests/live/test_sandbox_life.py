"""Starting, stopping, crashing: nothing is lost and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sandbox.components import NAMES
from sandbox.errors import ComponentFailed, PortTaken
from sandbox.plane import ControlPlane

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]


def processes_of(folder: Path) -> list[psutil.Process]:
    """Everything alive on this machine whose command line names the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(folder) in line and process.pid != os.getpid():
            found.append(process)
    return found


@pytest.fixture
def own_plane(tmp_path):
    """A sandbox that a test may stop, wipe and break; not started."""
    plane = ControlPlane("own", folder=tmp_path / "own", fsync=False)
    yield plane
    plane.down(wipe=True)
    assert processes_of(plane.folder) == []


class TestLife:
    def test_it_keeps_its_data_and_its_port_over_a_restart(self, own_plane):
        own_plane.up()
        server = own_plane.server
        own_plane.api.create("/api/v1/namespaces", {"metadata": {"name": "kept"}})

        own_plane.down()
        assert own_plane.status().word == "stopped"
        own_plane.up()

        assert own_plane.server == server
        assert own_plane.api.get("/api/v1/namespaces/kept")["status"]["phase"] == "Active"

    def test_a_running_one_is_left_alone(self, own_plane):
        before = own_plane.up()

        assert own_plane.up().pids == before.pids

    def test_it_recovers_from_a_crash_of_everything(self, own_plane):
        before = own_plane.up()
        own_plane.api.create("/api/v1/namespaces", {"metadata": {"name": "kept"}})
        for pid in before.pids.values():
            os.kill(pid, signal.SIGKILL)

        after = own_plane.up()

        assert after.running
        assert not set(after.pids.values()) & set(before.pids.values())
        own_plane.api.get("/api/v1/namespaces/kept")

    def test_it_recovers_from_the_crash_of_one_component(self, own_plane):
        before = own_plane.up()
        os.kill(before.pids["etcd"], signal.SIGKILL)
        psutil.wait_procs([psutil.Process(before.pids["etcd"])], timeout=60)
        assert own_plane.status().word == "broken"

        assert own_plane.up().running

    def test_wiping_leaves_nothing(self, own_plane):
        own_plane.up()

        own_plane.down(wipe=True)

        assert not own_plane.folder.exists()
        assert processes_of(own_plane.folder) == []

    def test_it_writes_an_audit_log_when_asked(self, tmp_path):
        plane = ControlPlane("audited", folder=tmp_path / "audited", fsync=False, audit=True)
        try:
            plane.up()
            plane.api.find("/api/v1/namespaces/sought")
            lines = (plane.folder / "logs" / "audit.log").read_text().splitlines()
        finally:
            plane.down(wipe=True)

        assert any(json.loads(line)["requestURI"].endswith("/sought") for line in lines)

    def test_it_names_the_component_that_failed(self, own_plane):
        own_plane.up()
        own_plane.down()
        (own_plane.folder / "certificates" / "apiserver.key").write_text("no key")

        with pytest.raises(ComponentFailed, match="kube-apiserver ended with status 1") as failed:
            own_plane.up()

        assert failed.value.component == "kube-apiserver"
        assert processes_of(own_plane.folder) == []

    def test_it_refuses_the_port_of_another_one(self, control_plane, tmp_path):
        plane = ControlPlane("late", port=control_plane.port, folder=tmp_path / "late")

        with pytest.raises(PortTaken, match=str(control_plane.port)):
            plane.up()

        assert processes_of(plane.folder) == []


class TestOrphans:
    """What is left when the process that brings a sandbox up dies without a word."""

    CODE = """
import sys
from pathlib import Path
from sandbox.plane import ControlPlane
ControlPlane("orphan", folder=Path(sys.argv[1]), fsync=False).up()
"""

    def start(self, folder: Path) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", self.CODE, folder], cwd=ROOT)

    @pytest.mark.parametrize("last", [NAMES[0], NAMES[1], NAMES[-1]])
    def test_nothing_is_left_when_it_dies_half_way(self, tmp_path, control_plane, last):
        folder = tmp_path / "orphan"
        starter = self.start(folder)
        record = folder / "run" / f"{last}.json"
        while not record.exists():
            assert starter.poll() is None
            time.sleep(0.01)

        starter.kill()
        starter.wait()

        psutil.wait_procs(processes_of(folder), timeout=60)
        assert processes_of(folder) == []

    def test_it_outlives_who_started_it(self, tmp_path, control_plane):
        folder = tmp_path / "orphan"
        assert self.start(folder).wait(timeout=120) == 0
        plane = ControlPlane("orphan", folder=folder)

        try:
            assert plane.status().running
            assert plane.api.get("/version")
        finally:
            plane.down(wipe=True)
        assert processes_of(folder) == []

    def test_it_ends_with_the_pipe_that_it_was_tied_to(self, tmp_path):
        reading, writing = os.pipe()
        plane = ControlPlane("tied", folder=tmp_path / "tied", fsync=False, lifeline=reading)
        try:
            plane.up()
            os.close(reading)
            assert plane.status().running
        finally:
            os.close(writing)

        psutil.wait_procs(processes_of(plane.folder), timeout=60)
        assert processes_of(plane.folder) == []
        assert plane.status().word == "stopped"


class TestCommand:
    @pytest.fixture
    def manage(self, tmp_path, control_plane):
        environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "manage.py", "sandbox", *arguments, "--name", "commanded"]
            return subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True
            )

        yield run
        run("down", "--wipe")

    def test_it_starts_shows_and_stops(self, manage):
        up, status, down, after = (
            manage(*words) for words in (["up"], ["status"], ["down", "--wipe"], ["status"])
        )

        assert [up.returncode, status.returncode, down.returncode, after.returncode] == [0, 0, 0, 3]
        assert "Starting the sandbox commanded" in up.stdout
        assert "kubeconfig  " in up.stdout
        assert "The sandbox commanded is running" in status.stdout
        assert "its data is gone" in down.stdout
        assert "The sandbox commanded is stopped" in after.stdout

    def test_starting_it_again_shows_the_same(self, manage):
        assert manage("up").returncode == 0

        again = manage("up")

        assert again.returncode == 0
        assert "Starting" not in again.stdout
        assert "kubeconfig  " in again.stdout
