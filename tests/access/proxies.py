"""A proxy in front of scripted API servers, and clients that speak raw bytes to it."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from django.db import DatabaseError

from access.intents import Verbs
from access.models import AuditRecord
from access.proxy.certificates import authority
from access.proxy.directory import Directory
from access.proxy.snapshot import Open, Snapshot
from reconcile.values import JSON
from tests.access.fake_cluster import FakeCluster
from tests.live.proxied import Proxy


class Fixed:
    """What the proxy would read from the database, as the test says."""

    def __init__(self) -> None:
        self.snapshot, self.broken, self.reads = Snapshot(), False, 0

    def read(self) -> Snapshot:
        """Return it. Raises DatabaseError while it is broken."""
        self.reads += 1
        if self.broken:
            raise DatabaseError("gone")
        return self.snapshot

    def grant(self, cluster: FakeCluster, name: str = "grant-a", **columns: object) -> Open:
        """Open a cluster to a grant of acme."""
        found = Open(
            cluster=cluster.name,
            name=name,
            subject="alice",
            tenant="acme",
            anchor=f"{name}-1",
            anchor_uid=f"uid-of-{name}-1",
            expires_at=time.time() + 3600,
            namespaces=("acme--blog", "acme--shop"),
            verbs=frozenset(Verbs),
        )
        found = replace(found, **columns)  # type: ignore[arg-type]
        self._change({**self.snapshot.grants, found.key: found})
        return found

    def end(self, name: str = "grant-a") -> None:
        """Close everything that a grant has opened."""
        kept = {key: open_ for key, open_ in self.snapshot.grants.items() if key[1] != name}
        self._change(kept)

    def knows(self, *clusters: FakeCluster) -> None:
        """Know the credentials of these clusters."""
        credentials = {cluster.name: cluster.credential for cluster in clusters}
        self.snapshot = Snapshot(self.snapshot.grants, credentials)

    def _change(self, grants: dict[tuple[str, str], Open]) -> None:
        self.snapshot = Snapshot(grants, self.snapshot.credentials)


@dataclass(frozen=True)
class Reply:
    """What came back: status line and headers as text, body as bytes."""

    status: int
    head: str
    body: bytes

    def json(self) -> JSON:
        """The body as JSON."""
        found: JSON = json.loads(self.body)
        return found


@dataclass
class Front:
    """The proxy as a client with a socket sees it."""

    port: int
    cluster: FakeCluster
    grants: Fixed

    @contextmanager
    def connection(self, *, alpn: tuple[str, ...] = ("http/1.1",)) -> Iterator[ssl.SSLSocket]:
        """A TLS connection, the proxy's certificate checked."""
        context = ssl.create_default_context(cadata=authority())
        context.set_alpn_protocols(list(alpn))
        with (
            socket.create_connection(("127.0.0.1", self.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
        ):
            yield sock

    def send(self, data: bytes, replies: int = 1) -> list[Reply]:
        """Send raw bytes; return the answers until the connection ends or there are enough."""
        with self.connection() as sock:
            sock.sendall(data)
            return read_replies(sock, replies)

    def ask(
        self,
        target: str = "/api/v1/namespaces/acme--shop/pods",
        *lines: str,
        method: str = "GET",
        token: str | None = None,
        body: bytes = b"",
        cluster: str = "prod",
    ) -> Reply:
        """Send one request with a good token; `lines` are further headers."""
        data = self.request(target, *lines, method=method, token=token, body=body, cluster=cluster)
        (reply,) = self.send(data)
        return reply

    def request(
        self,
        target: str,
        *lines: str,
        method: str = "GET",
        token: str | None = None,
        body: bytes = b"",
        cluster: str = "prod",
    ) -> bytes:
        """The bytes of a request."""
        bearer = self.cluster.token() if token is None else token
        head = [f"{method} /clusters/{cluster}{target} HTTP/1.1", "Host: proxy"]
        head += [f"Authorization: Bearer {bearer}"] if bearer else []
        head += [f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*head, *lines, "", ""]).encode("latin-1") + body


def read_replies(sock: ssl.SSLSocket, most: int = 1, seconds: float = 10.0) -> list[Reply]:
    """Read answers until there are `most` of them, the other end closes, or time is up."""
    sock.settimeout(seconds)
    found: list[Reply] = []
    pending = b""
    while len(found) < most:
        head, mark, rest = pending.partition(b"\r\n\r\n")
        if mark:
            length = _length(head)
            if length is not None and len(rest) >= length:
                found.append(_reply(head, rest[:length]))
                pending = rest[length:]
                continue
            if b"transfer-encoding: chunked" in head.lower() and _ends(rest):
                found.append(_reply(head, rest))
                pending = b""
                continue
        try:
            chunk = sock.recv(65536)
        except (TimeoutError, ConnectionError, ssl.SSLError):
            chunk = b""
        if not chunk:
            if mark:
                found.append(_reply(head, rest))
            return found
        pending += chunk
    return found


def _ends(body: bytes) -> bool:
    """Whether a body in chunks has its last one."""
    return (b"\r\n" + body).endswith(b"\r\n0\r\n\r\n")


def _length(head: bytes) -> int | None:
    for line in head.decode("latin-1").lower().split("\r\n"):
        if line.startswith("content-length:"):
            return int(line.partition(":")[2])
    return None


def _reply(head: bytes, body: bytes) -> Reply:
    text = head.decode("latin-1")
    return Reply(int(text.split(" ", 2)[1]), text, body)


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    """A scripted API server named prod."""
    with FakeCluster().running() as found:
        yield found


@pytest.fixture
def front(
    cluster: FakeCluster, shared_database: None, settings, tmp_path, django_db_blocker
) -> Iterator[Front]:
    """The proxy in front of it, with one open grant of acme."""
    settings.PROXY_DIR = tmp_path / "proxy"
    grants = Fixed()
    grants.knows(cluster)
    grants.grant(cluster)
    proxy = Proxy(directory=Directory(grants))  # type: ignore[arg-type]
    with django_db_blocker.unblock():
        proxy.start()
        try:
            yield Front(proxy.port, cluster, grants)
        finally:
            proxy.stop()
            AuditRecord.objects.all().delete()  # no transaction takes back what it has recorded


def eventually(reached: Callable[[], bool], seconds: float = 30.0) -> float:
    """Wait until `reached()`; return how long it took."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < seconds, f"not reached in {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - began
