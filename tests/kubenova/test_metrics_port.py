"""A role without pages has a door for Prometheus: loopback or a token, and nothing else behind."""

import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from kubenova import metrics_port
from tests.kubenova.roles import ROOT, environment, eventually, free_port


@pytest.fixture
def port(settings):
    """The port of an open door."""
    settings.METRICS_TOKEN = ""
    server = metrics_port.open_port("127.0.0.1:0")
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask(port, path, method="GET", **headers):
    """Status and text of an answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method=method, headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_it_tells_what_is_counted(port):
    status, text = ask(port, "/metrics")
    assert status == 200
    assert "# HELP kubenova_events_total" in text
    assert ask(port, "/healthz") == (200, "ok\n")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        pytest.param("/", "GET", 404, id="no page"),
        pytest.param("/api/v1/clusters", "GET", 404, id="no API"),
        pytest.param("/readyz", "GET", 404, id="readiness is the web role's"),
        pytest.param("/metrics", "POST", 405, id="nothing to send"),
        pytest.param("/metrics/", "GET", 404, id="no other spelling"),
    ],
)
def test_nothing_else_is_behind_it(path, method, status, port):
    assert ask(port, path, method)[0] == status


def test_with_a_token_it_wants_it(port, settings):
    settings.METRICS_TOKEN = "scrape-me"
    assert ask(port, "/metrics")[0] == 404
    assert ask(port, "/metrics", Authorization="Bearer scrape-me")[0] == 200


def test_whoever_says_nothing_holds_nobody_up(port):
    with closing(socket.create_connection(("127.0.0.1", port))):
        assert ask(port, "/metrics")[0] == 200


@pytest.mark.parametrize(
    ("role", "command", "bind"),
    [
        pytest.param("proxy", "proxy", "", id="not asked for"),
        pytest.param("web", "web", "127.0.0.1:0", id="web has it among its pages"),
        pytest.param("worker", "qcluster", "127.0.0.1:0", id="what a worker starts"),
        pytest.param("", "migrate", "127.0.0.1:0", id="a command"),
    ],
)
def test_only_the_main_process_of_a_role_without_pages_opens_it(role, command, bind):
    assert metrics_port.open_for(role, command, bind) is None


@pytest.mark.parametrize("bind", ["9464", "127.0.0.1", "127.0.0.1:many", "127.0.0.1:70000"])
def test_a_bind_that_is_none_ends_the_role_and_is_named(bind):
    with pytest.raises(SystemExit, match=re.escape(f"KUBENOVA_METRICS_BIND={bind}")):
        metrics_port.open_for("proxy", "proxy", bind)


def test_a_taken_port_ends_the_role(port):
    with pytest.raises(SystemExit, match="in use"):
        metrics_port.open_for("watch", "watch", f"127.0.0.1:{port}")


def test_the_proxy_as_a_process_is_scraped(tmp_path):
    door, port = free_port(), free_port()
    own = environment(tmp_path, KUBENOVA_METRICS_BIND=f"127.0.0.1:{door}")
    command = [sys.executable, "-m", "django", "proxy", "--port", str(port)]
    process = subprocess.Popen(
        command, env=own, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        eventually(lambda: process.poll() is not None or _answers(port), 60)
        status, text = ask(door, "/metrics")
        assert (status, "kubenova_info{" in text) == (200, True)
        process.terminate()
        assert process.wait(45) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _answers(port):
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0
