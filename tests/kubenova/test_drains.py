"""A slot has one drain at a time, and the keeper sees to it that it has one."""

import subprocess
import sys
import time

import pytest
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from kubenova import drains
from kubenova.drains import Keeper, Slot, drain_in_slot
from tests.kubenova.roles import ROOT, environment

QUEUE = "kubenova@test:1"
HOLD = """
import sys, time
from pathlib import Path
from kubenova.drains import Slot
with Slot(Path(sys.argv[1])).held(0, 60) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def slot(tmp_path):
    return Slot(tmp_path / "slot-0")


@pytest.fixture
def holder(slot, monkeypatch):
    """Another process that holds the slot."""
    code = f"import django; django.setup()\n{HOLD}"
    process = subprocess.Popen(
        [sys.executable, "-c", code, slot.path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_free_slot_is_held_by_nobody(slot):
    assert slot.held_for() is None


def test_one_drain_holds_a_slot(slot):
    with slot.held(0, 60) as mine, slot.held(0, 60) as second:
        assert (mine, second) == (True, False)
        assert slot.held_for() < 5
    assert slot.held_for() is None


def test_a_slot_is_free_as_soon_as_its_holder_is_killed(slot, holder):
    assert slot.held_for() is not None
    holder.kill()
    holder.wait()
    assert slot.held_for() is None


def test_a_successor_waits_for_the_end(slot):
    with slot.held(0, 0.3), slot.held(5, 60) as successor:
        assert successor


def test_what_still_runs_does_not_keep_the_slot(slot):
    with slot.held(0, 0.05):
        time.sleep(0.3)
        assert slot.held_for() is None


def test_a_drain_runs_in_its_slot(slot, db, settings):
    settings.DRAIN_SECONDS = 0
    assert drain_in_slot(str(slot.path)) == 0
    assert slot.path.exists()


def test_a_message_delivered_twice_does_nothing(slot, monkeypatch):
    monkeypatch.setattr(drains, "AHEAD_SECONDS", 0)
    monkeypatch.setattr(drains, "PATIENCE_SECONDS", 0)
    with slot.held(0, 60):
        assert drain_in_slot(str(slot.path)) == 0


def test_a_message_of_a_role_that_is_gone_does_nothing(tmp_path):
    assert drain_in_slot(str(tmp_path / "gone" / "slot-0")) == 0
    assert not (tmp_path / "gone").exists()


@pytest.fixture
def keeper(slot, tmp_path, db):
    return Keeper([slot, Slot(tmp_path / "slot-1")], QUEUE)


def asked():
    messages = OrmQ.objects.filter(key=QUEUE)
    return [SignedPackage.loads(message.payload) for message in messages]


def test_it_asks_for_a_drain_of_every_slot(keeper, slot):
    assert keeper.look() == 2
    [first, second] = asked()
    assert first["func"] == "kubenova.drains.drain_in_slot"
    assert first["args"] == (str(slot.path),)
    assert first["timeout"] < Conf.RETRY / 2
    assert second["args"] != first["args"]


def test_it_does_not_ask_again_while_messages_wait(keeper, monkeypatch):
    monkeypatch.setattr(drains, "PATIENCE_SECONDS", 0)
    assert [keeper.look() for _ in range(5)] == [2, 0, 0, 0, 0]
    assert len(asked()) == 2


def test_it_is_patient_with_what_was_picked_up(keeper):
    keeper.look()
    OrmQ.objects.all().delete()
    assert keeper.look() == 0


def test_it_asks_again_when_nobody_came(keeper, monkeypatch):
    keeper.look()
    OrmQ.objects.all().delete()
    monkeypatch.setattr(drains, "PATIENCE_SECONDS", 0)
    assert keeper.look() == 2


def test_it_leaves_a_slot_alone_that_has_a_drain(keeper, slot):
    with slot.held(0, 60):
        assert keeper.look() == 1


def test_it_asks_for_a_successor_before_the_end(keeper, slot, settings):
    settings.DRAIN_SECONDS = 1  # less than AHEAD_SECONDS: always about to end
    with slot.held(0, 60):
        assert keeper.look() == 2


def test_it_replaces_a_killed_drain(keeper, slot, holder):
    assert keeper.look() == 1
    OrmQ.objects.all().delete()
    holder.kill()
    holder.wait()
    assert keeper.look() == 1
    assert asked()[0]["args"] == (str(slot.path),)


@pytest.mark.parametrize(("queue", "said"), [(QUEUE, "True True"), ("", "False False")])
def test_a_queue_forks_processes_that_have_nothing_left_to_load(queue, said, tmp_path):
    """Else what replaces a killed drain would come a second later; other commands start fast."""
    code = (
        "import gc, sys, django; django.setup();"
        "print('kubernetes.client.rest' in sys.modules, gc.get_freeze_count() > 100_000)"
    )
    ready = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path, KUBENOVA_LOCAL_QUEUE=queue),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ready.stdout.strip() == said
