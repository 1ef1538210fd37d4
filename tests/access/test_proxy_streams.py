"""Streams and tunnels through the proxy: passed on as they come, cut when their grant ends."""

import json
import time

import pytest

from access.intents import Verbs
from access.proxy import directory
from tests.access.fake_cluster import HOLD
from tests.access.proxies import cluster, eventually, front, read_replies
from tests.live.proxied import shared_database

__all__ = ["cluster", "front", "shared_database"]

PODS = "/api/v1/namespaces/acme--shop/pods"
EXEC = f"{PODS}/p/exec?command=sh"
SPDY = ("Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io")
WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: v5.channel.k8s.io",
)


def event(name: str, kind: str = "ADDED") -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"name": name}}}).encode() + b"\n"


def head_of(sock) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(1)
    return data


def until(sock, text: bytes, seconds: float = 5.0) -> bytes:
    sock.settimeout(seconds)
    data = b""
    while text not in data:
        chunk = sock.recv(65536)
        assert chunk, data
        data += chunk
    return data


def ended(sock, seconds: float = 5.0) -> float:
    """Read to the end; return how long it took to come."""
    sock.settimeout(seconds)
    began = time.monotonic()
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - began


# --- Watches.


def test_a_watch_is_passed_on_line_by_line(front, cluster):
    cluster.answers[PODS] = (200, [event("a"), event("b")])
    with front.connection() as sock:
        sock.sendall(front.request(f"{PODS}?watch=true"))
        assert b"chunked" in head_of(sock).lower()
        until(sock, b'"b"')


@pytest.mark.parametrize("target", [f"{PODS}?watch=1", "/api/v1/namespaces?watch=1"])
def test_a27_a_revoked_grants_stream_is_cut_within_a_second(front, cluster, target):
    path = target.partition("?")[0]
    cluster.answers[path] = (200, [event("acme--shop")])
    with front.connection() as sock:
        sock.sendall(front.request(target))
        until(sock, b"acme--shop")
        assert cluster.streams == 1
        front.grants.end()
        assert ended(sock) < 1.0
    assert eventually(lambda: cluster.streams == 0) < 2


def test_a_stream_is_cut_at_its_expiry(front, cluster):
    front.grants.grant(cluster, expires_at=time.time() + 1.5)
    cluster.answers[PODS] = (200, [event("a")])
    with front.connection() as sock:
        sock.sendall(front.request(f"{PODS}?watch=1"))
        until(sock, b'"a"')
        assert 0.2 < ended(sock) < 3.0


def test_f35_a_newer_token_cuts_the_streams_of_the_older(front, cluster):
    cluster.answers[PODS] = (200, [event("a")])
    with front.connection() as sock:
        sock.sendall(front.request(f"{PODS}?watch=1"))
        until(sock, b'"a"')
        front.grants.grant(cluster, anchor="grant-a-2", anchor_uid="uid-of-grant-a-2")
        assert ended(sock) < 1.0


def test_a27_a_demotion_cuts_streams(front, cluster):
    cluster.answers[PODS] = (200, [event("a")])
    with front.connection() as sock:
        sock.sendall(front.request(f"{PODS}?watch=1"))
        until(sock, b'"a"')
        front.grants.grant(cluster, verbs=frozenset({Verbs.VIEW}))
        assert ended(sock) < 1.0


def test_streams_end_when_the_database_is_away_too_long(front, cluster, monkeypatch):
    monkeypatch.setattr(directory, "_MUCH_TOO_OLD", 0.8)
    cluster.answers[PODS] = (200, [event("a")])
    with front.connection() as sock:
        sock.sendall(front.request(f"{PODS}?watch=1"))
        until(sock, b'"a"')
        front.grants.broken = True
        assert ended(sock) < 3.0


def test_a_call_that_waits_is_answered_401_when_its_grant_ends(front, cluster):
    cluster.answers[PODS] = (200, HOLD)
    with front.connection() as sock:
        sock.sendall(front.request(PODS))
        eventually(lambda: bool(cluster.asked()))
        front.grants.end()
        (reply,) = read_replies(sock)
    assert reply.status == 401


def test_the_cluster_is_not_left_with_the_streams_of_those_who_went(front, cluster):
    cluster.answers[PODS] = (200, [event("a")])
    with front.connection() as sock:
        sock.sendall(front.request(f"{PODS}?watch=1"))
        until(sock, b'"a"')
        before = cluster.open
    eventually(lambda: cluster.open < before)


def test_a35_one_grant_has_so_many_streams_and_no_more(front, cluster, settings):
    settings.PROXY_STREAMS_PER_GRANT = 2
    cluster.answers[PODS] = (200, [event("a")])
    with front.connection() as one, front.connection() as two:
        for sock in (one, two):
            sock.sendall(front.request(f"{PODS}?watch=1"))
            until(sock, b'"a"')
        reply = front.ask(f"{PODS}?watch=1")
        assert reply.status == 429
        assert "retry-after: 1" in reply.head.lower()
    eventually(lambda: front.ask("/version").status == 200)


def test_a_broken_answer_is_never_taken_for_a_whole_one(front, cluster):
    """The cluster dies in the middle: the client has to notice."""
    cluster.answers[PODS] = (200, [event("a")])
    with front.connection() as sock:
        sock.sendall(front.request(f"{PODS}?watch=1"))
        data = until(sock, b'"a"')
        front.grants.end()
        try:
            while chunk := sock.recv(65536):
                data += chunk
        except ConnectionError:
            pass
    assert not data.endswith(b"0\r\n\r\n")


# --- Namespaces.


def test_a_list_of_namespaces_is_asked_for_as_the_reader_and_shows_hers(front, cluster):
    reply = front.ask("/api/v1/namespaces?limit=500")
    names = [each["metadata"]["name"] for each in reply.json()["items"]]
    assert names == ["acme--blog", "acme--shop"]
    (seen,) = cluster.asked("/api/v1/namespaces?")
    assert seen.header("authorization") == "Bearer reader.of.namespaces"
    assert "labelSelector=kubenova.io%2Ftenant%3Dacme" in seen.target
    assert "limit=500" in seen.target


@pytest.mark.parametrize(
    "lines",
    [
        ("Accept: application/vnd.kubernetes.protobuf, application/json",),
        ("Accept-Encoding: gzip",),
        ("Impersonate-User: system:admin",),
        ("Accept: */*", "Accept: application/json"),
    ],
)
def test_a_list_of_namespaces_cannot_be_had_in_a_form_that_is_not_judged(front, cluster, lines):
    reply = front.ask("/api/v1/namespaces", *lines)
    assert b"globex" not in reply.body and b"kube-system" not in reply.body
    (seen,) = cluster.asked("/api/v1/namespaces")
    assert seen.header("accept-encoding") == "identity"
    assert "protobuf" not in seen.header("accept")
    assert not seen.header("impersonate-user")


def test_a_watch_of_namespaces_shows_hers(front, cluster):
    lines = [event(name) for name in ("globex--shop", "acme--shop", "kube-system", "acme--blog")]
    cluster.answers["/api/v1/namespaces"] = (200, lines)
    with front.connection() as sock:
        sock.sendall(front.request("/api/v1/namespaces?watch=1"))
        data = until(sock, b"acme--blog")
    assert b"globex" not in data and b"kube-system" not in data


def test_a_namespace_that_is_granted_later_appears_in_an_open_watch(front, cluster):
    cluster.answers["/api/v1/namespaces"] = (200, [event("acme--new"), event("acme--shop")])
    with front.connection() as sock:
        sock.sendall(front.request("/api/v1/namespaces?watch=1"))
        assert b"acme--new" not in until(sock, b"acme--shop")
        front.grants.grant(cluster, namespaces=("acme--blog", "acme--new", "acme--shop"))
        until(sock, b"acme--new")


@pytest.mark.parametrize(
    "answer",
    [(200, {"kind": "Secret"}), (200, b"not json"), (200, b"[]"), (401, {}), (403, {})],
)
def test_a8_an_odd_answer_about_namespaces_is_not_passed_on(front, cluster, answer):
    cluster.answers["/api/v1/namespaces"] = answer
    reply = front.ask("/api/v1/namespaces")
    assert reply.status in (502, 503)
    assert reply.json()["kind"] == "Status"


def test_a8_a_line_without_end_is_not_collected_for_ever(front, cluster, monkeypatch):
    monkeypatch.setattr("access.proxy.namespaces._LINE", 100_000)
    cluster.answers["/api/v1/namespaces"] = (200, [b"x" * 200_000])
    with front.connection() as sock:
        sock.sendall(front.request("/api/v1/namespaces?watch=1"))
        assert ended(sock) < 3


# --- Everything of a kind.


def listed(*names: str) -> dict:
    items = [{"metadata": {"name": name}} for name in names]
    return {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": items}


def test_a_list_over_all_namespaces_is_asked_for_in_each_of_hers(front, cluster):
    cluster.answers["/api/v1/namespaces/acme--blog/pods"] = (200, listed("a"))
    cluster.answers[PODS] = (200, listed("b"))
    token = cluster.token()
    reply = front.ask("/api/v1/pods?labelSelector=x&limit=500", token=token)
    assert [each["metadata"]["name"] for each in reply.json()["items"]] == ["a", "b"]
    asked = [seen for seen in cluster.asked("/pods")]
    assert {seen.target for seen in asked} == {
        "/api/v1/namespaces/acme--blog/pods?labelSelector=x",
        f"{PODS}?labelSelector=x",
    }
    assert {seen.header("authorization") for seen in asked} == {f"Bearer {token}"}


def test_the_refusal_of_all_namespaces_is_passed_on_and_of_one_is_not(front, cluster):
    refusal = {"kind": "Status", "code": 403, "message": "no secrets for you"}
    cluster.answers["/api/v1/namespaces/acme--blog/pods"] = (403, refusal)
    cluster.answers[PODS] = (200, listed("b"))
    assert len(front.ask("/api/v1/pods").json()["items"]) == 1
    cluster.answers[PODS] = (403, refusal)
    reply = front.ask("/api/v1/pods")
    assert (reply.status, reply.json()["message"]) == (403, "no secrets for you")
    cluster.answers[PODS] = (500, refusal)
    assert front.ask("/api/v1/pods").status == 500


def test_what_lives_in_no_namespace_is_asked_for_as_it_is(front, cluster):
    front.ask("/api/v1/nodes")
    assert [seen.target for seen in cluster.asked("nodes")] == ["/api/v1/nodes"]


def test_nothing_was_granted_yet(front, cluster):
    front.grants.grant(cluster, namespaces=())
    eventually(lambda: front.ask("/api/v1/pods").status == 200 and not cluster.asked("/pods?"))
    assert front.ask("/api/v1/pods").json()["kind"] == "PodList"
    assert front.ask("/api/v1/namespaces").json()["items"] == []


def test_a_watch_over_all_namespaces_is_heard_from_each_of_hers(front, cluster):
    cluster.answers["/api/v1/namespaces/acme--blog/pods"] = (200, [event("a")])
    cluster.answers[PODS] = (200, [event("b")])
    cluster.answers["/api/v1/namespaces/acme--new/pods"] = (200, [event("c")])
    with front.connection() as sock:
        sock.sendall(front.request("/api/v1/pods?watch=1&resourceVersion=7"))
        data = until(sock, b'"b"')
        assert b'"a"' in data or until(sock, b'"a"')
        front.grants.grant(cluster, namespaces=("acme--blog", "acme--new", "acme--shop"))
        until(sock, b'"c"')
    joined = cluster.asked("acme--new")
    assert "resourceVersion" not in joined[0].target


# --- Tunnels.


@pytest.mark.parametrize("lines", [SPDY, WEBSOCKET], ids=["SPDY", "WebSocket"])
@pytest.mark.parametrize(
    "target", [EXEC, f"{PODS}/p/attach", f"{PODS}/p/portforward"], ids=["exec", "attach", "forward"]
)
def test_a_tunnel_carries_bytes_both_ways(front, cluster, lines, target):
    token = cluster.token()
    with front.connection() as sock:
        method = "POST" if lines is SPDY else "GET"
        sock.sendall(front.request(target, *lines, method=method, token=token))
        head = head_of(sock).decode().lower()
        assert head.startswith("http/1.1 101 ")
        assert "sec-websocket-protocol: v5.channel.k8s.io" in head
        assert "x-secret" not in head
        for size in (1, 1000, 300_000):
            sock.sendall(b"a" * size)
            received = b""
            while len(received) < size:
                received += sock.recv(65536)
            assert received == b"A" * size
    (seen,) = cluster.asked(target.partition("?")[0])
    assert seen.header("authorization") == f"Bearer {token}"
    assert seen.header("upgrade").lower() in ("spdy/3.1", "websocket")


def test_what_is_sent_before_the_switch_is_not_lost(front, cluster):
    with front.connection() as sock:
        sock.sendall(front.request(EXEC, *WEBSOCKET) + b"early")
        assert b"EARLY" in until(sock, b"EARLY")


@pytest.mark.parametrize("lines", [SPDY, WEBSOCKET], ids=["SPDY", "WebSocket"])
def test_a27_a_tunnel_is_cut_when_its_grant_is_revoked(front, cluster, lines):
    with front.connection() as sock:
        sock.sendall(front.request(EXEC, *lines))
        head_of(sock)
        before = cluster.open
        front.grants.end()
        assert ended(sock) < 1.0
    eventually(lambda: cluster.open < before)


def test_the_other_end_of_a_tunnel_goes_with_the_client(front, cluster):
    with front.connection() as sock:
        sock.sendall(front.request(EXEC, *WEBSOCKET))
        head_of(sock)
        before = cluster.open
    eventually(lambda: cluster.open < before)


def test_a_refused_upgrade_is_passed_on(front, cluster):
    body = {"kind": "Status", "code": 403, "message": "pods/exec is forbidden"}
    cluster.answers[f"{PODS}/p/exec"] = (403, body)
    reply = front.ask(EXEC, *WEBSOCKET)
    assert (reply.status, reply.json()) == (403, body)


@pytest.mark.parametrize(
    ("target", "verbs"),
    [
        (EXEC, {Verbs.VIEW, Verbs.PORT_FORWARD}),
        (f"{PODS}/p/attach", {Verbs.VIEW}),
        (f"{PODS}/p/portforward", {Verbs.EXEC}),
    ],
)
def test_a15_a_tunnel_needs_its_verb(front, cluster, target, verbs):
    front.grants.grant(cluster, verbs=frozenset(verbs))
    eventually(lambda: front.ask(target, *WEBSOCKET).status == 403)
    before = len(cluster.asked("/p/"))
    assert front.ask(target, *WEBSOCKET).status == 403
    assert len(cluster.asked("/p/")) == before


@pytest.mark.parametrize(
    "target",
    [
        PODS,
        "/api/v1/nodes/n/proxy/",
        "/api/v1/namespaces/acme--shop/services/s/proxy",
        "/api/v1/namespaces?watch=1",
        "/apis/x.example.org/v1/namespaces/acme--shop/pods/p/exec",
    ],
)
def test_a17_nothing_else_is_upgraded(front, cluster, target):
    assert front.ask(target, *WEBSOCKET).status == 400
    assert cluster.asked() == []


def test_a17_a_token_among_the_protocols_of_a_websocket_is_refused(front, cluster):
    protocols = "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.eA"
    lines = [line for line in WEBSOCKET if "Protocol" not in line]
    assert front.ask(EXEC, *lines, protocols).status == 400
    assert cluster.asked() == []
