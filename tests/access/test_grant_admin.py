"""The operators' admin of grants and of the audit log, and the checks of their settings."""

import pytest
from django.core.checks import run_checks
from django.test import Client
from django.urls import reverse

from access.models import AuditRecord, GrantPlacement, KubeconfigGrant, TokenSession
from tests.access.grants import (
    ISSUE,
    acme,
    alices,
    as_,
    clusters,
    door,
    grant_of,
    kubeconfig_of,
    tokens_of,
)

__all__ = ["acme", "alices", "as_", "clusters", "door"]


@pytest.fixture
def as_olga(olga) -> Client:
    """Her browser."""
    browser = Client()
    browser.force_login(olga)
    return browser


def test_it_shows_grants_and_records_and_no_token(alices, as_olga):
    answer = alices.post(ISSUE)
    token = next(iter(tokens_of(kubeconfig_of(answer)).values()))
    for model in (KubeconfigGrant, GrantPlacement, AuditRecord):
        name = f"admin:access_{model._meta.model_name}"
        row = model.objects.first()
        listed = as_olga.get(reverse(f"{name}_changelist"))
        shown = as_olga.get(reverse(f"{name}_change", args=[row.pk]))
        assert (listed.status_code, shown.status_code) == (200, 200)
        assert b'name="_save"' not in shown.content
        assert token.encode() not in listed.content + shown.content


def test_an_operator_revokes(alices, as_olga):
    grant = grant_of(alices.post(ISSUE))
    data = {"action": "revoke", "_selected_action": [grant.pk]}
    as_olga.post(reverse("admin:access_kubeconfiggrant_changelist"), data)
    grant.refresh_from_db()
    assert (grant.state, grant.revoked_by) == ("Revoked", "olga")


def test_an_operator_sees_sessions_without_their_tokens_and_ends_them(alice, as_olga, client):
    pair = TokenSession.open(alice)
    kept = TokenSession.objects.get()
    path = reverse("admin:access_tokensession_changelist")
    shown = as_olga.get(reverse("admin:access_tokensession_change", args=[kept.pk]))
    assert b"alice" in as_olga.get(path).content
    for secret in (pair.access, pair.refresh, kept.stamp, kept.refresh_jti):
        assert secret.encode() not in shown.content + as_olga.get(path).content
    assert b'name="_save"' not in shown.content
    data = {"action": "revoke", "_selected_action": [kept.pk]}
    assert "1 have ended" in as_olga.post(path, data, follow=True).content.decode()
    assert "0 have ended" in as_olga.post(path, data, follow=True).content.decode()
    header = {"HTTP_AUTHORIZATION": f"Bearer {pair.access}"}
    assert client.get("/api/v1/me", **header).status_code == 401


WRONG = {
    "a default beyond the bounds": ({"GRANT_DEFAULT_SECONDS": 60}, "access.E002"),
    "bounds that are crossed": (
        {"GRANT_MIN_SECONDS": 9000, "GRANT_MAX_SECONDS": 800},
        "access.E002",
    ),
    "plain HTTP": ({"PROXY_URL": "http://proxy.example.org"}, "access.E003"),
    "no host": ({"PROXY_URL": "https://"}, "access.E003"),
    "a path": ({"PROXY_URL": "https://proxy.example.org/kubenova"}, "access.E003"),
    "a certificate without its CA": ({"PROXY_CERT_FILE": "/x.pem"}, "access.E004"),
    "a CA alone": ({"PROXY_CA_FILE": "/ca.pem"}, "access.E004"),
}


@pytest.mark.parametrize(("columns", "problem"), WRONG.values(), ids=WRONG.keys())
def test_a40_wrong_settings_are_refused(settings, columns, problem):
    for name, value in columns.items():
        setattr(settings, name, value)
    assert problem in {found.id for found in run_checks()}


def test_a40_an_exposed_key_is_refused(settings, tmp_path):
    key = tmp_path / "key.pem"
    key.write_text("x")
    key.chmod(0o644)
    settings.PROXY_CERT_FILE = settings.PROXY_CA_FILE = settings.PROXY_KEY_FILE = str(key)
    assert "access.E005" in {found.id for found in run_checks()}
    key.chmod(0o600)
    assert not [found for found in run_checks() if found.id and found.id.startswith("access")]
