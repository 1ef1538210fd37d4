"""What runs by the clock: keys rotate before they are old, ended sessions go."""

import time
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from access.keys import key_ring
from access.models import TokenSession
from access.tasks import SCHEDULES, rotate_if_due, sweep_sessions
from kubenova.schedules import wanted

NOW = timezone.now()


def after(**time_passed):
    return time_machine.travel(NOW + timedelta(**time_passed), tick=False)


def test_the_worker_runs_them():
    assert set(SCHEDULES) <= set(wanted().items())


def test_a_key_rotates_when_it_is_old_and_goes_when_nothing_needs_it(rsa_key):
    with after(days=80):
        rotate_if_due()
        assert key_ring().of("RS256") == (rsa_key,)
    with after(days=91):
        rotate_if_due()
        new, old = key_ring().of("RS256")
        assert old == rsa_key and key_ring().signer("RS256", time.time()) == old
        rotate_if_due()
        assert len(key_ring().of("RS256")) == 2, "one rotation at a time"
    with after(days=120):
        rotate_if_due()
        assert len(key_ring().of("RS256")) == 2, "a session of 30 days may still hold a token"
    with after(days=122):
        assert rotate_if_due() == "1 keys dropped"
        assert key_ring().of("RS256") == (new,)


def test_rotation_can_be_left_to_people(settings, rsa_key):
    settings.JWT_ROTATE_DAYS = 0
    with after(days=1000):
        assert rotate_if_due() == "rotation is by hand"
    assert key_ring().of("RS256") == (rsa_key,)


@pytest.mark.django_db
def test_ended_sessions_go_and_living_ones_stay(alice):
    with after():
        TokenSession.open(alice)
    with after(days=5):
        assert sweep_sessions() == 0
    with after(days=9):
        assert sweep_sessions() == 1
