"""The same people in every test, and their tenants.

alice is the admin of acme, bob its developer, carol may only read it; charlie is the admin of
globex and a stranger to acme; olga is the operator.
"""

import pytest
from django.contrib.auth.models import User

from tenancy.intents import Role
from tenancy.models import Tenant

PASSWORD = "correct horse battery staple"
TEAM = {"alice": Role.ADMIN, "bob": Role.DEV, "carol": Role.READ_ONLY}


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Passwords are hashed as fast as may be."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def person(name: str, **columns: object) -> User:
    """A user with `PASSWORD`, made at the first call."""
    user = User.objects.filter(username=name).first()
    return user or User.objects.create_user(name, f"{name}@example.org", PASSWORD, **columns)


@pytest.fixture
def alice(db) -> User:
    """The tenant admin of acme."""
    return person("alice")


@pytest.fixture
def bob(db) -> User:
    """A developer of acme."""
    return person("bob")


@pytest.fixture
def carol(db) -> User:
    """May read acme."""
    return person("carol")


@pytest.fixture
def charlie(db) -> User:
    """The tenant admin of globex, a stranger to acme."""
    return person("charlie")


@pytest.fixture
def olga(db) -> User:
    """The operator."""
    return person("olga", is_staff=True, is_superuser=True)


def make_acme(**columns: object) -> Tenant:
    """Declare the tenant acme, as olga does, with its team."""
    tenant = Tenant(name="acme", **columns)
    tenant.declare(by="olga")
    for name, role in TEAM.items():
        tenant.admit(person(name), role, by="olga")
    return tenant


def make_globex(**columns: object) -> Tenant:
    """Declare the tenant globex, as olga does, with charlie as its admin."""
    tenant = Tenant(name="globex", **columns)
    tenant.declare(by="olga")
    tenant.admit(person("charlie"), Role.ADMIN, by="olga")
    return tenant


@pytest.fixture
def acme(db) -> Tenant:
    """The tenant acme, not placed on any cluster."""
    return make_acme()


@pytest.fixture
def globex(db) -> Tenant:
    """The tenant globex, not placed on any cluster."""
    return make_globex()
