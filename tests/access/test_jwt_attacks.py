"""A26: everything that is not exactly our token is answered by one constant 401."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import call_command
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings
from rest_framework_simplejwt.exceptions import TokenBackendError

from access.backend import KeyRingBackend
from access.keys import SigningKey

pytestmark = pytest.mark.django_db


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(key: SigningKey, header: object, claims: object) -> str:
    """Sign any bytes with the server's own key: what is left to refuse is the content."""
    text = f"{encoded(header)}.{encoded(claims)}"
    algorithm = jwt.get_algorithm_by_name("RS256")
    return f"{text}.{encoded(algorithm.sign(text.encode(), key.private))}"


@pytest.fixture
def claims(pair):
    return jwt.decode(pair.access, options={"verify_signature": False})


@pytest.fixture
def header(rsa_key):
    return {"alg": "RS256", "kid": rsa_key.kid, "typ": "JWT"}


@pytest.fixture
def refused(me):
    """Assert that a token is answered exactly like no token at all."""

    def check(token, scheme="Bearer"):
        answer = me(token, scheme)
        assert answer.status_code == 401, answer.content
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer.json() | {"correlation_id": ""} == CONSTANT

    return check


CONSTANT = {
    "type": "/api/v1/problems/kn-unauthenticated",
    "title": "Sign in first",
    "status": 401,
    "code": "KN-UNAUTHENTICATED",
    "detail": "The credentials are missing, wrong or no longer valid. Get a token from POST "
    "/api/v1/token and send it as `Authorization: Bearer <token>`.",
    "errors": [],
    "correlation_id": "",
}


def test_a26_the_forge_makes_valid_tokens(me, rsa_key, header, claims):
    assert me(signed(rsa_key, header, claims)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"alg": "none"}, id="alg none"),
        pytest.param({"alg": "None"}, id="alg None"),
        pytest.param({"alg": "HS256"}, id="alg HS256"),
        pytest.param({"alg": "RS512"}, id="alg RS512"),
        pytest.param({"alg": "PS256"}, id="alg PS256"),
        pytest.param({"alg": ["RS256"]}, id="alg a list"),
        pytest.param({"alg": None}, id="alg null"),
        pytest.param({"kid": "unknown"}, id="kid unknown"),
        pytest.param({"kid": "../../../../dev/null"}, id="kid a path"),
        pytest.param({"kid": "' OR 1=1 --"}, id="kid SQL"),
        pytest.param({"kid": ""}, id="kid empty"),
        pytest.param({"kid": 7}, id="kid a number"),
        pytest.param({"kid": "a" * 7000}, id="kid long"),
        pytest.param({"jku": "https://attacker.example/jwks"}, id="jku"),
        pytest.param({"x5u": "https://attacker.example/cert"}, id="x5u"),
        pytest.param({"x5c": ["AAAA"]}, id="x5c"),
        pytest.param({"jwk": {"kty": "oct", "k": "AAAA"}}, id="jwk"),
        pytest.param({"crit": ["exp"]}, id="crit known"),
        pytest.param({"crit": ["urn:example:unknown"]}, id="crit unknown"),
        pytest.param({"b64": False, "crit": ["b64"]}, id="b64 detached"),
        pytest.param({"zip": "DEF"}, id="zip"),
        pytest.param({"typ": "at+jwt"}, id="typ another"),
        pytest.param({"typ": None}, id="typ null"),
    ],
)
def test_a26_a_header_has_no_say(refused, rsa_key, header, claims, changes):
    refused(signed(rsa_key, {**header, **changes}, claims))


@pytest.mark.parametrize("missing", ["alg", "kid", "typ"])
def test_a26_a_header_lacks_nothing(refused, rsa_key, header, claims, missing):
    refused(signed(rsa_key, {k: v for k, v in header.items() if k != missing}, claims))


def test_a26_no_signature_is_no_signature(refused, header, claims):
    refused(f"{encoded({**header, 'alg': 'none'})}.{encoded(claims)}.")
    refused(f"{encoded(header)}.{encoded(claims)}.")


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_a26_the_public_key_is_no_hmac_secret(refused, rsa_key, header, claims, form):
    pem = rsa_key.public.public_bytes(Encoding.PEM, form)
    text = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    refused(f"{text}.{encoded(hmac.digest(pem, text.encode(), hashlib.sha256))}")


def test_a26_secret_key_signs_nothing(refused, settings, header, claims):
    for algorithm in ("HS256", "HS512"):
        refused(jwt.encode(claims, settings.SECRET_KEY, algorithm, headers={"kid": header["kid"]}))


def test_a26_a_key_of_the_other_algorithm_verifies_nothing(settings, me, pair):
    settings.JWT_ALGORITHM = "HS256"
    assert me(pair.access).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "another"}, id="aud another"),
        pytest.param({"aud": ["kubenova-api"]}, id="aud a list"),
        pytest.param({"aud": ["kubenova-api", "another"]}, id="aud among others"),
        pytest.param({"aud": None}, id="aud null"),
        pytest.param({"iss": "another"}, id="iss another"),
        pytest.param({"iss": ["kubenova"]}, id="iss a list"),
        pytest.param({"exp": 0}, id="exp 0"),
        pytest.param({"exp": -1}, id="exp negative"),
        pytest.param({"exp": True}, id="exp true"),
        pytest.param({"exp": None}, id="exp null"),
        pytest.param({"exp": "9999999999"}, id="exp a string"),
        pytest.param({"exp": "soon"}, id="exp no number"),
        pytest.param({"exp": float("nan")}, id="exp NaN"),
        pytest.param({"exp": float("inf")}, id="exp Infinity"),
        pytest.param({"exp": 1e300}, id="exp 1e300"),
        pytest.param({"exp": 10**40}, id="exp beyond time"),
        pytest.param({"exp": [9999999999]}, id="exp a list"),
        pytest.param({"nbf": 9999999999}, id="nbf in the future"),
        pytest.param({"nbf": "now"}, id="nbf no number"),
        pytest.param({"iat": 9999999999}, id="iat in the future"),
        pytest.param({"iat": float("nan")}, id="iat NaN"),
        pytest.param({"token_type": "refresh"}, id="a refresh token"),
        pytest.param({"token_type": "sliding"}, id="a sliding token"),
        pytest.param({"token_type": None}, id="no type"),
        pytest.param({"sub": "0"}, id="sub nobody"),
        pytest.param({"sub": 1}, id="sub a number"),
        pytest.param({"sub": "１"}, id="sub full-width digits"),
        pytest.param({"sub": "٣"}, id="sub Arabic digits"),
        pytest.param({"sub": "1 OR 1=1"}, id="sub SQL"),
        pytest.param({"sub": "9" * 400}, id="sub huge"),
        pytest.param({"sub": "1\x00"}, id="sub NUL"),
        pytest.param({"sub": ""}, id="sub empty"),
        pytest.param({"sub": None}, id="sub null"),
        pytest.param({"sid": "0" * 32}, id="sid unknown"),
        pytest.param({"sid": "not a uuid"}, id="sid no uuid"),
        pytest.param({"sid": None}, id="sid null"),
        pytest.param({"jti": None}, id="jti null"),
    ],
)
def test_a26_a_wrong_claim_is_refused(refused, rsa_key, header, claims, changes):
    refused(signed(rsa_key, header, {**claims, **changes}))


@pytest.mark.parametrize("missing", ["exp", "iat", "iss", "aud", "jti", "sub", "sid", "token_type"])
def test_a26_every_claim_is_needed(refused, rsa_key, header, claims, missing):
    refused(signed(rsa_key, header, {k: v for k, v in claims.items() if k != missing}))


def test_a26_duplicated_claims_are_refused(refused, rsa_key, header, claims):
    text = json.dumps(claims)
    doubled = text[:-1] + f', "sub": "{claims["sub"]}"}}'
    refused(signed(rsa_key, header, doubled.encode()))
    headers = json.dumps(header)
    refused(signed(rsa_key, (headers[:-1] + ', "typ": "JWT"}').encode(), claims))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing"),
        pytest.param("a", id="no dots"),
        pytest.param("a.b.c", id="no base64"),
        pytest.param("..", id="dots"),
        pytest.param("e30.e30.e30", id="empty objects"),
        pytest.param("W10.W10.W10", id="lists"),
        pytest.param("bnVsbA.bnVsbA.bnVsbA", id="nulls"),
        pytest.param("e30.e30.e30.e30", id="four parts"),
        pytest.param("e30.e30.e30.e30.e30", id="encrypted shape"),
        pytest.param("é.ü.ß", id="not ASCII"),
        pytest.param(encoded(b"[" * 5000) + ".e30.e30", id="deep header"),
        pytest.param("a" * 100_000, id="100 kB"),
        pytest.param("one two", id="two words"),
    ],
)
def test_a26_garbage_is_refused(refused, raw):
    refused(raw)


@pytest.mark.parametrize("scheme", ["Basic", "Token", "JWT", "Negotiate"])
def test_a26_another_scheme_is_no_credential(refused, pair, scheme):
    refused(pair.access, scheme)


def test_the_scheme_may_be_written_small(me, pair):
    assert me(pair.access, "bearer").status_code == 200


def test_a26_a_token_of_a_stranger_s_key_is_refused(refused, other_rsa_key, header, claims):
    refused(signed(other_rsa_key, header, claims))
    refused(signed(other_rsa_key, {**header, "kid": other_rsa_key.kid}, claims))


def test_a26_an_expired_token_gets_thirty_seconds(me, rsa_key, header, claims):
    now = int(time.time())
    assert me(signed(rsa_key, header, {**claims, "exp": now - 20})).status_code == 200
    assert me(signed(rsa_key, header, {**claims, "exp": now - 40})).status_code == 401


def test_a26_a_refresh_token_opens_nothing(refused, pair):
    refused(pair.refresh)


def test_a26_an_access_token_refreshes_nothing(client, pair):
    answer = client.post("/api/v1/token/refresh", {"refresh": pair.access})
    assert answer.status_code == 401


def test_a26_a_token_outlives_the_rotation_of_keys_but_not_their_end(me, refused, pair):
    call_command("jwt", "rotate", "--now", verbosity=0)
    assert me(pair.access).status_code == 200, "the old key still verifies"
    call_command("jwt", "prune", "--all", verbosity=0)
    refused(pair.access)


@pytest.mark.parametrize(
    "fate",
    [
        pytest.param(lambda user: user.delete(), id="deleted"),
        pytest.param(lambda user: type(user).objects.update(is_active=False), id="disabled"),
        pytest.param(lambda user: (user.set_password("another one"), user.save()), id="password"),
        pytest.param(lambda user: (user.set_unusable_password(), user.save()), id="no password"),
    ],
)
def test_a26_the_token_of_a_gone_user_dies_at_the_next_request(me, refused, alice, pair, fate):
    assert me(pair.access).status_code == 200
    fate(alice)
    refused(pair.access)


def test_a27_a_demotion_shows_at_the_next_request(me, olga):
    from access.models import TokenSession

    token = TokenSession.open(olga).access
    assert me(token).json()["operator"] is True
    type(olga).objects.update(is_staff=False)
    assert me(token).json()["operator"] is False


def test_a26_no_claim_gives_power(me, rsa_key, header, claims):
    boasting = {**claims, "is_staff": True, "roles": ["tenant-admin"], "operator": True}
    assert me(signed(rsa_key, header, boasting)).json()["operator"] is False


_JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.floats()
    | strategies.text(max_size=20)
    | strategies.integers(),
    lambda children: (
        strategies.lists(children, max_size=3)
        | strategies.dictionaries(strategies.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)


@hypothesis_settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    name=strategies.sampled_from(["exp", "iat", "nbf", "iss", "aud", "sub", "sid", "jti"]),
    value=_JSON,
)
def test_a26_no_claim_of_any_shape_breaks_the_door(rsa_key, header, claims, name, value):
    token = signed(rsa_key, header, {**claims, name: value})
    try:
        found = KeyRingBackend().decode(token)
    except TokenBackendError:
        return
    assert isinstance(found["sub"], str) and isinstance(found["exp"], int)
