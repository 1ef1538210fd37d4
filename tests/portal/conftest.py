"""Browsers of the people around acme, whose shop runs on one cluster."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.delivery.conftest import acme, deployed, people, prod, shop, site
from tests.fleet import fleet
from tests.people import make_globex, quick_passwords

__all__ = ["acme", "deployed", "fleet", "people", "prod", "quick_passwords", "shop", "site"]

As = Callable[[str], Client]


@pytest.fixture
def as_(people: dict[str, User]) -> As:
    """The browser of somebody who has signed in."""

    def sign_in(name: str) -> Client:
        client = Client()
        client.force_login(people[name], backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


@pytest.fixture
def globex(people: dict[str, User]) -> None:
    """charlie's tenant."""
    make_globex()
