"""The web role as a process: it answers, every line it writes is JSON, and it ends when told."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.kubenova.roles import KILL, ROOT, alive, environment, eventually, family, free_port


@pytest.fixture
def web(tmp_path):
    """A web role without a database; its URL and its process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "web", "--bind", f"127.0.0.1:{port}"],
        env=environment(tmp_path, KUBENOVA_STATIC_IN_PLACE="1"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: process.poll() is not None or status(f"{url}/healthz") == 200, 60)
    assert process.poll() is None, process.stdout.read()
    yield url, process
    process.kill()
    process.wait()
    process.stdout.close()


def status(url):
    """The HTTP status of a page, 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            return page.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_it_serves_writes_json_and_ends_when_told(web):
    url, process = web
    assert status(f"{url}/readyz") == 503  # there are no tables
    assert status(f"{url}/metrics") == 200
    assert status(f"{url}/nothing-here?token=hunter2") == 404
    everyone = family(process.pid)
    assert len(everyone) == 3
    process.send_signal(signal.SIGTERM)
    assert process.wait(45) == 0
    assert not alive(everyone)

    lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert {line["role"] for line in lines} == {"web"}
    assert "gunicorn.error" in {line["logger"] for line in lines}
    (served,) = (line for line in lines if line["event"] == "request_finished")
    assert served["request"] == "GET /nothing-here?token=[masked]"
    assert served["correlation_id"] and served["request_id"]


def test_a_killed_one_leaves_no_process_behind(web):
    _, process = web
    everyone = family(process.pid)
    process.send_signal(KILL)
    process.wait()
    eventually(lambda: not alive(everyone))
