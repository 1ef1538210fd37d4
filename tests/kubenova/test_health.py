"""Probes tell what is missing, to anybody, whatever name they use for us."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from kubenova import health
from reconcile.models import Work


@pytest.fixture(autouse=True)
def key_files(settings, tmp_path):
    settings.VAULT_KEY_FILE, settings.JWT_KEY_FILE = tmp_path / "vault", tmp_path / "token"
    health._migrations.cache_clear()
    yield
    health._migrations.cache_clear()


@pytest.fixture
def away(monkeypatch):
    """A database that does not answer."""

    def refuse(*args, **kwargs):
        raise OperationalError("connection to postgres://kn:pw@db refused")

    with monkeypatch.context() as patch:
        for name in ("ensure_connection", "cursor", "connect"):
            patch.setattr(connection, name, refuse)
        yield


def due(seconds):
    """Work that has been due for so long."""
    at = timezone.now() - timedelta(seconds=seconds)
    return Work.objects.create(kind="tenancy.tenant", object_id=1, owner="t-1", due_at=at)


def findings(client):
    response = client.get("/readyz")
    return response.status_code, response.json()["checks"]


def test_healthz_answers_without_a_database(client, away):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


def test_readyz_is_ready(client, db):
    assert findings(client) == (
        200,
        {"database": "ok", "migrations": "ok", "queue": "ok", "keys": "ok"},
    )


def test_probes_need_no_allowed_host(client, db):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200


def test_probes_go_before_the_redirect_to_https(client, db, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/readyz").status_code == 200


def test_readyz_names_a_database_that_is_away(client, db, away):
    status, checks = findings(client)
    assert status == 503
    assert checks["database"] == "does not answer"
    assert "pw" not in str(checks)


def test_readyz_names_missing_migrations_until_they_are_applied(client, db):
    MigrationRecorder.Migration.objects.filter(app="sessions").delete()
    assert findings(client) == (503, findings(client)[1] | {"migrations": "1 not applied"})
    MigrationRecorder(connection).record_applied("sessions", "0001_initial")
    assert findings(client)[0] == 200


@pytest.mark.parametrize(("seconds", "status"), [(60, 200), (180, 503)])
def test_readyz_names_work_that_nobody_does(client, db, seconds, status):
    due(seconds)
    assert findings(client)[0] == status


def test_work_that_was_set_aside_does_not_count(client, db):
    Work.objects.filter(pk=due(900).pk).update(quarantined_at=timezone.now())
    assert findings(client)[0] == 200


def test_readyz_names_a_key_file_that_others_can_read(client, db, settings):
    settings.VAULT_KEY_FILE.write_text("{}")
    settings.VAULT_KEY_FILE.chmod(0o644)
    status, checks = findings(client)
    assert status == 503
    assert "vault" in checks["keys"]
    settings.VAULT_KEY_FILE.chmod(0o600)
    assert findings(client)[0] == 200
