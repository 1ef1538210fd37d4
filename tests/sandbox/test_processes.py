"""Only what we started is ever stopped."""

import json
import os
import subprocess
import time

import psutil
import pytest

from sandbox.processes import LIFELINE, Component, Processes

SLEEP = Component("sleeper", ("/bin/sleep", "300"))


@pytest.fixture
def lifeline():
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


@pytest.fixture
def processes(tmp_path):
    found = Processes(tmp_path)
    yield found
    found.stop(["sleeper"], seconds=1)


def record(processes, pid, command):
    path = processes.folder / "run" / "sleeper.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": pid, "command": command}))
    return path


def test_it_finds_what_it_started(processes, lifeline):
    started = processes.start(SLEEP, lifeline)

    assert processes.find("sleeper").pid == started.pid


def test_another_process_finds_it_too(processes, lifeline):
    started = processes.start(SLEEP, lifeline)

    assert Processes(processes.folder).find("sleeper").pid == started.pid


def test_it_starts_in_a_session_of_its_own(processes, lifeline):
    started = processes.start(SLEEP, lifeline)

    assert os.getsid(started.pid) == started.pid


def test_it_hands_on_the_lifeline_and_little_else(processes, lifeline, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    show = Component("shower", ("/usr/bin/env",))

    processes.start(show, lifeline).wait(timeout=5)

    lines = processes.log("shower").read_text().splitlines()
    assert f"{LIFELINE}={lifeline}" in lines
    assert not [line for line in lines if line.startswith("HTTPS_PROXY")]


def test_it_finds_nothing_before_the_start(processes):
    assert processes.find("sleeper") is None


def test_a_stale_pid_is_nobody(processes):
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    record(processes, gone.pid, ["/bin/true"])

    assert processes.find("sleeper") is None


def test_a_pid_that_is_someone_elses_now_is_left_alone(processes):
    other = subprocess.Popen(["/bin/sleep", "200"])
    path = record(processes, other.pid, list(SLEEP.command))

    assert processes.find("sleeper") is None
    processes.stop(["sleeper"])

    assert other.poll() is None
    assert not path.exists()
    other.kill()
    other.wait()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("12345", id="bare-number"),
        pytest.param('{"pid": "x", "command": []}', id="no-number"),
        pytest.param('{"pid": -1, "command": []}', id="negative"),
        pytest.param("{}", id="no-fields"),
    ],
)
def test_a_broken_pid_file_is_as_good_as_none(processes, content):
    record(processes, 1, []).write_text(content)

    assert processes.find("sleeper") is None


def test_it_stops_what_it_started(processes, lifeline):
    started = processes.start(SLEEP, lifeline)

    processes.stop(["sleeper"])

    assert not psutil.pid_exists(started.pid)
    assert processes.find("sleeper") is None


def test_it_kills_what_does_not_stop(processes, lifeline):
    stubborn = ("/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    started = processes.start(Component("sleeper", stubborn), lifeline)
    while not processes.last_lines("sleeper"):
        time.sleep(0.01)

    processes.stop(["sleeper"], seconds=0.3)

    assert not psutil.pid_exists(started.pid)


def test_it_keeps_the_log_of_the_start_before(processes, lifeline):
    for word in ("first", "second"):
        processes.start(Component("teller", ("/bin/echo", word)), lifeline).wait(timeout=5)

    assert processes.last_lines("teller") == ["second"]
    assert (processes.folder / "logs" / "teller.previous.log").read_text() == "first\n"


def test_it_shows_the_end_of_a_log(processes, lifeline):
    count = Component("counter", ("/usr/bin/seq", "100"))

    processes.start(count, lifeline).wait(timeout=5)

    assert processes.last_lines("counter", 2) == ["99", "100"]
    assert processes.last_lines("silent") == []
