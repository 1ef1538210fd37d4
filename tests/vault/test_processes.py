"""Real processes over one database file and one key file: SIGKILL during a rotation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vault.keys import KeyFile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def start(tmp_path):
    """Start `tests.vault.process` with its arguments; whatever still runs is ended afterwards."""
    started = []

    def starter(*arguments: str) -> subprocess.Popen:
        places = {
            "DATABASE_URL": f"sqlite:///{tmp_path / 'rows.sqlite3'}",
            "KUBENOVA_VAULT_KEY_FILE": str(tmp_path / "vault-key.json"),
            "KUBENOVA_LOG_LEVEL": "ERROR",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.vault.process", *arguments],
            cwd=ROOT,
            env=os.environ | places,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield starter
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen) -> str:
    """Wait for a good end and return what was printed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_a_killed_rotation_is_finished_by_the_next_while_others_read(start, tmp_path):
    ended(start("fill", "400"))
    keys = KeyFile(tmp_path / "vault-key.json")
    first = keys.active_id()
    stop = tmp_path / "stop"
    reader = start("read", str(stop))
    assert reader.stdout.readline() == "1\n"

    killed = start("rotate")
    for _ in range(3):
        killed.stdout.readline()
    killed.kill()
    killed.wait()
    second = keys.active_id()
    done = ended(start("rotate")).split()

    stop.touch()
    assert int(ended(reader).split()[-1]) >= 2
    assert second != first and [key.id for key in keys.ring().keys] == [first, second]
    assert 0 < int(done[-1]) <= 340, "the second rotation went on where the first was killed"
    keys.drop_keys([first])
    ended(start("read", str(stop)))
