"""Opening a registered cluster, and what a cluster may say when it is asked for a token."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from clusters.connect import connect
from clusters.credentials import Given, dump, ending_soon, load, prove, request_token, whoami
from clusters.intents import ACCOUNT, SYSTEM_NAMESPACE, USERNAME
from clusters.kinds import NAMESPACE, SERVICE_ACCOUNT
from clusters.kubeconfig import Credential
from clusters.models import Cluster
from reconcile.errors import Refused, Unauthenticated, Unreachable, Waiting
from reconcile.values import JSON, Kind, Ref
from tests.clusters.certificates import authority, issued, key_pem
from tests.fleet import admin
from tests.memory_cluster import MemoryCluster

SERVER = "https://198.51.100.7:6443"


def credential(token: str = "one", server: str = SERVER) -> Credential:
    return Credential(server, authority().pem, token=token)


@pytest.fixture
def cluster(db, settings, tmp_path) -> Cluster:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    cluster = Cluster(name="prod-a")
    cluster.scoped = dump(credential())
    cluster.declare(by="olga")
    return cluster


# --- Opening.


def test_the_same_credential_shares_its_connections(cluster):
    with connect(cluster) as first, connect(Cluster.objects.get()) as second:
        assert first is second


def test_another_credential_has_its_own_and_the_same_gate(cluster):
    with connect(cluster) as first, connect(cluster, credential("two")) as second:
        assert first is not second
        assert first.gate is second.gate


def test_another_server_has_another_gate(cluster):
    with (
        connect(cluster) as first,
        connect(cluster, credential(server="https://198.51.100.8:6443")) as second,
    ):
        assert first.gate is not second.gate


def test_it_says_that_there_is_no_credential_yet(cluster):
    cluster.scoped = None
    with pytest.raises(Unauthenticated, match="no working credential"), connect(cluster):
        pass


def test_a21_a_credential_of_another_cluster_does_not_open(cluster):
    other = Cluster(name="prod-b")
    other.scoped = dump(credential("of-b"))
    other.declare(by="olga")
    text = Cluster.objects.values_list("scoped", flat=True).get(name="prod-b").text
    with connection.cursor() as cursor:
        cursor.execute("UPDATE clusters_cluster SET scoped = %s WHERE name = 'prod-a'", [text])
    swapped = Cluster.objects.get(name="prod-a")
    with pytest.raises(Unauthenticated, match="cannot be opened") as caught, connect(swapped):
        pass
    assert "of-b" not in str(caught.value)


def test_a7_the_rules_are_judged_when_it_is_opened(cluster, settings):
    settings.CLUSTER_ALLOW_LOOPBACK = False
    local = credential(server="https://127.0.0.1:6443")
    with pytest.raises(Refused, match="loopback"), connect(cluster, local):
        pass


# --- Credentials.


def test_a_credential_survives_being_kept():
    pair = issued("client")
    full = Credential(SERVER, authority().pem, None, pair.cert, pair.key)
    assert load(dump(full)) == full
    assert load(dump(credential())) == credential()


def test_a_given_credential_is_known_by_a_digest_that_tells_nothing(settings):
    one, same, other = (Given.of(credential(token)) for token in ("one", "one", "two"))
    assert one == same != other
    assert Given(one.digest) == one
    assert "one" not in repr(one)
    settings.SECRET_KEY = "another"
    assert Given.of(credential("one")) != one


@pytest.mark.parametrize(
    ("days", "soon"), [(-1, True), (1, True), (7, True), (8, False), (30, False), (None, False)]
)
def test_the_end_is_near_in_the_last_quarter(settings, days, soon):
    settings.CLUSTER_TOKEN_DAYS = 30
    expires = None if days is None else timezone.now() + timedelta(days=days)
    assert ending_soon(expires) is soon


class Liar(MemoryCluster):
    """Answers every review with the status it is given."""

    def __init__(self, status: object) -> None:
        super().__init__()
        self.status = status

    def create_review(self, api_version: str, resource: str, body: JSON, path: str = "") -> JSON:
        return {"status": self.status}


LATER = "2099-01-01T00:00:00Z"
LIES = {
    "nothing": None,
    "no token": {"expirationTimestamp": LATER},
    "no text": {"token": 7, "expirationTimestamp": LATER},
    "A8-a line break": {"token": "a\nb: c", "expirationTimestamp": LATER},
    "A8-a header": {"token": "a\r\nX-Evil: 1", "expirationTimestamp": LATER},
    "spaces": {"token": "a b", "expirationTimestamp": LATER},
    "without end": {"token": "x" * 20_000, "expirationTimestamp": LATER},
    "not ASCII": {"token": "tökén", "expirationTimestamp": LATER},
    "no expiry": {"token": "good"},
    "an expiry that is no time": {"token": "good", "expirationTimestamp": "soon"},
    "an expiry of no day": {"token": "good", "expirationTimestamp": "2026-13-45T00:00:00Z"},
    "an expiry of no zone": {"token": "good", "expirationTimestamp": "2026-12-01T00:00:00"},
}


@pytest.mark.parametrize("status", LIES.values(), ids=LIES.keys())
def test_a8_no_odd_token_is_taken(status):
    with pytest.raises(Unreachable, match="no usable token"):
        request_token(Liar(status), credential())


def test_a_token_is_kept_with_the_expiry_that_the_cluster_returned():
    scoped = request_token(Liar({"token": "good", "expirationTimestamp": LATER}), credential())
    assert scoped.expires.isoformat() == "2099-01-01T00:00:00+00:00"
    assert scoped.credential == credential("good")


def test_a_token_replaces_the_certificate_of_the_operator():
    key = key_pem(authority().key)
    base = Credential(SERVER, authority().pem, None, "cert", key)
    scoped = request_token(Liar({"token": "good", "expirationTimestamp": LATER}), base)
    assert (scoped.credential.client_cert_pem, scoped.credential.client_key_pem) == (None, None)


def test_a_token_is_proven_by_who_it_is_and_what_it_may():
    live = MemoryCluster()
    with pytest.raises(Refused, match="for admin"):
        prove(live)
    live.reviews.username = USERNAME
    prove(live)
    live.reviews.allow = lambda asked: False
    with pytest.raises(Waiting):
        prove(live)


@pytest.mark.parametrize("status", [None, {}, {"userInfo": None}, {"userInfo": {}}], ids=repr)
def test_nobody_is_nobody(status):
    assert whoami(Liar(status)) == ""


def test_the_token_of_a_real_account_is_asked_for_in_its_place():
    live = MemoryCluster()
    for ref in (Ref(NAMESPACE, "", SYSTEM_NAMESPACE), account()):
        live.apply(ref, manifest(ref.kind, ref))
    scoped = request_token(live, admin("prod-a"))
    assert f"{SYSTEM_NAMESPACE}.{ACCOUNT}" in scoped.credential.token


def account() -> Ref:
    return Ref(SERVICE_ACCOUNT, SYSTEM_NAMESPACE, ACCOUNT)


def manifest(kind: Kind, ref: Ref) -> JSON:
    meta = {"name": ref.name} | ({"namespace": ref.namespace} if ref.namespace else {})
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta}
