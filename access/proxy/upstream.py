"""Connections to API servers, by the rules of `clusters`: judged addresses, the cluster's own CA.

The client's token goes with each request; KubeNova's own goes only where this module is told so.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
from aiohappyeyeballs import AddrInfoType
from yarl import URL

from access.proxy.answers import Refusal
from clusters.addresses import Server, parse_server
from clusters.kubeconfig import Credential
from clusters.rules import address_rules
from clusters.tls import context_for
from clusters.watch.session import JudgingResolver
from reconcile.errors import ClusterError

Headers = Iterable[tuple[str, str]]

_IDLE = 15.0  # seconds that a connection is kept for the next call; less than API servers do
_SKIPPED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@dataclass(frozen=True)
class Patience:
    """Seconds to connect, and between two bytes of an answer; None for streams."""

    connect: float = 5.0
    read: float | None = 60.0


_USUAL = Patience()
_SHORT = Patience(read=10.0)
ENDLESS = Patience(read=None)


class Upstream:
    """One API server."""

    def __init__(self, credential: Credential) -> None:
        """Check address and CA; nothing is dialled yet. Raises ClusterError."""
        rules = address_rules()
        bare = Credential(credential.server, credential.ca_pem)
        self.server: Server = parse_server(credential.server, rules)
        self.resolver = JudgingResolver(rules)
        self.context: ssl.SSLContext = context_for(bare)
        connector = aiohttp.TCPConnector(
            limit=0,
            ssl=self.context,
            resolver=self.resolver,
            use_dns_cache=False,
            keepalive_timeout=_IDLE,
            socket_factory=_socket,
        )
        self._http = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=_SKIPPED,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    @property
    def host(self) -> str:
        """The server's name as it stands in a URL and in Host."""
        name = self.server.host
        return f"[{name}]:{self.server.port}" if ":" in name else f"{name}:{self.server.port}"

    def target(self, path: str, raw_query: str = "") -> str:
        """Return the request target for a path below the cluster's URL, both as they were sent."""
        query = f"?{raw_query}" if raw_query else ""
        return f"{self.server.path}{path}{query}"

    async def open(
        self,
        method: str,
        target: str,
        headers: Headers,
        *,
        body: bytes | None = None,
        patience: Patience | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request and return the answer, its body not read yet; the caller closes it.

        Raises Refusal (503, 504) for what the network did, in words that are stable.
        """
        wait = patience or _USUAL
        url = URL(f"https://{self.host}{target}", encoded=True)
        if url.raw_path_qs != target:
            raise Refusal(400, "The request would not mean what it says.")
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=wait.connect, sock_read=wait.read, connect=wait.connect * 2
        )
        with _translated():
            return await self._http.request(
                method,
                url,
                headers=list(headers),
                data=body,
                allow_redirects=False,
                timeout=timeout,
            )

    @asynccontextmanager
    async def call(
        self,
        method: str,
        target: str,
        headers: Headers,
        *,
        body: bytes | None = None,
        patience: Patience | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """As `open`; the answer is closed at the end of the block."""
        async with await self.open(
            method, target, headers, body=body, patience=patience
        ) as response:
            yield response

    async def read(
        self, method: str, target: str, headers: Headers, limit: int, body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and the body, of at most `limit` bytes. Raises Refusal."""
        async with self.call(method, target, headers, body=body, patience=_SHORT) as response:
            return response.status, response.headers, await whole(response, limit)


def _socket(address: AddrInfoType) -> socket.socket:
    """A socket that notices when the other end is gone, however quiet a stream is."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


async def chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes. Raises Refusal for what the network did."""
    while True:
        with _translated():
            chunk = await response.content.readany()
        if not chunk:
            return
        yield chunk


async def whole(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body. Raises Refusal, also (502) when it is larger than `limit` bytes."""
    found: list[bytes] = []
    size = 0
    async for chunk in chunks(response):
        size += len(chunk)
        if size > limit:
            raise Refusal(502, "The cluster's answer is too large: narrow the request.")
        found.append(chunk)
    return b"".join(found)


@contextmanager
def _translated() -> Iterator[None]:
    """Say in stable words what the network did: 504 for silence, 503 for the rest."""
    try:
        yield
    except TimeoutError:
        raise Refusal(504, "The cluster did not answer in time.") from None
    except (aiohttp.ClientSSLError, ssl.SSLError):
        raise Refusal(503, "TLS with the cluster failed.") from None
    except ClusterError:
        raise Refusal(503, "The cluster's address is not allowed.") from None
    except aiohttp.ClientConnectorError:
        raise Refusal(503, "The cluster cannot be reached.") from None
    except (aiohttp.ClientError, OSError):
        raise Refusal(503, "The connection to the cluster broke off.") from None


class Upstreams:
    """One `Upstream` per cluster, made anew when its server or CA changes."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[tuple[str, str], Upstream]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, cluster: str, credential: Credential) -> Upstream:
        """Return the way to a cluster. Raises Refusal (503) for a credential of no use."""
        key = (credential.server, credential.ca_pem)
        known = self._made.get(cluster)
        if known and known[0] == key:
            return known[1]
        try:
            made = Upstream(credential)
        except ClusterError:
            raise Refusal(503, "The cluster's address is not allowed.") from None
        self._made[cluster] = (key, made)
        if known:
            self._retire(known[1])
        return made

    def _retire(self, upstream: Upstream) -> None:
        task = asyncio.create_task(upstream.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close them all."""
        for _, upstream in self._made.values():
            await upstream.close()
        await asyncio.gather(*self._closing)
