"""Which tokens the proxy takes for which grant, and how often it asks the cluster about them."""

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from access.proxy import directory, identity, upstream
from tests.access.fake_cluster import HOLD, ISSUER, FakeCluster
from tests.access.proxies import cluster, eventually, front
from tests.live.proxied import shared_database

__all__ = ["cluster", "front", "shared_database"]

NOW = int(time.time())
FAR = 10**6


def bound(**changed: object) -> dict:
    """The private claims of a good token, with changes."""
    good: dict = {
        "namespace": "kubenova-grants",
        "serviceaccount": {"name": "grant-a", "uid": "uid-of-grant-a"},
        "secret": {"name": "grant-a-1", "uid": "uid-of-grant-a-1"},
    }
    return {"kubernetes.io": {key: value for key, value in (good | changed).items() if value}}


CLAIMS = {
    "A17-another audience": {"aud": ["https://elsewhere.example.org"]},
    "A17-no audience": {"aud": None},
    "A17-an empty audience": {"aud": []},
    "A17-another issuer": {"iss": "https://evil.example.org"},
    "A17-no issuer": {"iss": None},
    "A17-expired": {"exp": NOW - 1},
    "A17-no expiry": {"exp": None},
    "A17-expiry is a text": {"exp": str(NOW + FAR)},
    "A17-expiry is a fraction": {"exp": NOW + 0.5},
    "A17-expiry without end": {"exp": 10**300},
    "A17-expiry is true": {"exp": True},
    "A17-not yet": {"nbf": NOW + FAR},
    "A17-issued in the future": {"iat": NOW + FAR},
    "A17-another subject": {"sub": "system:serviceaccount:kubenova-system:kubenova"},
    "A17-the subject of another grant": {"sub": "system:serviceaccount:kubenova-grants:grant-b"},
    "A17-no subject": {"sub": None},
    "A17-an account elsewhere": bound(namespace="acme--shop"),
    "A17-not bound to a Secret": bound(secret=None),
    "A17-bound to a pod": bound(secret=None, pod={"name": "p", "uid": "u"}),
    "A17-bound to another Secret": bound(secret={"name": "grant-a-2", "uid": "uid-of-grant-a-1"}),
    "A17-bound to one of another uid": bound(secret={"name": "grant-a-1", "uid": "x"}),
    "A17-bound to one without uid": bound(secret={"name": "grant-a-1"}),
    "A17-bound to a list": bound(secret=["grant-a-1"]),
    "A17-no private claims": {"kubernetes.io": None},
    "A17-private claims of another kind": {"kubernetes.io": "grant-a"},
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS.keys())
def test_it_refuses_claims(front, cluster, claims):
    assert front.ask(token=cluster.token(**claims)).status == 401
    assert cluster.asked() == []


def test_it_lets_in_who_it_should(front, cluster):
    for token in (cluster.token(), cluster.token(aud=ISSUER), cluster.token(exp=NOW + FAR)):
        assert front.ask(token=token).status == 200


def foreign_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims_of(cluster: FakeCluster) -> dict:
    return jwt.decode(cluster.token(), options={"verify_signature": False})


def part(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def public_pem(cluster: FakeCluster) -> bytes:
    return cluster.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def hs256_with_the_public_key(cluster: FakeCluster) -> str:
    head, body = part('{"alg":"HS256","kid":"key-1"}'), cluster.token().split(".")[1]
    mac = hmac.new(public_pem(cluster), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


FORGED = {
    "A17-signed by another key": lambda c: jwt.encode(
        claims_of(c), foreign_key(), "RS256", {"kid": "key-1"}
    ),
    "A17-alg none": lambda c: ".".join([part('{"alg":"none"}'), c.token().split(".")[1], "eA"]),
    "A17-HS256 with the public key": hs256_with_the_public_key,
    "A17-another algorithm of the same key": lambda c: jwt.encode(
        claims_of(c), c.key, "PS256", {"kid": "key-1"}
    ),
    "A17-an unknown key": lambda c: jwt.encode(claims_of(c), c.key, "RS256", {"kid": "key-2"}),
    "A17-a key by path": lambda c: jwt.encode(
        claims_of(c), c.key, "RS256", {"kid": "../../dev/null"}
    ),
    "A17-no key": lambda c: jwt.encode(claims_of(c), c.key, "RS256"),
    "A17-a critical extension": lambda c: jwt.encode(
        claims_of(c), c.key, "RS256", {"kid": "key-1", "crit": ["x"], "x": 1}
    ),
    "A17-a signature of another body": lambda c: ".".join(
        [*c.token("grant-b").split(".")[:2], c.token().split(".")[2]]
    ),
    "A17-a cut signature": lambda c: c.token()[:-10],
    "A17-not base64": lambda c: "é.é.é",
    "A17-a body that is a list": lambda c: ".".join([c.token().split(".")[0], part("[]"), "eA"]),
    "A17-a body without end": lambda c: ".".join([c.token().split(".")[0], part("[" * 5000), "eA"]),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_it_refuses_forgeries(front, cluster, forge):
    assert front.ask(token=forge(cluster)).status == 401
    assert cluster.asked() == []


def test_a_token_of_another_cluster_is_refused(front, cluster):
    with FakeCluster("other").running() as other:
        front.grants.knows(cluster, other)
        front.grants.grant(other)
        eventually(lambda: front.ask(token=other.token(), cluster="other").status == 200)
        assert front.ask(token=other.token()).status == 401
        assert front.ask(cluster="other").status == 401


def test_a_grant_opens_only_the_clusters_that_it_names(front, cluster):
    """The same keys everywhere, as in clusters cloned from one image."""
    with FakeCluster("twin", key=cluster.key).running() as twin:
        front.grants.knows(cluster, twin)
        eventually(lambda: front.grants.reads > 3)
        assert front.ask(cluster="twin").status == 401
        assert twin.asked() == []


def test_a_grant_made_this_moment_opens_at_once(front, cluster):
    front.grants.grant(cluster, "grant-new")
    assert front.ask(token=cluster.token("grant-new", "grant-new-1")).status == 200


def test_f35_a_token_made_this_moment_opens_at_once(front, cluster):
    assert front.ask().status == 200
    front.grants.grant(cluster, anchor="grant-a-2", anchor_uid="uid-of-grant-a-2")
    assert front.ask(token=cluster.token("grant-a", "grant-a-2")).status == 200
    assert front.ask().status == 401


def test_dead_tokens_do_not_make_it_read_again_and_again(front, cluster):
    front.ask()
    front.grants.end()
    eventually(lambda: front.ask().status == 401)
    before = front.grants.reads
    for _ in range(30):
        front.ask()
    assert front.grants.reads - before < 15


def test_a_revoked_grant_is_refused_within_a_second(front, cluster):
    assert front.ask().status == 200
    front.grants.end()
    assert eventually(lambda: front.ask().status == 401) < 3.0


def test_an_expired_grant_is_refused_whatever_its_token_says(front, cluster):
    front.grants.grant(cluster, expires_at=time.time() + 1.0)
    eventually(lambda: front.ask().status == 401)


def test_verified_tokens_cost_the_cluster_nothing(front, cluster):
    for _ in range(5):
        front.ask()
    assert len([seen for seen in cluster.seen if "jwks" in seen.target]) == 1
    assert not [seen for seen in cluster.seen if "tokenreviews" in seen.target]


def test_a_new_key_of_the_cluster_is_learnt(front, cluster, monkeypatch):
    monkeypatch.setattr(identity, "_KEYS_AT_MOST_EVERY", 0.1)
    assert front.ask().status == 200
    cluster.key, cluster.kid = foreign_key(), "key-2"
    time.sleep(0.2)
    assert front.ask().status == 200


def test_unknown_keys_do_not_make_it_ask_again_and_again(front, cluster):
    front.ask()
    for number in range(20):
        forged = jwt.encode(claims_of(cluster), cluster.key, "RS256", {"kid": f"x{number}"})
        assert front.ask(token=forged).status == 401
    assert len([seen for seen in cluster.seen if "jwks" in seen.target]) == 1


# --- Without published keys the cluster is asked.


def reviews(cluster: FakeCluster) -> int:
    return len([seen for seen in cluster.seen if "tokenreviews" in seen.target])


def test_without_keys_the_cluster_is_asked_once_in_a_while(front, cluster):
    cluster.publishes_keys = False
    token = cluster.token()
    assert [front.ask(token=token).status for _ in range(3)] == [200, 200, 200]
    assert reviews(cluster) == 1
    own = next(seen for seen in cluster.seen if "tokenreviews" in seen.target)
    assert token not in own.header("authorization")


def test_without_keys_a_dead_token_is_refused(front, cluster):
    cluster.publishes_keys, cluster.alive = False, lambda token: False
    assert front.ask().status == 401
    assert cluster.asked() == []


def test_without_keys_strangers_do_not_make_it_ask(front, cluster):
    cluster.publishes_keys = False
    forged = {"kubernetes.io": bound(secret={"name": "grant-a-1", "uid": "guess"})["kubernetes.io"]}
    assert front.ask(token=cluster.token(**forged)).status == 401
    assert reviews(cluster) == 0


def test_without_keys_a_review_of_somebody_else_is_refused(front, cluster):
    cluster.publishes_keys = False
    user = {"username": "system:serviceaccount:kubenova-grants:grant-b"}
    status = {"authenticated": True, "user": user}
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    cluster.answers[path] = (201, {"status": status})
    assert front.ask().status == 401


# --- When something is away.


def test_a_dead_cluster_is_told_in_its_own_language(front, cluster):
    assert front.ask().status == 200
    dead = FakeCluster("dead", key=cluster.key, port=9)
    front.grants.knows(cluster, dead)
    front.grants.grant(dead)
    time.sleep(1)
    reply = front.ask(cluster="dead")
    assert (reply.status, reply.json()["kind"], reply.json()["code"]) == (503, "Status", 503)
    began = time.monotonic()
    assert front.ask().status == 200
    assert time.monotonic() - began < 1, "the others do not wait for it"


def test_a_silent_cluster_is_told_after_a_while(front, cluster, monkeypatch):
    monkeypatch.setattr(upstream, "_USUAL", upstream.Patience(read=0.3))
    assert front.ask().status == 200
    cluster.answers["/api/v1/namespaces/acme--shop/pods"] = (200, HOLD)
    reply = front.ask()
    assert (reply.status, reply.json()["reason"]) == (504, "Timeout")


def test_without_its_database_it_lets_nobody_in(front, cluster, monkeypatch):
    monkeypatch.setattr(directory, "_TOO_OLD", 0.5)
    assert front.ask().status == 200
    front.grants.broken = True
    eventually(lambda: front.ask().status == 503)
    front.grants.broken = False
    eventually(lambda: front.ask().status == 200)
