"""Clients that speak for people; bodies as machines send them."""

import pytest
from rest_framework.test import APIClient

from tests.people import acme, alice, bob, carol, charlie, globex, olga, quick_passwords

__all__ = ["acme", "alice", "bob", "carol", "charlie", "globex", "olga", "quick_passwords"]


def signed_in(user) -> APIClient:
    """A client whose requests are the user's."""
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(user)
    return client


@pytest.fixture
def as_olga(olga) -> APIClient:
    return signed_in(olga)


@pytest.fixture
def as_alice(acme, alice) -> APIClient:
    return signed_in(alice)


@pytest.fixture
def as_bob(acme, bob) -> APIClient:
    return signed_in(bob)


@pytest.fixture
def as_carol(acme, carol) -> APIClient:
    return signed_in(carol)


@pytest.fixture
def as_charlie(globex, charlie) -> APIClient:
    return signed_in(charlie)


@pytest.fixture
def nobody() -> APIClient:
    return APIClient(raise_request_exception=False)


def problem(answer, status: int, code: str) -> dict:
    """Assert that the answer is this problem and return its document."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert {"type", "title", "status", "code", "detail", "errors", "correlation_id"} <= set(body)
    return body


def pointers(body: dict) -> list[str]:
    """Where the errors of a problem point."""
    return [each["pointer"] for each in body["errors"]]
