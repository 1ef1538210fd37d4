"""Raw bytes against the running proxy: what reaches the API server, as whom, and how often."""

import json
import socket

import pytest

from access.models import AuditRecord
from access.proxy import server
from tests.access.proxies import cluster, eventually, front, read_replies
from tests.live.proxied import shared_database

__all__ = ["cluster", "front", "shared_database"]

ECHO = "/api/v1/namespaces/acme--shop/pods"
DENIED = (
    b'{"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", '
    b'"message": "Unauthorized", "reason": "Unauthorized", "code": 401}'
)


def test_an_honest_call_passes_with_its_own_token(front, cluster):
    token = cluster.token()
    reply = front.ask(ECHO + "?limit=5", "Accept: application/json", token=token)
    assert (reply.status, reply.json()["path"]) == (200, f"{ECHO}?limit=5")
    (seen,) = cluster.asked()
    assert seen.header("authorization") == f"Bearer {token}"
    assert seen.header("accept") == "application/json"
    assert len(seen.header("audit-id")) == 32
    names = {name.lower() for name, _ in seen.headers}
    assert names <= {"host", "authorization", "accept", "audit-id", "user-agent"}


IDENTITIES = {
    "A17-Impersonate-User": ["Impersonate-User: system:admin"],
    "A17-Impersonate-Group": ["Impersonate-User: x", "Impersonate-Group: system:masters"],
    "A17-Impersonate-Uid": ["Impersonate-Uid: 1"],
    "A17-Impersonate-Extra": ["Impersonate-Extra-Scopes: all"],
    "A17-Connection: Impersonate-User": [
        "Impersonate-User: system:admin",
        "Connection: Impersonate-User",
    ],
    "A17-two Connections": [
        "Connection: keep-alive",
        "Impersonate-User: system:admin",
        "Connection: close, Impersonate-User",
    ],
    "A17-X-Remote-User": ["X-Remote-User: admin", "X-Remote-Group: system:masters"],
    "A17-X-Forwarded": ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Client-Cert: Hash=x"],
    "A17-Forwarded": ["Forwarded: for=127.0.0.1;by=secret"],
    "A17-Cookie": ["Cookie: token=x"],
    "A17-Proxy-Authorization": ["Proxy-Authorization: Bearer x"],
    "A17-method override": ["X-HTTP-Method-Override: DELETE"],
    "A17-an id of the audit log": ["Audit-Id: chosen-by-me"],
}


@pytest.mark.parametrize("lines", IDENTITIES.values(), ids=IDENTITIES.keys())
def test_the_identity_never_changes(front, cluster, lines):
    token = cluster.token()
    assert front.ask(ECHO, *lines, token=token).status == 200
    (seen,) = cluster.asked()
    assert seen.header("authorization") == f"Bearer {token}"
    text = str(seen.headers).lower()
    for word in ("impersonate", "remote", "forwarded", "cookie", "proxy-", "override", "chosen"):
        assert word not in text


def test_a17_connection_cannot_drop_the_token(front, cluster):
    """What Connection names is dropped: the token must not be, or the call would be anonymous."""
    token = cluster.token()
    assert front.ask(ECHO, "Connection: Authorization", token=token).status == 200
    assert cluster.asked()[0].header("authorization") == f"Bearer {token}"


UNKNOWN = {
    "A17-no token": {"token": ""},
    "A17-empty bearer": {"lines": ["Authorization: Bearer "], "token": ""},
    "A17-bearer without a space": {"lines": ["Authorization: Bearer"], "token": ""},
    "A17-basic": {"lines": ["Authorization: Basic YWxpY2U6eA=="], "token": ""},
    "A17-no JWT": {"token": "x"},
    "A17-three dots": {"token": "..."},
    "A17-an unknown cluster": {"cluster": "other"},
    "A17-a cluster that cannot be": {"cluster": "x" * 63},
}


@pytest.mark.parametrize("case", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_strangers_all_get_the_same_answer(front, cluster, case):
    case = dict(case)
    lines = case.pop("lines", [])
    reply = front.ask(ECHO, *lines, **case)
    assert (reply.status, reply.body) == (401, DENIED)
    assert cluster.asked() == []


SMUGGLED = b"GET /clusters/prod/api/v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
FRAMES = {
    "A17-two lengths": (b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),
    "A17-a length and chunks": (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % (len(SMUGGLED) + 5),
        b"0\r\n\r\n" + SMUGGLED,
    ),
    "A17-chunks and a length": (
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"0\r\n\r\n" + SMUGGLED,
    ),
    "A17-chunked, oddly written": (b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "A17-chunked behind a space": (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "A17-chunked on a folded line": (
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"0\r\n\r\n" + SMUGGLED,
    ),
    "A17-chunked twice": (b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "A17-identity": (b"Transfer-Encoding: identity\r\n", SMUGGLED),
    "A17-a signed length": (b"Content-Length: +0\r\n", SMUGGLED),
    "A17-a length with a list": (b"Content-Length: 0, 0\r\n", SMUGGLED),
    "A17-a chunk of odd size": (b"Transfer-Encoding: chunked\r\n", b"0x0\r\n\r\n" + SMUGGLED),
    "A17-a chunk of negative size": (b"Transfer-Encoding: chunked\r\n", b"-1\r\n\r\n" + SMUGGLED),
    "A17-a bare line feed": (b"X: y\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "A17-a bare carriage return": (b"X: y\rContent-Length: 40\r\n", SMUGGLED),
    "A17-NUL in a header": (b"X: \x00\r\n", SMUGGLED),
    "A17-two hosts": (b"Host: other\r\n", SMUGGLED),
}


@pytest.mark.parametrize(("head", "rest"), FRAMES.values(), ids=FRAMES.keys())
def test_no_second_request_is_smuggled(front, cluster, head, rest):
    token = cluster.token().encode()
    data = b"POST /clusters/prod" + ECHO.encode() + b" HTTP/1.1\r\nHost: proxy\r\n"
    data += b"Authorization: Bearer " + token + b"\r\n" + head + b"\r\n" + rest
    replies = front.send(data, 2)
    assert cluster.asked("smuggled") == []
    assert len(cluster.asked()) <= 1
    assert all(reply.status in (200, 400, 401) for reply in replies)


def test_each_request_of_a_connection_shows_its_own_token(front, cluster):
    first, second = front.request(ECHO), front.request(ECHO, token="")
    replies = front.send(first + second + first, 3)
    assert [reply.status for reply in replies] == [200, 401, 200]
    assert len(cluster.asked()) == 2


TARGETS = {
    "A17-two slashes": "//api/v1/secrets",
    "A17-dot segments": "/api/v1/../../clusters/prod/api/v1/nodes",
    "A17-a dot": "/api/./v1/nodes",
    "A17-encoded dots": "/api/v1/%2e%2e/v1/nodes",
    "A17-encoded slash": "/api/v1/namespaces%2fkube-system%2fsecrets",
    "A17-doubly encoded": "/api/v1/%252e%252e",
    "A17-backslash": "/api\\v1",
    "A17-NUL": "/api/v1/%00",
    "A17-fragment": "/api/v1#x",
    "A17-at the end": "/api/v1/namespaces/",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_no_path_in_disguise_reaches_the_cluster(front, cluster, target):
    reply = front.ask(target)
    assert reply.status == 400
    assert cluster.asked() == []


LINES = {
    "A17-absolute form": b"GET https://127.0.0.1/clusters/prod/api HTTP/1.1",
    "A17-absolute form of another host": b"GET http://169.254.169.254/clusters/prod/api HTTP/1.1",
    "A17-CONNECT": b"CONNECT 127.0.0.1:443 HTTP/1.1",
    "A17-asterisk": b"OPTIONS * HTTP/1.1",
    "A17-TRACE": b"TRACE /clusters/prod/api HTTP/1.1",
    "A17-a method of its own": b"GETT /clusters/prod/api HTTP/1.1",
    "A32-HTTP/1.0": b"GET /clusters/prod/api HTTP/1.0",
    "A32-HTTP/0.9": b"GET /clusters/prod/api",
    "A32-HTTP/2.0": b"PRI * HTTP/2.0",
    "A17-two targets": b"GET /clusters/prod/api /clusters/prod/x HTTP/1.1",
    "A17-a tab": b"GET\t/clusters/prod/api\tHTTP/1.1",
    "A17-no UTF-8": b"GET /clusters/prod/\xff\xfe HTTP/1.1",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_no_odd_request_line_reaches_the_cluster(front, cluster, line):
    token = cluster.token().encode()
    replies = front.send(line + b"\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n\r\n")
    assert all(400 <= reply.status < 600 and reply.status != 500 for reply in replies)
    assert cluster.asked() == []


def test_a32_sizes_are_bounded(front, cluster):
    assert front.ask("/" + "a" * 20_000).status in (400, 414)
    assert front.ask(ECHO, f"X: {'y' * 40_000}").status in (400, 431)
    assert front.ask(ECHO, *[f"X-{n}: y" for n in range(200)]).status in (400, 431)
    assert front.ask(ECHO, method="POST", body=b"x" * (5 * 1024 * 1024)).status == 413
    assert front.ask(ECHO, "Content-Encoding: gzip", method="POST", body=b"x").status == 415
    assert cluster.asked() == []


def test_a32_a_body_that_never_comes_is_not_waited_for(front, cluster, monkeypatch):
    monkeypatch.setattr("access.proxy.gateway._BODY_SECONDS", 0.2)
    data = front.request(ECHO, "Content-Length: 10", method="POST")
    (reply,) = front.send(data + b"x")
    assert reply.status == 408
    assert cluster.asked() == []


def test_bodies_pass_whole(front, cluster):
    body = json.dumps({"kind": "Pod", "filler": "x" * 300_000}).encode()
    assert front.ask(ECHO, method="POST", body=body).status == 200
    assert cluster.asked()[0].body == body
    chunked = front.request(ECHO, "Transfer-Encoding: chunked", method="POST")
    front.send(chunked + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    assert cluster.asked()[1].body == b"abcdefg"
    assert cluster.asked()[1].header("content-length") == "7"


def test_a_query_arrives_as_it_was_sent(front, cluster):
    query = "?fieldSelector=a%3Db%2Cc%21%3Dd&container=x%20y&empty=&a=1&a=2"
    front.ask(f"/api/v1/namespaces/acme--shop/pods/p/log{query}")
    assert cluster.asked()[0].target.endswith(query)


def test_redirects_are_passed_and_not_followed(front, cluster):
    cluster.answers[ECHO] = (302, {})
    reply = front.ask(ECHO)
    assert reply.status == 302
    assert len(cluster.asked()) == 1


def test_answers_pass_as_they_are(front, cluster):
    body = b'{"kind":"Status","message":"quota exceeded","code":403}'
    cluster.answers[ECHO] = (403, body)
    reply = front.ask(ECHO)
    assert (reply.status, reply.body) == (403, body)


def test_plain_http_gets_nothing(front, cluster):
    with socket.create_connection(("127.0.0.1", front.port), 5) as sock:
        sock.sendall(front.request(ECHO))
        sock.settimeout(5)
        try:
            answer = sock.recv(100)
        except ConnectionError:
            answer = b""
    assert b"HTTP" not in answer
    assert cluster.asked() == []


def test_it_speaks_no_other_protocol_than_it_says(front):
    with front.connection(alpn=("h2", "http/1.1")) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"


def test_a32_half_a_head_is_not_waited_for_long(cluster, front, monkeypatch):
    """The server's bound is for a whole head, however slowly its bytes drip in."""
    assert 0 < server._IDLE <= 120
    with front.connection() as sock:
        sock.sendall(b"GET /clusters/prod/api HTTP/1.1\r\nHost:")
        assert read_replies(sock, seconds=0.3) == []


def test_the_health_of_the_proxy_is_everybodys(front):
    (reply,) = front.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (reply.status, reply.body) == (200, b"ok\n")
    assert "aiohttp" not in reply.head.lower()


def test_errors_name_no_software(front):
    (reply,) = front.send(b"\x16\x03\x01garbage\r\n\r\n")
    assert reply.status == 400
    assert "aiohttp" not in reply.head.lower()
    assert b"Traceback" not in reply.body


def test_strangers_cannot_fill_the_audit_log(front, cluster):
    for _ in range(5):
        front.ask(ECHO, token="x.y.z")
    front.ask(ECHO)
    recorded = AuditRecord.objects.filter(source="proxy").exclude(grant="")
    eventually(recorded.exists)
    assert not AuditRecord.objects.filter(source="proxy", grant="").exists()
