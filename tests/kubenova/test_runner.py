"""The runner shows what roles say, notices one that dies, and leaves none behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import psutil
import pytest

from kubenova import runner
from kubenova.runner import Children, PortTaken, RoleDied, Stop, check_port, end_descendants
from tests.kubenova.roles import (
    FORKING,
    KILL,
    OBEDIENT,
    ROOT,
    SHORT,
    STUBBORN,
    alive,
    environment,
    eventually,
    family,
    pretender,
)


@pytest.fixture
def heard():
    return []


@pytest.fixture
def children(tmp_path, heard):
    """Roles of this test; whatever is left of them is killed afterwards."""
    group = Children(tmp_path / "logs", environment(tmp_path), heard.append)
    yield group
    end_descendants()


def up(heard, *names):
    eventually(lambda: all(any(f"{name} is up" in line for line in heard) for name in names))


def test_it_shows_and_keeps_what_roles_say(children, heard, tmp_path):
    children.start([OBEDIENT])
    up(heard, "obedient")
    assert heard == ["obedient | obedient is up"]
    eventually(lambda: (tmp_path / "logs" / "obedient.log").read_text() == "obedient is up\n")
    children.stop(Stop())


def test_it_ends_them_all(children, heard):
    children.start([OBEDIENT, FORKING])
    up(heard, "obedient", "forking")
    processes = family(os.getpid())[1:]
    assert len(alive(processes)) == 3
    assert children.stop(Stop()) == []
    eventually(lambda: not alive(processes))


def test_it_kills_what_does_not_obey_and_names_it(children, heard, monkeypatch):
    monkeypatch.setattr(runner, "STOP_SECONDS", 0.5)
    children.start([OBEDIENT, STUBBORN])
    up(heard, "obedient", "stubborn")
    assert children.stop(Stop()) == ["stubborn"]
    assert not alive(family(os.getpid())[1:])


def test_who_asks_twice_is_in_a_hurry(children, heard):
    children.start([STUBBORN])
    up(heard, "stubborn")
    stop = Stop()
    stop._ask(signal.SIGINT, None)
    stop._ask(signal.SIGINT, None)
    assert children.stop(stop) == ["stubborn"]


def test_a_role_is_signalled_alone(children, heard):
    """A signal to the group would hang the queue: its parent has a session of its own."""
    children.start([OBEDIENT])
    up(heard, "obedient")
    (child,) = family(os.getpid())[1:]
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    children.stop(Stop())


def test_a_role_that_dies_is_reported_with_its_last_lines(children):
    children.start([OBEDIENT, SHORT])
    with pytest.raises(RoleDied) as caught:
        children.wait(Stop())
    assert (caught.value.name, caught.value.status) == ("short", 3)
    assert caught.value.lines == ("about to fail",)
    children.stop(Stop())


def test_a_role_that_writes_nonsense_stops_nothing(children, heard):
    children.start([pretender("odd", "os.write(1, b'\\xff\\xfe\\n'); print('odd is up')")])
    up(heard, "odd")


def test_waiting_ends_with_what_was_waited_for(children):
    seen = iter([False, False, True])
    assert children.wait(Stop(), lambda: next(seen))


def test_waiting_ends_when_a_stop_is_asked_for(children):
    stop = Stop()
    threading.Timer(0.2, stop.asked.set).start()
    assert not children.wait(stop)


RUN = """
    import os, signal, sys
    from pathlib import Path
    from kubenova.runner import Children, Stop
    from tests.kubenova.roles import FORKING, OBEDIENT, STUBBORN

    def say(line):
        sys.stdout.write(line + "\\n")
        sys.stdout.flush()

    stop = Stop.on_signals()
    children = Children(Path(sys.argv[1]), dict(os.environ), say)
    children.start([OBEDIENT, FORKING, STUBBORN] if sys.argv[2] == "all" else [OBEDIENT, FORKING])
    children.wait(stop)
    print("killed", children.stop(stop), flush=True)
"""


@pytest.fixture
def run(tmp_path):
    """Starts a runner as a process of its own; returns it and its whole family."""
    started = []

    def start(which):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RUN), str(tmp_path), which],
            env=environment(tmp_path),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        expected = 4 if which == "all" else 3
        for _ in range(expected):
            assert "is up" in process.stdout.readline()
        return process, family(process.pid)

    yield start
    end_descendants()
    for process in started:
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=str)
def test_a_signal_ends_everything(run, number):
    process, everyone = run("some")
    assert len(everyone) == 4
    process.send_signal(number)
    assert process.wait(45) == 0
    assert process.stdout.read().endswith("killed []\n")
    eventually(lambda: not alive(everyone))


def test_a_killed_runner_leaves_nothing_behind(run):
    process, everyone = run("all")
    assert len(everyone) == 5
    process.send_signal(KILL)
    process.wait()
    eventually(lambda: not alive(everyone))


def test_a_busy_port_is_named_with_its_user_and_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            check_port(port, "--port")
    message = str(caught.value)
    assert str(port) in message and "--port" in message
    assert f"pid {os.getpid()}" in message and psutil.Process().name() in message


def test_a_free_port_is_fine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    check_port(port, "--port")
