"""Signing in: A28 (enumeration, spraying, spoofed addresses, odd passwords), sessions, CSRF."""

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from access.models import TokenSession
from access.throttles import AccountThrottle, PeerThrottle
from tenancy.intents import Role
from tests.people import PASSWORD, acme, globex

__all__ = ["acme", "globex"]

pytestmark = pytest.mark.django_db


class CountingHasher(MD5PasswordHasher):
    """Counts how often a password is hashed: that is what takes the time."""

    runs = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).runs += 1
        return super().encode(password, salt)


@pytest.fixture
def sign_in(client):
    def post(username="alice", password=PASSWORD, **extra):
        return client.post("/api/v1/token", {"username": username, "password": password}, **extra)

    return post


def test_it_returns_a_pair_for_the_right_password(sign_in, me, alice):
    answer = sign_in()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert me(body["access"]).json() == {
        "username": "alice",
        "email": "alice@example.org",
        "operator": False,
        "tenants": [],
    }
    alice.refresh_from_db()
    assert alice.last_login


def test_a_stale_bearer_header_does_not_stand_in_the_way(client, alice):
    client.credentials(HTTP_AUTHORIZATION="Bearer stale")
    answer = client.post("/api/v1/token", {"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200


def without_ids(answer):
    return answer.json() | {"correlation_id": ""}


def test_a28_every_failure_has_the_same_answer(sign_in, alice):
    User.objects.create_user("disabled", password=PASSWORD, is_active=False)
    User.objects.create_user("nopassword")
    wrong = sign_in(password="wrong")
    assert wrong.status_code == 401 and wrong["WWW-Authenticate"].startswith("Bearer")
    for username in ("nobody", "disabled", "nopassword", "ALICE", "alice ", "' OR 1=1 --"):
        other = sign_in(username)
        assert other.status_code == 401
        assert without_ids(other) == without_ids(wrong)
        assert other["WWW-Authenticate"] == wrong["WWW-Authenticate"]


def test_a28_every_failure_hashes_and_queries_as_often(settings, sign_in, alice):
    settings.PASSWORD_HASHERS = ["tests.access.test_sign_in.CountingHasher"]
    User.objects.create_user("disabled", password=PASSWORD, is_active=False)
    User.objects.create_user("nopassword")
    alice.set_password(PASSWORD)
    alice.save()
    costs = set()
    for username in ("alice", "nobody", "disabled", "nopassword"):
        before = CountingHasher.runs
        with CaptureQueriesContext(connection) as queries:
            assert sign_in(username, "wrong").status_code == 401
        costs.add((CountingHasher.runs - before, len(queries)))
    assert len(costs) == 1, costs


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"username": "alice", "password": "a\x00b"}, "/password", id="NUL"),
        pytest.param({"username": "ali\x00ce", "password": "a"}, "/username", id="NUL in name"),
        pytest.param({"username": "alice", "password": "x" * 1025}, "/password", id="long"),
        pytest.param({"username": "x" * 151, "password": "x"}, "/username", id="long name"),
        pytest.param({"username": "alice", "password": 7}, "/password", id="number"),
        pytest.param({"username": ["alice"], "password": "x"}, "/username", id="list"),
        pytest.param({"username": {"a": 1}, "password": "x"}, "/username", id="object"),
        pytest.param({"username": None, "password": "x"}, "/username", id="null"),
        pytest.param({"username": "alice"}, "/password", id="missing"),
        pytest.param({"username": "alice", "password": ""}, "/password", id="empty"),
        pytest.param({"username": "a", "password": "b", "otp": "1"}, "/otp", id="unknown field"),
    ],
)
def test_a28_odd_credentials_are_a_400_that_points_at_them(client, alice, body, pointer):
    answer = client.post("/api/v1/token", body)
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert "x" * 100 not in answer.content.decode(), "what was sent is not echoed"


def test_a28_a_megabyte_of_password_is_refused_unread(client, alice):
    answer = client.post("/api/v1/token", {"username": "alice", "password": "x" * 1_100_000})
    assert answer.status_code == 413


def test_a28_a_password_is_taken_as_it_is(sign_in):
    User.objects.create_user("space", password=" pass word ")
    assert sign_in("space", " pass word ").status_code == 200
    assert sign_in("space", "pass word").status_code == 401


def test_a28_ten_failures_lock_the_account_for_that_peer_alone(sign_in, alice):
    for _ in range(9):
        assert sign_in(password="wrong").status_code == 401
    assert sign_in(password="wrong").status_code == 429
    locked = sign_in()
    assert locked.status_code == 429 and locked["Retry-After"] == "900"
    assert locked["Content-Type"] == "application/problem+json"
    assert locked.json()["code"] == "KN-THROTTLED"
    assert sign_in(REMOTE_ADDR="192.0.2.7").status_code == 200, "no lock-out by strangers"


def test_a28_unknown_accounts_lock_alike(sign_in, alice):
    statuses = {
        name: [sign_in(name, "wrong").status_code for _ in range(11)]
        for name in ("alice", "nobody")
    }
    assert statuses["alice"] == statuses["nobody"]


def test_a28_a_forwarded_for_header_is_the_client_s_own_word(sign_in, alice):
    for number in range(11):
        answer = sign_in(password="wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")
    assert answer.status_code == 429
    assert (
        AccessAttempt.objects.values_list("ip_address", flat=True).distinct().get() == "127.0.0.1"
    )


def test_a28_behind_our_proxy_the_last_hop_counts(settings, sign_in, alice):
    settings.TRUSTED_PROXIES = 1
    for number in range(11):
        spoofed = f"198.51.100.{number}, 192.0.2.9"
        answer = sign_in(password="wrong", HTTP_X_FORWARDED_FOR=spoofed)
    assert answer.status_code == 429
    assert sign_in(HTTP_X_FORWARDED_FOR="192.0.2.10").status_code == 200


def test_a_success_forgets_the_failures(sign_in, alice):
    for _ in range(9):
        sign_in(password="wrong")
    assert sign_in().status_code == 200
    assert sign_in(password="wrong").status_code == 401


def test_a28_spraying_many_accounts_from_one_peer_is_throttled(monkeypatch, sign_in):
    monkeypatch.setattr(PeerThrottle, "THROTTLE_RATES", {"peer": "5/min"})
    statuses = [sign_in(f"user-{number}", "wrong").status_code for number in range(6)]
    assert statuses == [401] * 5 + [429]
    assert sign_in("user-0", "wrong", REMOTE_ADDR="192.0.2.7").status_code == 401


def test_a28_one_account_from_many_peers_is_throttled(monkeypatch, sign_in, alice):
    monkeypatch.setattr(AccountThrottle, "THROTTLE_RATES", {"account": "5/min"})
    answers = [
        sign_in("Alice" if number % 2 else "alice", "wrong", REMOTE_ADDR=f"192.0.2.{number}")
        for number in range(6)
    ]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1]["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "text/plain",
        "application/merge-patch+json",
        "application/xml",
        "",
    ],
)
def test_a33_a_form_is_no_json(alice, kind):
    body = f"username=alice&password={PASSWORD}"
    answer = Client(enforce_csrf_checks=True).post("/api/v1/token", body, content_type=kind)
    assert answer.status_code == 415
    assert answer["Content-Type"] == "application/problem+json"


def test_the_portal_s_session_reads_the_api(alice):
    browser = APIClient()
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/api/v1/me").json()["username"] == "alice"


def test_it_tells_ones_role_in_each_tenant_as_it_is_now(alice, pair, me, acme, globex):
    globex.admit(alice, Role.READ_ONLY, by="olga")
    assert me(pair.access).json()["tenants"] == [
        {"tenant": "acme", "role": "tenant-admin"},
        {"tenant": "globex", "role": "read-only"},
    ]
    acme.admit(alice, Role.DEV, by="olga")
    globex.dismiss(alice, by="olga")
    assert me(pair.access).json()["tenants"] == [{"tenant": "acme", "role": "tenant-dev"}]


def test_a_session_does_not_hide_a_bad_bearer_token(alice):
    browser = APIClient(HTTP_AUTHORIZATION="Bearer stale")
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/api/v1/me").status_code == 401


def test_oneself_needs_credentials(client):
    assert client.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/jwks", "/.well-known/jwks.json"])
def test_the_key_set_is_public_and_verifies_tokens(client, pair, path):
    import jwt

    answer = client.get(path)
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)
    claims = jwt.decode(
        pair.access, jwt.PyJWK(key).key, ["RS256"], audience="kubenova-api", issuer="kubenova"
    )
    assert set(claims) == {"token_type", "exp", "iat", "jti", "sub", "sid", "iss", "aud"}
    assert jwt.get_unverified_header(pair.access)["kid"] == key["kid"]


def test_the_key_set_never_shows_a_secret(settings, client, alice, me):
    settings.JWT_ALGORITHM = "HS256"
    token = TokenSession.open(alice).access
    assert me(token).status_code == 200
    assert all(key["kty"] == "RSA" for key in client.get("/api/v1/jwks").json()["keys"])
