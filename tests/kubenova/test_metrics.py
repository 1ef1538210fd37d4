"""`/metrics` adds up what all processes counted, and is shown to few."""

import os
import subprocess
import sys

import pytest
from django.test import RequestFactory

from kubenova import metrics

COUNT = """
from prometheus_client import Counter, Gauge
Counter("kubenova_test", "Test.", ["kind"]).labels("tenant").inc(2)
Gauge("kubenova_test_depth", "Test.", multiprocess_mode="mostrecent").set(7)
"""
READ = """
from kubenova.metrics import registry
from prometheus_client import generate_latest
import django; django.setup()
print(generate_latest(registry()).decode())
"""


def run(code, folder, **environment):
    """What a Python process of its own prints, that shares the folder."""
    shared = {
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "kubenova.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | shared | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_it_adds_up_what_several_processes_counted(tmp_path):
    for _ in range(3):
        run(COUNT, tmp_path)
    text = run(READ, tmp_path, KUBENOVA_STATE=str(tmp_path / "state"))
    assert 'kubenova_test_total{kind="tenant"} 6.0' in text
    assert "kubenova_test_depth 7.0" in text
    assert 'kubenova_info{version="' in text


def test_it_forgets_processes_that_are_gone(tmp_path):
    run(COUNT, tmp_path)
    mine = tmp_path / f"counter_{os.getpid()}.db"
    mine.touch()
    assert metrics.forget_dead(tmp_path) == 2
    assert list(tmp_path.iterdir()) == [mine]


def scrape(**meta):
    return metrics.export(RequestFactory().get("/metrics", **meta)).status_code


@pytest.mark.parametrize(
    ("meta", "status"),
    [
        pytest.param({"REMOTE_ADDR": "127.0.0.1"}, 200, id="this machine"),
        pytest.param({"REMOTE_ADDR": "::1"}, 200, id="this machine, IPv6"),
        pytest.param({"REMOTE_ADDR": "10.1.2.3"}, 404, id="another machine"),
        pytest.param({"REMOTE_ADDR": ""}, 404, id="a socket file"),
        pytest.param(
            {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "8.8.8.8"}, 404, id="a proxy here"
        ),
    ],
)
def test_it_shows_them_to_this_machine_only(meta, status, settings):
    settings.METRICS_TOKEN = ""
    assert scrape(**meta) == status


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer scrape-me", 200),
        ("Bearer scrape-m", 404),
        ("Bearer ", 404),
        ("scrape-me", 404),
        ("Bearer ünïcode", 404),
        ("", 404),
    ],
)
def test_with_a_token_it_shows_them_to_its_bearer(header, status, settings):
    settings.METRICS_TOKEN = "scrape-me"
    assert scrape(REMOTE_ADDR="10.1.2.3", HTTP_AUTHORIZATION=header) == status
    assert scrape(REMOTE_ADDR="127.0.0.1", HTTP_AUTHORIZATION=header) == status


def test_it_speaks_the_format_that_is_asked_for():
    request = RequestFactory().get("/metrics", HTTP_ACCEPT="application/openmetrics-text")
    assert "openmetrics" in metrics.export(request)["Content-Type"]
