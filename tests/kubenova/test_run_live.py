"""`manage.py run` as people run it: everything up, the app deployed, and nothing left behind."""

import json
import signal
import stat
import subprocess
import sys
import threading
import urllib.request
from collections import defaultdict
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from kubenova.demo import Api
from tests.kubenova.roles import KILL, ROOT, alive, environment, eventually, family, free_port
from tests.kubenova.test_tracing import attributes, sink

__all__ = ["sink"]
pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]


class Run:
    """One run of everything on a state folder."""

    def __init__(self, state, **more):
        self.port, self.proxy_port, self.said = free_port(), free_port(), []
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "django",
                "run",
                f"--port={self.port}",
                f"--proxy-port={self.proxy_port}",
            ],
            env=environment(state, **more),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for line in self.process.stdout:
            self.said.append(line)
            if "Ctrl-C ends everything" in line:
                break
        assert self.process.poll() is None, "".join(self.said)
        # Whoever writes into a pipe that nobody reads stands still when it is full.
        self.rest = []
        self.reader = threading.Thread(target=self.rest.extend, args=(self.process.stdout,))
        self.reader.start()
        self.everyone = family(self.process.pid)

    def get(self, path):
        """The text of a page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as page:
            return page.read().decode()

    def ended(self):
        """The exit status and the last that it said."""
        status = self.process.wait(90)
        self.reader.join(10)
        return status, "".join(self.rest)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def start(state):
    """Starts a run; ends it after the test if it still runs."""
    runs = []

    def begin(**more):
        runs.append(Run(state, **more))
        return runs[-1]

    yield begin
    for run in runs:
        run.process.kill()
        run.process.wait()
        run.reader.join(10)
        run.process.stdout.close()
        eventually(lambda run=run: not alive(run.everyone))


def as_person(run, record, name):
    """Reads paths of the API as one of the people."""
    credentials = {"username": name, "password": record["users"][name]["password"]}
    return Api(f"http://127.0.0.1:{run.port}", **credentials)


def test_one_command_brings_everything_up_and_nothing_stays_behind(state, start, sink):
    """Ended by a signal it says so; started again it keeps all; killed it leaves nothing."""
    url, spans = sink
    run = start(OTEL_EXPORTER_OTLP_ENDPOINT=url, KUBENOVA_DRAIN_SECONDS="5")
    path = state / "demo.json"
    record = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert record["url"] == f"http://127.0.0.1:{run.port}"
    assert Path(record["clusters"]["sandbox"]["kubeconfig"]).is_file()

    app = as_person(run, record, "carol").find("/tenants/acme/projects/shop/apps/web")
    assert app["status"]["phase"] == "Deployed"
    assert as_person(run, record, "charlie").find("/tenants/acme") is None

    metrics = run.get("/metrics")
    for name in (
        'kubenova_reconcile_seconds_count{kind="tenantplacement"',  # counted by workers
        "kubenova_events_total{",
        "kubenova_work_due ",  # set by the watcher
        "django_http_responses_total_by_status",  # counted by web
    ):
        assert name in metrics
    eventually(lambda: whole_traces(spans))

    run.process.send_signal(signal.SIGTERM)
    status, said = run.ended()
    assert status == 0, said
    assert "nothing is left running" in said
    assert "Had to be killed" not in said
    assert not alive(run.everyone)

    second = start()
    assert json.loads(path.read_text())["users"] == record["users"]
    second.process.send_signal(KILL)
    second.process.wait()
    eventually(lambda: not alive(second.everyone))


def whole_traces(spans):
    """Traces that lead from a request through a step to a call of the cluster."""
    by_trace = defaultdict(set)
    for span, resource in list(spans):
        if span.kind == Span.SPAN_KIND_SERVER:
            by_trace[span.trace_id].add("request")
        elif span.name.startswith("reconcile "):
            by_trace[span.trace_id].add(resource["kubenova.role"])
        elif "/api" in attributes(span).get("url.full", ""):
            by_trace[span.trace_id].add("call")
    return [trace for trace, seen in by_trace.items() if seen >= {"request", "worker", "call"}]
