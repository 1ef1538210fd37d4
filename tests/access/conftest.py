"""People with passwords, a key ring made once, and clients that carry tokens."""

import time

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from access.keys import KeyRing, SigningKey
from access.models.session import Pair, TokenSession
from tests.people import alice, olga, quick_passwords

__all__ = ["alice", "olga", "quick_passwords"]


@pytest.fixture(scope="session")
def rsa_key():
    return SigningKey.make("RS256", int(time.time()) - 3600)


@pytest.fixture(scope="session")
def other_rsa_key():
    return SigningKey.make("RS256", int(time.time()) - 7200)


@pytest.fixture(autouse=True)
def key_file(settings, tmp_path, rsa_key):
    settings.JWT_KEY_FILE = tmp_path / "jwt-keys.json"
    settings.JWT_KEY_FILE.write_bytes(KeyRing((rsa_key,)).dump())
    settings.JWT_KEY_FILE.chmod(0o600)
    cache.clear()
    return settings.JWT_KEY_FILE


@pytest.fixture
def pair(alice) -> Pair:
    return TokenSession.open(alice)


@pytest.fixture
def client():
    return APIClient()


@pytest.fixture
def me(client):
    """Ask who a token belongs to; the status says whether it was accepted."""

    def ask(token: str | bytes, scheme: str = "Bearer"):
        text = token if isinstance(token, str) else token.decode("latin-1")
        return client.get("/api/v1/me", HTTP_AUTHORIZATION=f"{scheme} {text}")

    return ask
