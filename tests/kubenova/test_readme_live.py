"""The README's walk through the main job, run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kubenova.roles import ROOT
from tests.kubenova.test_run_live import Run

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
# What people wait for, and a busy machine longer: each line of the README that sleeps, and its end.
ROLLED_OUT = '"Deployed","repair_mode"'
ENDS = {
    "sleep 10": f"api alice GET '/apps/web/rollout?tenant=initech' | grep '{ROLLED_OUT}'",
    "sleep 2": "api alice GET '/events?tenant=initech&reason=DriftRepaired' | grep front",
}
# Each look signs in anew, which an account may do thirty times a minute.
PATIENT = "for n in {{1..40}}; do if {} >/dev/null; then break; fi; sleep 4; done"


@pytest.fixture
def home(tmp_path):
    """A machine of its own: home, repository and state, and nothing left running."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "manage.py").symlink_to(ROOT / "manage.py")
    command(tmp_path / "work" / ".venv" / "bin" / "python", sys.executable)
    command(tmp_path / "bin" / "kubectl", f"{CACHE}/kubenova/sandbox/*/sandbox kubectl")
    (tmp_path / "work" / ".run").symlink_to(tmp_path / "state")
    yield tmp_path
    at_home(tmp_path, ".venv/bin/python manage.py sandbox down --name prod-b --wipe")


def command(path: Path, runs: str) -> None:
    """Put a command there that runs another."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/bash\nexec $(ls -d {runs.split()[0]} | tail -1) " + tail(runs))
    path.chmod(0o755)


def tail(runs: str) -> str:
    """The arguments of a command that stay the same, then those that it is given."""
    return " ".join([*runs.split()[1:], '"$@"']) + "\n"


def at_home(home, script: str) -> subprocess.CompletedProcess:
    """Run a bash script as somebody on that machine would."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KUBENOVA_", "DJANGO_", "PYTEST_", "XDG_"))
    }
    path = f"{home}/bin:{os.environ['PATH']}"
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(CACHE), "PATH": path}
    return subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=home / "work",
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_it_does_what_it_says(home):
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    assert len(commands) == 6
    script = "\n".join(commands)
    assert re.findall(r"^sleep .*", script, re.MULTILINE) == list(ENDS)
    for line, end in ENDS.items():
        script = script.replace(f"{line}\n", f"{PATIENT.format(end)}\n")
    run = Run(home / "state")
    try:
        done = at_home(home, script)
    finally:
        run.process.terminate()
        run.ended()
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert said.count('"phase": "Deployed"') >= 5, "the app, its two clusters, their components"
    assert "evil:1" in said and "(changed by kubectl-set)" in said
    assert "nginxinc/nginx-unprivileged:1.27-alpine   kubenova.io/component=front" in said
    assert '"code":"KN-NOT-FOUND"' in said, "charlie sees nothing"
    assert '"deleting":true' in said
