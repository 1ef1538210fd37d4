"""`manage.py vault` and the check of the key file."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from tests.vault.columns import DyingKeyFile, overwrite, secrets
from tests.vault.models import Locker
from vault.checks import check_key_file
from vault.rotation import references, rotate


def vault(verb: str) -> str:
    """Return what the command prints."""
    out = StringIO()
    call_command("vault", verb, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["status", "rotate", "prune"])
def test_it_says_that_nothing_is_sealed_yet(keys, verb):
    assert "Nothing is sealed yet" in vault(verb)
    assert not keys.exists()


@pytest.mark.parametrize("verb", ["status", "rotate", "prune"])
def test_it_says_that_the_key_file_is_lost(lockers, keys, verb):
    keys.path.unlink()

    with pytest.raises(CommandError, match=r"10 values are sealed, but .* absent: restore"):
        vault(verb)
    assert not keys.exists()


def test_it_shows_each_key_and_what_it_seals(lockers, keys):
    old = keys.active_id()
    keys.add_key(after=old)
    shown = vault("status")

    assert f"{old}  old " in shown and "10 values" in shown
    assert f"{keys.active_id()}  active" in shown and "0 values" in shown
    assert "Next rotation" in shown


def test_it_tells_values_that_no_key_opens(lockers, keys):
    keys.path.unlink()
    keys.make()

    with pytest.raises(CommandError, match="10 values are sealed under keys that are not in"):
        vault("status")


def test_it_rotates_and_prunes(lockers, keys):
    shown = vault("rotate")
    assert f"Rotated to key {keys.active_id()}: 10 values rewrapped." in shown
    assert "vault_tests_locker.secret  10" in shown

    with pytest.raises(CommandError, match="too new"):
        vault("prune")
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=11)):
        assert "Dropped" in vault("prune")
        assert "no old key" in vault("prune")
    assert references() == {keys.active_id(): 10}


def test_it_says_when_it_finished_an_older_rotation(lockers, keys):
    with pytest.raises(KeyboardInterrupt):
        rotate(DyingKeyFile(keys.path, 4), lambda name, done: None)

    assert f"Finished the rotation to key {keys.active_id()}" in vault("rotate")
    assert len(keys.ring().keys) == 2


def test_it_names_what_could_not_be_rotated(lockers):
    overwrite(lockers[0], "plain text")

    with pytest.raises(CommandError, match=str(lockers[0].uid)):
        vault("rotate")


def test_it_says_that_the_key_file_cannot_be_written(lockers, keys):
    lock = keys.path.with_name(f"{keys.path.name}.lock")
    lock.mkdir()

    with pytest.raises(CommandError, match="cannot be written"):
        vault("rotate")
    assert secrets()[0] == "secret 0" and Locker.objects.count() == 10


def test_the_check_passes_before_and_after_the_first_use(keys):
    assert check_key_file() == []
    keys.make()
    assert check_key_file() == []


@pytest.mark.parametrize(
    ("content", "mode"), [(None, 0o644), (b"{}", 0o600)], ids=["exposed", "unsound"]
)
def test_the_check_refuses_a_bad_key_file(keys, content, mode):
    keys.make()
    if content is not None:
        keys.path.write_bytes(content)
    keys.path.chmod(mode)

    assert [problem.id for problem in check_key_file()] == ["vault.E001"]
