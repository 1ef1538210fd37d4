"""A scripted API server on real TLS that writes down every byte of what reaches it.

It signs and publishes keys as a real one, so the proxy in front of it does all of its work. After
`101 Switching Protocols` it sends everything back in upper case.
"""

import asyncio
import json
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from clusters.kubeconfig import Credential
from reconcile.values import JSON
from tests.clusters.certificates import authority

ISSUER = "https://kubernetes.default.svc.cluster.local"
NAMESPACES = ("acme--blog", "acme--shop", "globex--shop", "kube-system")
HOLD = object()  # an answer that never comes


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The only value of a header, empty without any."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, found
        return found[0] if found else ""


@dataclass
class FakeCluster:
    """One scripted API server; `answers` are tried first: target → (status, body) or HOLD."""

    name: str = "prod"
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    kid: str = "key-1"
    publishes_keys: bool = True
    alive: Callable[[str], bool] = lambda token: True
    answers: dict[str, tuple[int, object]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    open: int = 0
    streams: int = 0
    port: int = 0

    # --- Tokens.

    def token(self, name: str = "grant-a", anchor: str = "grant-a-1", **changed: object) -> str:
        """A token of a grant, as the cluster issues it; claims are changed or (None) left out."""
        now = int(time.time())
        claims: JSON = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "sub": f"system:serviceaccount:kubenova-grants:{name}",
            "kubernetes.io": {
                "namespace": "kubenova-grants",
                "serviceaccount": {"name": name, "uid": f"uid-of-{name}"},
                "secret": {"name": anchor, "uid": f"uid-of-{anchor}"},
            },
        }
        claims |= changed
        kept = {key: value for key, value in claims.items() if value is not None}
        return jwt.encode(kept, self.key, "RS256", {"kid": self.kid})

    @property
    def credential(self) -> Credential:
        """KubeNova's own, as it would have been issued."""
        account = {"namespace": "kubenova-system", "serviceaccount": {"name": "kubenova"}}
        own = self.token(**{"kubernetes.io": account})
        return Credential(f"https://127.0.0.1:{self.port}", authority().pem, token=own)

    # --- What it has been asked, and what it answers.

    def asked(self, word: str = "") -> list[Seen]:
        """The requests that are not the proxy's own, those whose target holds the word."""
        own = ("/openid/", "/apis/authentication.k8s.io/", "kubenova-namespaces/token")
        mine = (seen for seen in self.seen if not any(part in seen.target for part in own))
        return [seen for seen in mine if word in seen.target]

    def reply(self, seen: Seen) -> tuple[int, object]:
        """The answer to a request."""
        path = seen.target.partition("?")[0]
        if path in self.answers:
            return self.answers[path]
        if path == "/openid/v1/jwks":
            return self._keys(seen.header("accept"))
        if path.endswith("/tokenreviews"):
            return 201, self._review(json.loads(seen.body)["spec"]["token"])
        if path.endswith("/kubenova-namespaces/token"):
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
            return 201, {"status": {"token": "reader.of.namespaces", "expirationTimestamp": until}}
        if path == "/api/v1":
            return 200, {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]}
        if path == "/api/v1/namespaces":
            items = [{"metadata": {"name": name}} for name in NAMESPACES]
            return 200, {"kind": "NamespaceList", "metadata": {}, "items": items}
        return 200, {"kind": "Echo", "path": seen.target}

    def _keys(self, accept: str) -> tuple[int, object]:
        """As a real API server: keys have one media type, and whoever takes no such gets 406."""
        if not self.publishes_keys:
            return 404, {}
        if "application/jwk-set+json" not in accept:
            return 406, {}
        return 200, {"keys": [self._jwk()]}

    def _jwk(self) -> JSON:
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": "RS256", "use": "sig"}

    def _review(self, token: str) -> JSON:
        sub = jwt.decode(token, options={"verify_signature": False})["sub"]
        return {"status": {"authenticated": self.alive(token), "user": {"username": sub}}}

    # --- The wire.

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.open += 1
        try:
            while seen := await _read(reader):
                self.seen.append(seen)
                if not await self._answer(seen, reader, writer):
                    return
        except (OSError, EOFError, asyncio.CancelledError):
            return
        finally:
            self.open -= 1
            writer.close()

    async def _answer(
        self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        status, body = self.reply(seen)
        if body is HOLD:
            await reader.read()
            return False
        if seen.header("upgrade") and status == 200:
            await _echo(seen, reader, writer)
            return False
        if isinstance(body, list):  # a stream of these lines that stays open
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            for line in body:
                writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.streams += 1
            try:
                await writer.drain()
                await reader.read()
            finally:
                self.streams -= 1
            return False
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(sent)}\r\nLocation: https://evil.example.org/\r\n\r\n"
        writer.write(head.encode() + sent)
        await writer.drain()
        return True

    @contextmanager
    def running(self) -> Iterator["FakeCluster"]:
        """Serve in a thread until the end of the block."""
        loop, up = asyncio.new_event_loop(), threading.Event()
        stop = asyncio.Event()
        issued = authority().issue("api", "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(issued.cert + issued.key)
            file.flush()
            context.load_cert_chain(file.name)

        async def run() -> None:
            server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
            self.port = server.sockets[0].getsockname()[1]
            up.set()
            await stop.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
        thread.start()
        assert up.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)
            loop.close()


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    with suppress(asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = tuple((name, value.strip()) for name, _, value in pairs)
        length = next((value for name, value in headers if name.lower() == "content-length"), "0")
        return Seen(method, target, headers, await reader.readexactly(int(length)))
    return None


async def _echo(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    protocol = seen.header("upgrade")
    head = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n"
    head += "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\nX-Secret: 1\r\n\r\n"
    writer.write(head.encode())
    while data := await reader.read(65536):
        writer.write(data.upper())
        await writer.drain()
