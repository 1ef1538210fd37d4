"""`manage.py sandbox`: what people read, and the exit statuses that scripts read."""

import io
import socket

import pytest
from django.core.management import CommandError, call_command


def run(*arguments):
    output = io.StringIO()
    call_command("sandbox", *arguments, stdout=output)
    return output.getvalue()


@pytest.mark.parametrize("action", ["up", "down", "status"])
def test_a_name_that_is_no_dns_label_is_refused(action):
    with pytest.raises(CommandError, match="“Prod A” cannot name a sandbox") as refused:
        run(action, "--name", "Prod A")

    assert refused.value.returncode == 1


def test_a_busy_port_is_named_before_anything_is_built(script):
    script("go", "echo nothing shall be built >&2; exit 1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])

        with pytest.raises(CommandError, match=f"Port {port} is taken"):
            run("up", "--port", port)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "https"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(CommandError, match="--port"):
        run("up", "--port", port)


def test_the_status_of_what_never_ran_is_3():
    with pytest.raises(CommandError, match="The sandbox demo is not running") as stopped:
        run("status", "--name", "demo")

    assert stopped.value.returncode == 3


def test_stopping_what_never_ran_is_fine():
    assert run("down", "--name", "demo") == "There is no sandbox demo: nothing to stop\n"
