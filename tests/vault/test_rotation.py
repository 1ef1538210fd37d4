"""Rotation: every secret readable at all times, and any end is a point to go on from."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import time_machine

from tests.vault.columns import DyingKeyFile, column, overwrite, payloads, secrets
from tests.vault.models import Locker
from vault import rotation
from vault.errors import KeyStillNeeded, RotationIncomplete
from vault.keys import KeyFile
from vault.rotation import prune, references, rewrap_all, rotate
from vault.tasks import SCHEDULES, rotate_if_due

SECRETS = [f"secret {n}" for n in range(10)]


def silent(column: str, done: int) -> None:
    """Report to nobody."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(rotation, "BATCH", 3)


def test_it_brings_every_value_under_a_new_key(lockers, keys):
    old, before = keys.active_id(), payloads()

    outcome = rotate(keys, silent)

    assert outcome.rewrapped == 10 and outcome.failures == ()
    assert references() == {keys.active_id(): 10} and keys.active_id() != old
    assert secrets() == SECRETS
    assert payloads() == before


def test_it_reports_its_progress(lockers, keys):
    seen = []
    rotate(keys, lambda name, done: seen.append((name, done)))

    assert seen == [("vault_tests_locker.secret", done) for done in (3, 6, 9, 10)]


def test_it_covers_every_column(lockers, keys):
    Locker.objects.create(secret="one", spare="two")
    rotate(keys, silent)

    assert references() == {keys.active_id(): 12}


def test_it_makes_a_key_even_when_nothing_is_sealed(db, keys):
    keys.make()
    rotate(keys, silent)

    assert len(keys.ring().keys) == 2


@pytest.mark.parametrize("lives", range(10))
def test_it_goes_on_where_it_was_killed(lockers, keys, lives):
    with pytest.raises(KeyboardInterrupt):
        rotate(DyingKeyFile(keys.path, lives), silent)
    assert secrets() == SECRETS
    assert references()[keys.active_id()] == lives // 3 * 3, "whole batches were kept"

    outcome = rotate(keys, silent)

    assert len(keys.ring().keys) == 2, "the rotation under way got no second key"
    assert outcome.rewrapped == 10 - lives // 3 * 3
    assert references() == {keys.active_id(): 10}
    assert secrets() == SECRETS


def test_it_survives_being_killed_again_and_again(lockers, keys):
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            rotate(DyingKeyFile(keys.path, 3), silent)
    rotate(keys, silent)

    assert len(keys.ring().keys) == 2 and references() == {keys.active_id(): 10}


def test_it_rotates_anew_once_it_has_ended(lockers, keys):
    for _ in range(3):
        rotate(keys, silent)

    assert len(keys.ring().keys) == 4 and secrets() == SECRETS


def test_readers_read_at_every_step(lockers, keys):
    reads = []

    def read(name: str, done: int) -> None:
        reads.append(secrets())

    rotate(keys, read)

    assert len(reads) == 4 and all(read == SECRETS for read in reads)


def test_a_row_loaded_before_the_rotation_still_opens_and_saves(lockers, keys):
    row = Locker.objects.first()
    rotate(keys, silent)

    assert row.secret.reveal() == "secret 0"
    row.save()
    assert references() == {keys.active_id(): 10}


def test_a_row_that_brought_its_secret_saves_it_under_the_new_key(lockers, keys):
    rotate(keys, silent)
    lockers[0].save()

    assert references() == {keys.active_id(): 10}
    assert secrets() == SECRETS


class InterruptedKeyFile(KeyFile):
    """The real key file; `meanwhile` happens between reading a batch and writing it."""

    def __init__(self, path, meanwhile):
        super().__init__(path)
        self.meanwhile = meanwhile

    def wrap(self, data_key, associated):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return super().wrap(data_key, associated)


def write_anew(row: Locker) -> None:
    row.secret = "written meanwhile"
    row.save()


@pytest.mark.parametrize(
    ("meanwhile", "left"),
    [
        pytest.param(write_anew, ["written meanwhile", *SECRETS[1:]], id="written anew"),
        pytest.param(Locker.delete, SECRETS[1:], id="deleted"),
        pytest.param(
            lambda row: Locker.objects.filter(pk=row.pk).update(secret=None), None, id="cleared"
        ),
    ],
)
def test_what_happens_meanwhile_wins(lockers, keys, meanwhile, left):
    row = Locker.objects.first()

    rotate(InterruptedKeyFile(keys.path, partial(meanwhile, row)), silent)

    if left:
        assert secrets() == left
    assert references().keys() == {keys.active_id()}


def test_two_rotations_at_once_end_with_one_new_key(lockers, keys):
    other = partial(rotate, KeyFile(keys.path), silent)
    rotate(InterruptedKeyFile(keys.path, other), silent)

    assert references() == {keys.active_id(): 10} and secrets() == SECRETS
    assert len(keys.ring().keys) == 2


def test_a_value_that_does_not_open_is_named_and_holds_nothing_up(lockers, keys):
    overwrite(lockers[4], column(lockers[5]))

    with pytest.raises(RotationIncomplete, match=str(lockers[4].uid)):
        rotate(keys, silent)

    assert references()[keys.active_id()] == 9
    with pytest.raises(RotationIncomplete):
        rotate(keys, silent)
    assert len(keys.ring().keys) == 3, "one broken row does not end all rotation"


def test_a_value_that_is_not_sealed_is_never_touched(lockers, keys):
    overwrite(lockers[4], "plain text")

    with pytest.raises(RotationIncomplete, match="not a sealed value"):
        rotate(keys, silent)
    assert column(lockers[4]) == "plain text"


# --- Pruning.


def test_it_prunes_what_seals_nothing(lockers, keys):
    old = keys.active_id()
    rotate(keys, silent)

    assert prune(keys, grace=timedelta(0)) == [old]
    assert [key.id for key in keys.ring().keys] == [keys.active_id()]
    assert secrets() == SECRETS
    assert prune(keys) == []


def test_it_refuses_to_drop_a_key_that_seals_one_value(lockers, keys):
    old = keys.active_id()
    with pytest.raises(KeyboardInterrupt):
        rotate(DyingKeyFile(keys.path, 9), silent)

    with pytest.raises(KeyStillNeeded, match=rf"{old} \(1 values\)"):
        prune(keys, grace=timedelta(0))
    assert len(keys.ring().keys) == 2 and secrets() == SECRETS


def test_it_waits_for_writes_that_may_be_under_way(lockers, keys):
    rotate(keys, silent)

    with pytest.raises(KeyStillNeeded, match="too new"):
        prune(keys)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=11)):
        assert len(prune(keys)) == 1


# --- The schedule.


def test_it_is_scheduled():
    assert SCHEDULES == [("vault.tasks.rotate_if_due", 60)]


@pytest.mark.parametrize(
    ("age_days", "setting", "keys_after"),
    [(0, 90, 1), (89, 90, 1), (90, 90, 2), (400, 90, 2), (400, 0, 1), (1, 1, 2)],
)
def test_it_rotates_when_due(lockers, keys, settings, age_days, setting, keys_after):
    settings.VAULT_ROTATE_DAYS = setting

    with time_machine.travel(datetime.now(UTC) + timedelta(days=age_days, minutes=1)):
        rotate_if_due()

    assert len(keys.ring().keys) == keys_after
    assert secrets() == SECRETS


def test_it_finishes_what_was_begun_before_it_is_due_again(lockers, keys):
    keys.add_key(after=keys.active_id())

    assert rotate_if_due() == "10 values rewrapped"
    assert references() == {keys.active_id(): 10} and len(keys.ring().keys) == 2


def test_the_queue_records_what_could_not_be_finished(lockers, keys):
    keys.add_key(after=keys.active_id())
    overwrite(lockers[4], "plain text")

    with pytest.raises(RotationIncomplete, match=str(lockers[4].uid)):
        rotate_if_due()
    assert references()[keys.active_id()] == 9


def test_it_has_nothing_to_do_before_the_first_secret(db, keys):
    assert rotate_if_due() == "nothing is sealed yet"
    assert not keys.exists()


def test_rewrapping_twice_changes_nothing(lockers, keys):
    rotate(keys, silent)
    before = [column(row) for row in lockers]

    assert rewrap_all(keys, silent).found == 0
    assert [column(row) for row in lockers] == before
