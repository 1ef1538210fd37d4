"""`manage.py run` on its own: what it refuses, what it tells."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import get_commands

from kubenova.demo import PEOPLE, Target
from kubenova.management.commands.run import AlreadyRunning, alone, roles, summary
from tests.kubenova.roles import ROOT, environment


def test_every_role_has_its_command():
    names = [role.name for role in roles(8000, 8443)]
    assert {"web", "worker", "watch", "proxy"} <= set(names) <= set(get_commands())


def test_nobody_else_reaches_it():
    doors = {role.name: " ".join(role.command) for role in roles(8765, 8766)}
    assert "127.0.0.1:8765" in doors["web"]
    assert "--host 127.0.0.1 --port 8766" in doors["proxy"]


def test_one_run_has_the_state_for_itself(tmp_path):
    with (
        alone(tmp_path),
        pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"),
        alone(tmp_path),
    ):
        pass
    with alone(tmp_path):
        pass


def test_the_summary_tells_every_url_and_login(tmp_path):
    passwords = {name: f"word-of-{name}" for name in PEOPLE}
    target = Target("sandbox", tmp_path / "admin.kubeconfig")
    text = summary("http://127.0.0.1:8765", passwords, target, tmp_path)
    for name, password in passwords.items():
        assert name in text and password in text
    assert "http://127.0.0.1:8765/admin/" in text
    assert "http://127.0.0.1:8765/api/v1/docs" in text
    assert str(target.kubeconfig) in text


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "django", "run", "--kubeconfig", str(tmp_path / "none")],
        env=environment(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert str(tmp_path / "none") in done.stderr
    assert "Traceback" not in done.stderr


def test_make_names_every_target():
    makefile = (ROOT / "Makefile").read_text()
    # Under `make test` this make is a sub-make, which would print the directories it enters.
    help_ = ["make", "--no-print-directory", "help"]
    done = subprocess.run(help_, cwd=ROOT, capture_output=True, text=True, check=True)
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:"))
    told = [line.split()[1] for line in done.stdout.splitlines()]
    assert told == phony.split()[1:]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_locks_hold_exact_versions_with_hashes_and_no_place(name):
    text = Path(ROOT / name).read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text and "index" not in text


def test_both_locks_agree_and_hold_what_the_project_asks_for():
    def pins(name):
        lines = (ROOT / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and line[0] not in "# "}

    def asked(dependencies):
        return {re.sub(r"\[.*?\]", "", each) for each in dependencies}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime, development = pins("requirements.txt"), pins("requirements-dev.txt")
    assert asked(project["dependencies"]) <= runtime < development
    assert asked(project["optional-dependencies"]["dev"]) <= development
