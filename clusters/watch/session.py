"""HTTP to one API server on asyncio, by the rules of `clusters.transport`."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from clusters.addresses import AddressRules, parse_server
from clusters.answers import Answer, error_of, json_of
from clusters.kubeconfig import Credential
from clusters.paths import Query, Segments, target
from clusters.tls import context_for
from clusters.transport import Limits
from reconcile.errors import Unreachable
from reconcile.values import JSON

Opened = tuple[aiohttp.ClientResponse, asyncio.Timeout]

_CHUNK = 64 * 1024
_MAX_LINE = 4 * 1024 * 1024  # etcd holds objects of at most 1.5 MiB


class Silent(Unreachable):
    """Not a byte for too long: most likely nothing happened, possibly the watch is dead."""


class Interrupted(Unreachable):
    """A watch of a cluster that had just answered broke: the next list says whether it is there."""


class JudgingResolver(AbstractResolver):
    """Resolves a name and judges every address; what was judged is what is dialled."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises AddressDenied, OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        for *_, address in found:
            self._rules.judge(ip_address(address[0]))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Session:
    """Connections to one API server with one credential. An async context manager."""

    def __init__(self, credential: Credential, rules: AddressRules, limits: Limits) -> None:
        """Check address and certificates; nothing is dialled yet. Raises ClusterError."""
        self.server = parse_server(credential.server, rules)
        self.limits = limits
        self.secrets = (credential.token,) if credential.token else ()
        self._rules = rules
        self._context = context_for(credential)
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        self._headers["User-Agent"] = "kubenova-watch"
        if credential.token:
            self._headers["Authorization"] = f"Bearer {credential.token}"
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0, ssl=self._context, resolver=JudgingResolver(self._rules), use_dns_cache=False
        )
        self._http = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http:
            await self._http.close()

    async def read(self, segments: Segments, query: Query = (), *, accept: str = "") -> JSON:
        """GET one JSON object, in another form where `accept` asks for one. Raises ClusterError."""
        async with self._get(segments, query, accept) as (response, _):
            return json_of(await self._whole(response), self.secrets)

    async def lines(
        self, segments: Segments, query: Query, *, silence: float, accept: str = ""
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a streamed answer until the server ends it.

        Raises ClusterError; `silence` seconds without a byte are Unreachable.
        """
        async with self._get(segments, query, accept) as (response, deadline):
            if response.status != 200:
                raise error_of(await self._whole(response), self.secrets)
            pending = b""
            while chunk := await self._chunk(response, deadline, silence):
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    yield line
                if len(pending) > _MAX_LINE:
                    raise Unreachable(f"a line of {self.server} does not end")
            if pending:
                raise Unreachable(f"the connection to {self.server} broke off")

    async def _chunk(
        self, response: aiohttp.ClientResponse, deadline: asyncio.Timeout, silence: float
    ) -> bytes:
        """Return what has arrived within `silence` seconds. Raises Silent."""
        # The deadline of the request would cancel the reader, wherever that is: it ends here.
        deadline.reschedule(None)
        try:
            async with asyncio.timeout(silence):
                return await response.content.readany()
        except TimeoutError:
            raise Silent(f"{self.server} said nothing for {silence:.0f} s") from None

    async def _whole(self, response: aiohttp.ClientResponse) -> Answer:
        chunks: list[bytes] = []
        size = 0
        while chunk := await response.content.read(_CHUNK):
            size += len(chunk)
            if size > self.limits.answer_bytes:
                raise Unreachable(f"the answer of {self.server} is too large")
            chunks.append(chunk)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, b"".join(chunks))

    @asynccontextmanager
    async def _get(
        self, segments: Segments, query: Query, accept: str = ""
    ) -> AsyncIterator[Opened]:
        """Send one request, within its deadline; say in stable words what the network did."""
        if self._http is None:
            raise RuntimeError("the session was not entered")
        path = target(segments, query, prefix=self.server.path)
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        url = URL(f"https://{host}:{self.server.port}{path}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.limits.connect)
        form = {"Accept": accept} if accept else None
        try:
            async with (
                asyncio.timeout(self.limits.total) as deadline,
                self._http.get(
                    url, headers=form, allow_redirects=False, timeout=timeout
                ) as response,
            ):
                yield response, deadline
        except (aiohttp.ClientSSLError, ssl.SSLError):
            raise Unreachable(f"TLS with {self.server} failed") from None
        except TimeoutError:
            raise Unreachable(f"{self.server} did not answer in time") from None
        except aiohttp.ClientConnectorError:
            raise Unreachable(f"cannot connect to {self.server}") from None
        except (aiohttp.ClientError, OSError):
            raise Unreachable(f"the connection to {self.server} broke off") from None
