"""Every test of the vault has a key file of its own, not made yet."""

import pytest

from tests.vault.models import Locker
from vault.keys import key_file


@pytest.fixture(autouse=True)
def keys(settings, tmp_path):
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    return key_file()


@pytest.fixture
def lockers(db):
    """Ten saved rows; each holds "secret 0" … "secret 9"."""
    return [Locker.objects.create(name=f"{n}", secret=f"secret {n}") for n in range(10)]
