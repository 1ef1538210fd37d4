"""The boot matrix: what production refuses to start with, and what it only warns of."""

import base64
import json
import os
import subprocess
import sys

import pytest

from kubenova import checks

STRONG = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def production(settings, tmp_path):
    """Sound settings of production; each test spoils one."""
    settings.PRODUCTION, settings.DEBUG, settings.SQLITE = True, False, False
    settings.SECRET_KEY = STRONG
    settings.ALLOWED_HOSTS = ["kubenova.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    settings.STATE_DIR = tmp_path
    settings.JWT_KEY_FILE, settings.VAULT_KEY_FILE = tmp_path / "jwt", tmp_path / "vault"
    return settings


def found():
    return [message.id for message in (*checks.check_production(), *checks.check_key_files())]


def test_it_starts_with_sound_settings():
    assert found() == []


@pytest.mark.parametrize(
    ("setting", "value", "id"),
    [
        pytest.param("DEBUG", True, "kubenova.E001", id="debug"),
        pytest.param("SECRET_KEY", "short", "kubenova.E002", id="short key"),
        pytest.param("SECRET_KEY", "a" * 80, "kubenova.E002", id="monotonous key"),
        pytest.param("SECRET_KEY", f"django-insecure-{STRONG}", "kubenova.E002", id="django's key"),
        pytest.param("SECRET_KEY", f"changeme-{STRONG}", "kubenova.E002", id="default key"),
        pytest.param("ALLOWED_HOSTS", ["*"], "kubenova.E004", id="any host"),
        pytest.param("ALLOWED_HOSTS", ["a.example.org", " * "], "kubenova.E004", id="also any"),
        pytest.param("SQLITE", True, "kubenova.W001", id="sqlite"),
        pytest.param("SECURE_SSL_REDIRECT", False, "kubenova.W002", id="plain http"),
    ],
)
def test_it_refuses(production, setting, value, id):
    setattr(production, setting, value)
    assert found() == [id]
    production.PRODUCTION = False
    assert found() == []


@pytest.mark.parametrize("name", ["secret-key", "jwt", "vault"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_it_refuses_key_files_that_others_may_read(production, tmp_path, name, mode):
    production.PRODUCTION = False  # not even a first run
    path = tmp_path / name
    path.write_text('{"keys": []}')
    path.chmod(mode)
    assert "kubenova.E003" in found()
    path.chmod(0o600)
    assert found() == []


def test_it_refuses_tokens_signed_with_a_short_secret(production):
    material = base64.b64encode(b"short").decode()
    key = {"kid": "a", "algorithm": "HS256", "material": material, "signs_from": 0}
    production.JWT_KEY_FILE.write_text(json.dumps({"keys": [key]}))
    production.JWT_KEY_FILE.chmod(0o600)
    assert found() == ["kubenova.E005"]


def test_it_never_quotes_a_key(production):
    production.SECRET_KEY = "hunter2"
    production.JWT_KEY_FILE.write_text('{"keys": "hunter2"}')
    production.JWT_KEY_FILE.chmod(0o600)
    messages = [*checks.check_production(), *checks.check_key_files()]
    assert len(messages) == 2
    assert "hunter2" not in str(messages)


@pytest.mark.parametrize("role", ["web", "worker"])
def test_a_role_does_not_start(role, tmp_path):
    unsafe = {
        "KUBENOVA_PRODUCTION": "1",
        "DEBUG": "1",
        "SECRET_KEY": "changeme",
        "ALLOWED_HOSTS": "*",
        "KUBENOVA_STATE": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "kubenova.settings",
    }
    done = subprocess.run(
        [sys.executable, "-m", "django", role],
        env=os.environ | unsafe,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    for id in ("kubenova.E001", "kubenova.E002", "kubenova.E004"):
        assert id in done.stderr
