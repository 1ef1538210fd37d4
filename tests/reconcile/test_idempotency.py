"""Idempotency records: claimed once, answered from, taken over, expired (A34)."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from reconcile.models import IdempotencyRecord
from reconcile.refusals import InProgress, KeyReused
from tests.people import alice, bob

__all__ = ["alice", "bob"]
pytestmark = pytest.mark.django_db
NOW = timezone.now()


def claim(user, key="k", route="POST /a", body="b" * 32):
    return IdempotencyRecord.objects.claim(user_id=user.pk, route=route, key=key, body_hash=body)


def at(**later):
    return time_machine.travel(NOW + timedelta(**later), tick=False)


def test_the_first_claim_is_ours_to_run(alice):
    assert not claim(alice).done


def test_a_claim_of_what_is_running_is_refused_with_retry_after(alice):
    claim(alice)
    with pytest.raises(InProgress) as refused:
        claim(alice)
    assert refused.value.headers == {"Retry-After": "1"}


def test_a_claim_of_what_was_answered_holds_the_answer(alice):
    claim(alice).finish(202, {"ETag": '"1"'}, {"a": 1})
    again = claim(alice)
    assert again.done
    assert (again.status, again.headers, again.body) == (202, {"ETag": '"1"'}, {"a": 1})


def test_another_body_is_refused_whether_answered_or_not(alice):
    record = claim(alice)
    for _ in range(2):
        with pytest.raises(KeyReused):
            claim(alice, body="c" * 32)
        record.finish(200, {}, None)


def test_a34_a_key_is_its_user_s_and_its_route_s_alone(alice, bob):
    claim(alice).finish(200, {}, {"secret": "of alice"})
    assert not claim(bob).done
    assert not claim(alice, route="POST /b").done
    assert not claim(alice, key="K").done


def test_a_failed_request_frees_its_key(alice):
    claim(alice).release()
    assert not claim(alice, body="c" * 32).done


def test_a_key_lives_for_a_day(alice):
    with at():
        claim(alice).finish(200, {}, None)
    with at(hours=23):
        assert claim(alice).done
    with at(hours=25):
        assert not claim(alice, body="c" * 32).done


def test_the_key_of_a_dead_process_is_taken_over_by_one(alice):
    with at():
        claim(alice)
    with at(seconds=60), pytest.raises(InProgress):
        claim(alice)
    with at(seconds=100):
        assert not claim(alice).done
        with pytest.raises(InProgress):
            claim(alice)


def test_expired_records_can_be_swept(alice):
    with at():
        claim(alice)
        claim(alice, key="other")
    with at(hours=25):
        claim(alice, key="young")
        assert IdempotencyRecord.objects.expired().count() == 2


def test_a_record_goes_with_its_user(alice):
    claim(alice)
    alice.delete()
    assert not IdempotencyRecord.objects.exists()
