"""Whether a machine is at rest, and who has used it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import _machine
import pytest
from _machine import Busy, core_seconds, describe, idle_between, pin, spending

REST = {"user": 10.0, "system": 5.0, "iowait": 1.0, "idle": 100.0, "guest": 3.0}


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        pytest.param({"idle": 10.0}, 100.0, id="nobody works"),
        pytest.param({"user": 10.0}, 0.0, id="somebody works all the time"),
        pytest.param({"user": 1.0, "system": 0.5, "idle": 8.5}, 85.0, id="just quiet enough"),
        pytest.param({"iowait": 5.0, "idle": 5.0}, 50.0, id="waiting for a disk is no rest"),
        pytest.param(
            {"user": 5.0, "guest": 5.0, "idle": 5.0}, 50.0, id="what guests use counts once"
        ),
        pytest.param({}, 100.0, id="no time has passed"),
    ],
)
def test_idle_is_the_share_that_nobody_used(spent, expected):
    after = {name: value + spent.get(name, 0.0) for name, value in REST.items()}
    assert idle_between(REST, after) == pytest.approx(expected)


def reading(monkeypatch, free: float) -> None:
    """Pretend that the machine is so idle: the clock is the system's, not ours to turn."""
    monkeypatch.setattr(_machine, "idle", lambda: free)


def test_a_busy_machine_is_refused(monkeypatch):
    reading(monkeypatch, 84.0)
    with pytest.raises(Busy, match=r"84 % idle for 5 s, 85 % are needed.*--busy"):
        describe(busy=False)


def test_a_busy_machine_is_told_of_where_that_was_wanted(monkeypatch):
    reading(monkeypatch, 20.0)
    found = describe(busy=True)
    assert (found["quiet"], found["idle before, %"]) == (False, 20)


def test_a_quiet_machine_is_described(monkeypatch):
    reading(monkeypatch, 97.4)
    found = describe(busy=False)
    assert found["quiet"] and found["cores"] == os.cpu_count() and len(found["load before"]) == 3


def burner(seconds: float) -> subprocess.Popen:
    code = f"import time\nwhile time.process_time() < {seconds}: pass\ninput()"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_what_others_spend_is_counted_by_their_parts():
    process = burner(0.3)
    try:
        with spending({"burner": [process.pid], "nobody": []}, mine=True) as spent:
            until = time.monotonic() + 20
            while core_seconds([process.pid]) < 0.3 and time.monotonic() < until:
                time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    assert 0.1 < spent.cores["burner"] < 1.0
    assert spent.cores["nobody"] == 0.0 and spent.cores["client"] > 0.0
    assert spent.total == pytest.approx(sum(spent.cores.values()))
    assert spent.wall > 0.1


def test_who_has_ended_has_spent_nothing_that_can_be_seen():
    process = burner(0.0)
    process.kill()
    process.communicate()
    assert core_seconds([process.pid]) == 0.0


def test_a_process_keeps_to_a_core_with_its_threads_and_children():
    code = (
        "import os, subprocess, sys, threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.readline()\n"
        "child.kill()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        child, core = int(process.stdout.readline()), max(os.sched_getaffinity(0))
        pin([process.pid], core)
        threads = [int(each.name) for each in Path(f"/proc/{process.pid}/task").iterdir()]
        assert len(threads) == 2
        for each in (*threads, child):
            assert os.sched_getaffinity(each) == {core}
        process.communicate(b"\n")


def test_a_process_that_has_ended_needs_no_core():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    pin([process.pid], 0)
