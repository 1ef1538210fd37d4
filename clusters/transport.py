"""HTTPS to one API server: pinned, bounded in size and time, deaf to the environment.

Configuration and pool are those of the `kubernetes` package; bodies are raw bytes. Never used: its
kubeconfig loaders, its typed API, proxies and CA bundles of the environment, redirects, retries,
compression. Whatever goes wrong on the way is Unreachable, with a message that never flaps.
"""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import structlog
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError, SSLError
from urllib3.response import BaseHTTPResponse

from clusters.addresses import AddressRules, parse_server
from clusters.answers import Answer
from clusters.kubeconfig import Credential
from clusters.paths import Query, Segments, target
from clusters.tls import context_for, set_deadline
from reconcile.deadline import deadline, left, within
from reconcile.errors import Unreachable

log = structlog.get_logger(__name__)

_CHUNK = 64 * 1024
_POOLED = 64  # idle connections kept; more than the threads that a process works with


def load() -> None:
    """Import what connections are made by: 0.6 s and 20 MB that most commands do without."""
    from kubernetes.client import rest  # noqa: F401


@dataclass(frozen=True)
class Limits:
    """Seconds for connecting, between two bytes and for a whole answer; bytes of an answer."""

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0
    answer_bytes: int = 64 * 1024 * 1024


class _PinnedConnection(HTTPSConnection):
    """Dials only addresses that were judged: the name is resolved here and nowhere else."""

    def __init__(self, *args: Any, rules: AddressRules, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rules = rules

    def _new_conn(self) -> socket.socket:
        why = "it has no address"
        with within(float(self.timeout or 0)):
            for address in self._addresses():
                try:
                    sock = socket.create_connection((address, self.port), max(left(), 0.01))
                except OSError as error:
                    why = error.strerror or "it did not answer in time"
                    continue
                for option in self.socket_options or []:
                    sock.setsockopt(*option)
                return sock
        raise Unreachable(f"cannot connect to {self.host}:{self.port}: {why}")

    def _addresses(self) -> list[str]:
        """Resolve the host. One denied address denies them all: an honest name has none."""
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Unreachable(f"the name {self.host} cannot be resolved") from None
        addresses = [str(address[0]) for *_, address in found]
        for address in addresses:
            self._rules.judge(ip_address(address))
        return addresses

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request on a socket that stops at the deadline of the call."""
        set_deadline(self.sock, deadline())
        super().request(*args, **options)


class _PinnedPool(HTTPSConnectionPool):
    ConnectionCls = _PinnedConnection


class Transport:
    """A pool of connections to one API server with one credential.

    Threads may share it, a forked process gets connections of its own, and one that was closed
    opens again when it is used.
    """

    def __init__(
        self, credential: Credential, rules: AddressRules, limits: Limits | None = None
    ) -> None:
        """Check the server's address and the certificates; nothing is dialled yet.

        Raises AddressDenied or Refused, both ClusterErrors.
        """
        self.server = parse_server(credential.server, rules)
        self.limits = limits or Limits()
        self.secrets = (credential.token,) if credential.token else ()
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "kubenova",
        }
        if credential.token:
            self._headers["Authorization"] = f"Bearer {credential.token}"
        self._context = context_for(credential)
        self._rules = rules
        # Made here, so that no call pays for it out of its deadline.
        self._pool: tuple[int, HTTPConnectionPool] | None = (os.getpid(), self._make_pool())

    def _connections(self) -> HTTPConnectionPool:
        """Return the pool of this process: a socket shared with another would mix up answers."""
        mine = self._pool
        if mine is None or mine[0] != os.getpid():
            self._pool = mine = (os.getpid(), self._make_pool())
        return mine[1]

    def _make_pool(self) -> HTTPConnectionPool:
        # Imported at first use: see `load`.
        from kubernetes.client.configuration import Configuration
        from kubernetes.client.rest import RESTClientObject

        # An empty proxy and `*` keep the package from reading them from the environment.
        configuration = Configuration(
            host=f"https://{self.server}",
            proxy="",
            no_proxy="*",
            retries=False,
            connection_pool_maxsize=_POOLED,
        )
        configuration.keep_alive = True
        manager = RESTClientObject(configuration).pool_manager
        manager.pool_classes_by_scheme = {"https": _PinnedPool}
        pool = manager.connection_from_host(
            self.server.host, self.server.port, "https", {"ssl_context": self._context}
        )
        pool.conn_kw["rules"] = self._rules
        return pool

    def request(
        self,
        method: str,
        segments: Segments,
        query: Query = (),
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request, once, and return the whole answer, whatever its status.

        Raises Unreachable, AddressDenied, and Unaddressable (a ValueError) before anything is sent.
        """
        started = time.monotonic()
        sent = self._headers | (headers or {})
        with within(self.limits.total), self._network():
            response = self._open(method, segments, query, body, sent, self.limits.read)
            try:
                content = self._collect(response)
            finally:
                _hand_back(response)
        answer = Answer(response.status, _lower(response), content)
        took = round((time.monotonic() - started) * 1000, 1)
        log.debug(
            "Cluster called",
            method=method,
            path="/".join(segments),
            status=answer.status,
            milliseconds=took,
        )
        return answer

    def lines(
        self, segments: Segments, query: Query, *, seconds: float, longest: int
    ) -> Iterator[Answer | bytes]:
        """Yield the lines of a streamed answer, for at most `seconds`; no quiet moment ends it.

        An answer other than 200 is yielded instead, whole. Lines longer than `longest` bytes are
        cut. Raises as `request` does.
        """
        with self._network():
            with within(seconds):
                response = self._open("GET", segments, query, None, self._headers, seconds)
            try:
                if response.status != 200:
                    yield Answer(response.status, _lower(response), self._collect(response))
                else:
                    yield from _split(response, longest)
            finally:
                _hand_back(response)

    def close(self) -> None:
        """Close all idle connections; one in use is closed when its call ends."""
        mine, self._pool = self._pool, None
        if mine is not None and mine[0] == os.getpid():
            mine[1].close()

    def _open(
        self,
        method: str,
        segments: Segments,
        query: Query,
        body: bytes | None,
        headers: dict[str, str],
        quiet: float,
    ) -> BaseHTTPResponse:
        path = target(segments, query, prefix=self.server.path)
        rest = left()
        if rest <= 0:
            raise Unreachable(f"{self.server} was not asked: the time is up")
        return self._connections().urlopen(
            method,
            path,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            timeout=Timeout(connect=min(self.limits.connect, rest), read=min(quiet, rest)),
            preload_content=False,
            decode_content=False,
        )

    def _collect(self, response: BaseHTTPResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read(_CHUNK, decode_content=False):
            size += len(chunk)
            if size > self.limits.answer_bytes:
                mib = self.limits.answer_bytes // 1024**2
                raise Unreachable(f"the answer of {self.server} is larger than {mib} MiB")
            chunks.append(chunk)
        return b"".join(chunks)

    @contextmanager
    def _network(self) -> Iterator[None]:
        """Say in stable words what the network did; addresses of objects would flap."""
        try:
            yield
        except (ReadTimeoutError, TimeoutError):
            raise Unreachable(f"{self.server} did not answer in time") from None
        except SSLError as error:
            raise Unreachable(f"TLS with {self.server} failed: {_tls_reason(error)}") from None
        except (HTTPError, OSError):
            raise Unreachable(f"the connection to {self.server} broke off") from None


def _tls_reason(error: SSLError) -> str:
    cause = error.args[0] if error.args else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return cause.reason.replace("_", " ").lower()
    return "the connection was closed"


def _lower(response: BaseHTTPResponse) -> dict[str, str]:
    """Return the headers; one that came more than once has all of its values, as RFC 9110 joins."""
    return {name.lower(): response.headers[name] for name in response.headers}


def _hand_back(response: BaseHTTPResponse) -> None:
    """Return the connection to the pool, closed unless the answer was read to its end."""
    if response.connection is not None:  # read to the end, it is released already
        response.close()
    response.release_conn()


def _split(response: BaseHTTPResponse, longest: int) -> Iterator[bytes]:
    pending = b""
    while chunk := response.read1(_CHUNK, decode_content=False):
        *lines, pending = (pending + chunk).split(b"\n")
        yield from (line[:longest] for line in lines)
        if len(pending) > longest:
            yield pending[:longest]
            pending = b""
    if pending:
        yield pending
