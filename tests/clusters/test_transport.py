"""The way to an API server, with hostile ones at the other end (A7, A8, A10, A42, F13, F14)."""

import gzip
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.addresses import AddressDenied, AddressRules
from clusters.answers import Answer
from clusters.kubeconfig import Credential
from clusters.transport import Limits, Transport
from reconcile.deadline import within
from reconcile.errors import Refused, Unreachable
from tests.clusters.certificates import authority, issued
from tests.clusters.hostile_server import Behaviour, Exchange, HostileServer

RULES = AddressRules(allow_loopback=True, allow_private=True)
QUICK = Limits(connect=5.0, read=5.0, total=10.0, answer_bytes=1024 * 1024)
VERSION = ("version",)


def ok(exchange: Exchange) -> None:
    exchange.reply(200, '{"kind": "Fine"}')


def transport(at: HostileServer, limits: Limits = QUICK, /, **changes: str | None) -> Transport:
    return Transport(at.credential(**changes), RULES, limits)


def ask(at: HostileServer, limits: Limits = QUICK, /, **changes: str | None) -> Answer:
    return transport(at, limits, **changes).request("GET", VERSION)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# --- What is sent.


def test_it_sends_what_it_means_and_returns_the_answer() -> None:
    with HostileServer(ok) as server:
        answer = transport(server).request(
            "PATCH", ("api", "v1"), (("force", "true"),), body=b"{}", headers={"X-Type": "a"}
        )
    (seen,) = server.seen
    assert seen.head.startswith("PATCH /api/v1?force=true HTTP/1.1")
    assert seen.header("Authorization") == "Bearer secret-token"
    assert seen.header("Accept-Encoding") == "identity"
    assert seen.header("Accept") == "application/json"
    assert seen.header("X-Type") == "a"
    assert seen.body == b"{}"
    assert (answer.status, answer.body) == (200, b'{"kind": "Fine"}')
    assert answer.headers["content-type"] == "application/json"


def test_it_sends_no_authorization_without_a_token() -> None:
    with HostileServer(ok) as server:
        ask(server, token=None)
    assert server.seen[0].header("Authorization") is None


def test_it_keeps_the_path_of_the_servers_url() -> None:
    with HostileServer(ok) as server:
        ask(server, server=f"https://127.0.0.1:{server.port}/k8s/clusters/c-1")
    assert server.seen[0].target == "/k8s/clusters/c-1/version"


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_it_never_sends_a_segment_that_would_move_a10(name: str) -> None:
    with HostileServer(ok) as server, pytest.raises(ValueError, match="nothing was sent"):
        transport(server).request("GET", ("api", name, "x"))
    assert server.connections == 0


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("../../b/secrets/victim", "..%2F..%2Fb%2Fsecrets%2Fvictim"),
        ("x?dryRun=All&force=false#y", "x%3FdryRun%3DAll%26force%3Dfalse%23y"),
        ("%2e%2e", "%252e%252e"),
    ],
    ids=["climbing", "query", "encoded_twice"],
)
def test_it_sends_syntax_in_a_segment_as_text_a10_a11(name: str, sent: str) -> None:
    with HostileServer(ok) as server:
        transport(server).request("GET", ("api", name))
    assert server.seen[0].target == f"/api/{sent}"


def test_it_shows_its_client_certificate() -> None:
    client = issued("olga")
    with HostileServer(ok, client_ca=authority().pem) as server:
        ask(server, token=None, client_cert_pem=client.cert, client_key_pem=client.key)
    assert server.client_names == ["olga"]


def test_it_leaves_no_key_on_the_disk_or_in_a_descriptor(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    client, before = issued("olga"), open_files()
    with HostileServer(ok) as server:
        inside = open_files()
        transport(server, client_cert_pem=client.cert, client_key_pem=client.key)
        assert open_files() == inside
    assert open_files() <= before
    assert list(tmp_path.iterdir()) == []


# --- Whom it trusts.


@pytest.mark.parametrize(
    ("serve", "changes", "why"),
    [
        pytest.param({}, {"ca_pem": authority("other").pem}, "issuer", id="other_ca"),
        pytest.param(
            {"certificate": issued("server", "10.0.0.1")}, {}, "not valid for", id="other_host"
        ),
        pytest.param({"client_ca": authority().pem}, {}, "127", id="no_client_certificate"),
    ],
)
def test_it_refuses_tls_that_it_cannot_verify(
    serve: dict[str, Any], changes: dict[str, str], why: str
) -> None:
    with HostileServer(ok, **serve) as server, pytest.raises(Unreachable, match=why):
        ask(server, **changes)
    assert server.seen == []


def test_it_trusts_a_certificate_that_is_its_own_anchor() -> None:
    """As kubectl does: the CA of a kubeconfig may be the very certificate of the server."""
    certificate = issued("server", "127.0.0.1")
    with HostileServer(ok, certificate=certificate) as server:
        assert ask(server, ca_pem=certificate.cert).status == 200


def test_it_refuses_certificates_that_openssl_refuses() -> None:
    credential = Credential("https://prod.example.com", "no certificate at all", token="t")
    with pytest.raises(Refused, match="cannot be used"):
        Transport(credential, RULES)


def test_it_is_deaf_to_the_environment_a42(monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(ok) as proxy, HostileServer(ok) as server:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert ask(server).status == 200
    assert proxy.connections == 0


def test_it_trusts_no_ca_of_the_environment_a42(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(authority().pem)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with HostileServer(ok) as server, pytest.raises(Unreachable, match="TLS"):
        ask(server, ca_pem=authority("other").pem)
    assert not (tmp_path / "keys").exists()


# --- Where it goes.


def test_it_does_not_follow_a_redirect_and_keeps_the_token_a7() -> None:
    with HostileServer(ok) as thief:
        where = f"https://127.0.0.1:{thief.port}/"
        with HostileServer(lambda exchange: exchange.reply(302, Location=where)) as server:
            answer = ask(server)
    assert answer.status == 302
    assert thief.connections == 0
    assert len(server.seen) == 1


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let names resolve to what the test says, as a hostile DNS server does."""
    asked = socket.getaddrinfo

    def resolve(*addresses: str) -> None:
        def answer(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
            if host != "cluster.example.com":
                return asked(host, port, *args, **options)
            return [entry for one in addresses for entry in asked(one, port, *args, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return resolve


def named(server: HostileServer) -> Transport:
    return transport(server, server=f"https://cluster.example.com:{server.port}")


def test_it_judges_a_name_at_every_connection_a7(resolver: Callable[..., None]) -> None:
    certificate = issued("server", "cluster.example.com")

    def once(exchange: Exchange) -> None:
        exchange.reply(200, "{}", Connection="close")

    with HostileServer(once, certificate=certificate) as server:
        way = named(server)
        resolver("127.0.0.1")
        assert way.request("GET", VERSION).status == 200
        resolver("169.254.169.254")
        with pytest.raises(AddressDenied, match="link-local"):
            way.request("GET", VERSION)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1", "169.254.169.254"), ("::ffff:127.0.0.1",), ("0.0.0.0",)],
    ids=["one_of_two", "mapped", "unspecified"],
)
def test_it_dials_no_name_with_a_denied_address_a7(
    resolver: Callable[..., None], addresses: tuple[str, ...]
) -> None:
    with HostileServer(ok) as server:
        resolver(*addresses)
        with pytest.raises(AddressDenied):
            named(server).request("GET", VERSION)
    assert server.connections == 0


def test_it_tries_the_next_address_of_a_name(resolver: Callable[..., None]) -> None:
    certificate = issued("server", "cluster.example.com")
    with HostileServer(ok, certificate=certificate) as server:
        resolver("127.0.0.2", "127.0.0.1")
        assert named(server).request("GET", VERSION).status == 200


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    credential = Credential("https://nowhere.invalid", authority().pem, token="t")
    with pytest.raises(Unreachable, match=r"nowhere\.invalid cannot be resolved"):
        Transport(credential, RULES).request("GET", VERSION)


def test_a_server_that_is_not_there_is_unreachable_in_stable_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    credential = Credential(f"https://127.0.0.1:{port}", authority().pem, token="t")
    messages = set()
    for _ in range(2):
        with pytest.raises(Unreachable) as unreachable:
            Transport(credential, RULES).request("GET", VERSION)
        messages.add(str(unreachable.value))
    assert messages == {f"cannot connect to 127.0.0.1:{port}: Connection refused"}


# --- How much and how long.


def endless(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not exchange.server.over.is_set():
        exchange.send(b" " * 65536)


def endless_chunks(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not exchange.server.over.is_set():
        exchange.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


def lying(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    while not exchange.server.over.is_set():
        exchange.send(b" " * 65536)


@pytest.mark.parametrize("behave", [endless, endless_chunks, lying])
def test_it_cuts_an_endless_answer_a8(behave: Behaviour) -> None:
    with HostileServer(behave) as server, pytest.raises(Unreachable, match="larger than 1 MiB"):
        ask(server, Limits(total=20.0, answer_bytes=1024 * 1024))


def drip(first: bytes, each: bytes) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        exchange.send(first)
        while not exchange.server.over.is_set():
            exchange.send(each)
            exchange.wait(0.05)

    return behave


BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(drip(BODY, b" "), id="body"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX: ", b"y"), id="header"),
        pytest.param(drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="continue_for_ever"),
        pytest.param(
            drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"), id="size"
        ),
        pytest.param(lambda exchange: exchange.wait(10), id="silence"),
    ],
)
def test_it_stops_at_the_deadline_however_bytes_drip_f13(behave: Behaviour) -> None:
    started = time.monotonic()
    with HostileServer(behave) as server, pytest.raises(Unreachable, match="in time"):
        ask(server, Limits(connect=0.5, read=5.0, total=0.6))
    assert 0.5 < time.monotonic() - started < 3.0


def test_it_gives_up_on_a_tls_handshake_that_hangs_f13() -> None:
    started = time.monotonic()
    with HostileServer(ok, tls=False) as server, pytest.raises(Unreachable, match="in time"):
        ask(server, Limits(connect=0.3, read=5.0, total=10.0))
    assert time.monotonic() - started < 3.0


def test_a_block_has_one_deadline_for_all_its_calls() -> None:
    with HostileServer(ok) as server:
        way = transport(server, Limits(total=20.0))
        with within(0.3):
            assert way.request("GET", VERSION).status == 200
            server.behave = lambda exchange: exchange.wait(10)
            with pytest.raises(Unreachable, match="in time"):
                way.request("GET", VERSION)
            with pytest.raises(Unreachable, match="the time is up"):
                way.request("GET", VERSION)
    assert len(server.seen) == 2


def test_it_does_not_inflate_a_bomb_a8() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    def behave(exchange: Exchange) -> None:
        exchange.reply(200, bomb, Content_Encoding="gzip")

    with HostileServer(behave) as server:
        assert ask(server).body == bomb


def test_a_connection_that_breaks_off_is_asked_only_once_f14() -> None:
    def behave(exchange: Exchange) -> None:
        exchange.sock.close()

    with HostileServer(behave) as server, pytest.raises(Unreachable, match="broke off"):
        ask(server)
    assert len(server.seen) == 1


def test_an_answer_that_is_cut_is_no_answer() -> None:
    def behave(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        exchange.sock.close()

    with HostileServer(behave) as server, pytest.raises(Unreachable, match="broke off"):
        ask(server)


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-OpenSSH\r\n", b"\x00" * 100, b"HTTP/1.1 abc\r\n\r\n"]
)
def test_garbage_is_unreachable(garbage: bytes) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.send(garbage)
        exchange.sock.close()

    with HostileServer(behave) as server, pytest.raises(Unreachable):
        ask(server)


# --- Connections.


def test_it_uses_a_connection_again() -> None:
    with HostileServer(ok) as server:
        way = transport(server)
        for _ in range(3):
            way.request("GET", VERSION)
    assert server.connections == 1


def test_it_opens_a_new_connection_when_the_old_one_was_cut_short() -> None:
    with HostileServer(endless) as server:
        way = transport(server, Limits(total=20.0, answer_bytes=1024))
        with pytest.raises(Unreachable):
            way.request("GET", VERSION)
        server.behave = ok
        assert way.request("GET", VERSION).status == 200
    assert server.connections == 2


def test_what_was_left_of_an_answer_is_never_taken_for_the_next() -> None:
    def behave(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
        exchange.send(b" " * 65536)
        exchange.wait(0.3)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")

    with HostileServer(behave) as server:
        way = transport(server, Limits(total=20.0, answer_bytes=1024))
        with pytest.raises(Unreachable):
            way.request("GET", VERSION)
        server.behave = ok
        assert way.request("GET", VERSION).body == b'{"kind": "Fine"}'


def test_it_opens_again_after_it_was_closed() -> None:
    with HostileServer(ok) as server:
        way = transport(server)
        way.request("GET", VERSION)
        way.close()
        assert way.request("GET", VERSION).status == 200
    assert server.connections == 2


def test_a_forked_process_has_connections_of_its_own() -> None:
    with HostileServer(ok) as server:
        way = transport(server)
        way.request("GET", VERSION)
        child = os.fork()
        if not child:
            os._exit(0 if way.request("GET", VERSION).status == 200 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert way.request("GET", VERSION).status == 200
    assert server.connections == 2


# --- Streams.


def lines(server: HostileServer, seconds: float = 1.0, longest: int = 10) -> list[Answer | bytes]:
    return list(transport(server).lines(VERSION, (), seconds=seconds, longest=longest))


def test_it_yields_lines_as_they_come_and_cuts_long_ones() -> None:
    def behave(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one\ntw", b"o\n", b"x" * 30 + b"\nlast"):
            exchange.send(b"%x\r\n%b\r\n" % (len(part), part))
        exchange.send(b"0\r\n\r\n")

    with HostileServer(behave) as server:
        assert lines(server) == [b"one", b"two", b"x" * 10, b"last"]


def test_it_yields_the_whole_answer_when_there_is_no_stream() -> None:
    with HostileServer(lambda exchange: exchange.reply(404, "gone")) as server:
        (answer,) = lines(server)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (404, b"gone")


def test_a_line_that_never_ends_is_cut_in_pieces() -> None:
    with HostileServer(endless) as server:
        way = transport(server).lines(VERSION, (), seconds=5.0, longest=100)
        pieces = [next(way) for _ in range(3)]
    assert all(isinstance(piece, bytes) and len(piece) <= 100 for piece in pieces)


def test_a_stream_ends_at_its_deadline() -> None:
    with HostileServer(drip(BODY, b"\n")) as server, pytest.raises(Unreachable, match="in time"):
        lines(server, seconds=0.4)
