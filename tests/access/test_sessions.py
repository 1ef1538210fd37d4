"""Token sessions: a refresh token is good for one use, a session ends for all of its tokens."""

from datetime import timedelta

import jwt
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import TokenSession
from access.models.session import LONGEST, Pair

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def refresh(client):
    def exchange(token: str):
        return client.post("/api/v1/token/refresh", {"refresh": token})

    return exchange


def later(**time):
    return time_machine.travel(NOW + timedelta(**time), tick=False)


@pytest.fixture
def pair(alice):
    with later():
        return TokenSession.open(alice)


def test_it_exchanges_a_refresh_token_for_the_next_pair(refresh, me, pair):
    with later(minutes=5):
        answer = refresh(pair.refresh)
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"
        body = answer.json()
        assert set(body) == {"access", "refresh", "token_type", "expires_in"}
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
        assert me(body["access"]).json()["username"] == "alice"
        assert me(pair.access).status_code == 200, "the earlier access token lives on"


def test_a_second_use_soon_is_refused_and_ends_nothing(refresh, me, pair):
    with later(seconds=1):
        fresh = refresh(pair.refresh).json()
    with later(seconds=5):
        assert refresh(pair.refresh).status_code == 401
        assert me(fresh["access"]).status_code == 200


def test_a_second_use_later_ends_the_session_for_both(refresh, me, pair):
    with later(minutes=1):
        fresh = refresh(pair.refresh).json()
    with later(minutes=3):
        assert refresh(pair.refresh).status_code == 401
        assert me(fresh["access"]).status_code == 401
        assert refresh(fresh["refresh"]).status_code == 401


def test_a_token_of_two_refreshes_ago_ends_the_session_at_once(refresh, pair):
    with later(seconds=1):
        second = refresh(pair.refresh).json()["refresh"]
        third = refresh(second).json()["refresh"]
        assert refresh(pair.refresh).status_code == 401
        assert refresh(third).status_code == 401


def test_an_access_token_lives_fifteen_minutes(me, pair):
    with later(minutes=14):
        assert me(pair.access).status_code == 200
    with later(minutes=16):
        assert me(pair.access).status_code == 401


def test_an_unused_refresh_token_lives_a_week(refresh, pair):
    with later(days=6):
        assert refresh(pair.refresh).status_code == 200
    with later(days=14):
        assert refresh(pair.refresh).status_code == 401


def test_a_session_ends_after_thirty_days_however_often_it_is_refreshed(refresh, pair):
    token = pair.refresh
    for day in range(6, 31, 6):
        with later(days=day, seconds=-60):
            token = refresh(token).json()["refresh"]
    assert jwt.decode(token, options={"verify_signature": False})["exp"] <= int(
        (NOW + LONGEST).timestamp()
    )
    with later(days=30, seconds=60):
        assert refresh(token).status_code == 401


def test_revoking_ends_every_token_of_the_session_at_once(client, refresh, me, pair):
    with later(minutes=1):
        assert client.post("/api/v1/token/revoke", {"refresh": pair.refresh}).status_code == 204
        assert me(pair.access).status_code == 401
        assert refresh(pair.refresh).status_code == 401


def test_revoking_leaves_other_sessions_alone(client, me, alice, pair):
    with later():
        other = TokenSession.open(alice)
        client.post("/api/v1/token/revoke", {"refresh": pair.refresh})
        assert me(other.access).status_code == 200


@pytest.mark.parametrize("raw", ["", "a.b.c", "x" * 9000, "ü"])
def test_revoking_what_is_no_token_tells_nothing(client, raw):
    answer = client.post("/api/v1/token/revoke", {"refresh": raw})
    assert answer.status_code in {204, 400}


def test_revoking_with_an_access_token_ends_nothing(client, me, pair):
    with later():
        assert client.post("/api/v1/token/revoke", {"refresh": pair.access}).status_code == 204
        assert me(pair.access).status_code == 200


def test_no_token_is_stored(pair: Pair):
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM access_tokensession")
        stored = str(cursor.fetchall())
    for token in (pair.access, pair.refresh):
        assert token not in stored and token.rpartition(".")[2] not in stored


def test_a_request_costs_one_query_for_user_and_session(me, pair):
    with (
        later(),
        CaptureQueriesContext(
            connection,
        ) as queries,
    ):
        me(pair.access)
    assert len(queries) == 2  # one more for the roles that this answer tells
    assert "access_tokensession" in queries[0]["sql"] and "auth_user" in queries[0]["sql"]


def test_signing_in_sweeps_out_ended_sessions_of_the_same_user(alice, olga, pair):
    with later(days=20):
        TokenSession.open(olga)
        assert TokenSession.objects.count() == 2
        TokenSession.open(alice)
        assert TokenSession.objects.count() == 2


def test_the_database_picks_one_winner_of_two_uses(alice, pair):
    """Both have read the session before either writes: the conditional UPDATE decides."""
    with later(minutes=1):
        token = jwt.decode(pair.refresh, options={"verify_signature": False})
        rows = TokenSession.objects.live().filter(refresh_jti=token["jti"])
        assert [rows.update(refresh_jti="a"), rows.update(refresh_jti="b")] == [1, 0]
