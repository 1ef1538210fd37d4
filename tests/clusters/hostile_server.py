"""A TLS server that behaves as badly as a test wants; it records what reached it."""

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from clusters.kubeconfig import Credential
from tests.clusters.certificates import Issued, authority, issued

Behaviour = Callable[["Exchange"], None]
_REASONABLE = 10.0


class Exchange:
    """One request on one connection: what was asked, and the socket to answer on."""

    def __init__(self, server: "HostileServer", sock: ssl.SSLSocket, head: str, body: bytes):
        self.server = server
        self.sock = sock
        self.head = head
        self.body = body

    @property
    def target(self) -> str:
        """The request target, raw."""
        return self.head.split(" ", 2)[1]

    def header(self, name: str) -> str | None:
        """The value of a header that was sent, None without it."""
        for line in self.head.splitlines()[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def send(self, data: bytes) -> None:
        """Send raw bytes. Raises OSError when the client is gone."""
        self.sock.sendall(data)

    def reply(self, status: int, body: bytes | str = b"", **headers: str) -> None:
        """Send a proper answer; underscores in header names stand for hyphens."""
        content = body.encode() if isinstance(body, str) else body
        sent = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self.send(f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + content)

    def wait(self, seconds: float) -> None:
        """Do nothing for a while, unless the test is over."""
        self.server.over.wait(seconds)


class HostileServer:
    """Listens on 127.0.0.1; `behave` is called for every request, then the connection goes on."""

    def __init__(
        self,
        behave: Behaviour,
        *,
        certificate: Issued | None = None,
        tls: bool = True,
        client_ca: str = "",
    ) -> None:
        self.behave = behave
        self.connections = 0
        self.seen: list[Exchange] = []
        self.client_names: list[str] = []
        self.over = threading.Event()
        self._context = _context(certificate or issued("server", "127.0.0.1"), client_ca)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(_REASONABLE)
        self._listener.close()

    def credential(self, /, **changes: str | None) -> Credential:
        """Return a credential for this server."""
        fields: dict[str, str | None] = {
            "server": f"https://127.0.0.1:{self.port}",
            "ca_pem": authority().pem,
            "token": "secret-token",
        }
        return Credential(**(fields | changes))  # type: ignore[arg-type]

    def _listen(self) -> None:
        while not self.over.is_set():
            with suppress(TimeoutError):
                plain, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(0.2)
        with plain, suppress(OSError):
            if not self._tls:
                self.over.wait(_REASONABLE)
                return
            with self._context.wrap_socket(plain, server_side=True) as sock:
                self._note_client(sock)
                while not self.over.is_set() and self._exchange(sock):
                    pass

    def _note_client(self, sock: ssl.SSLSocket) -> None:
        shown = sock.getpeercert() or {}
        for ((_, name),) in shown.get("subject", ()):  # type: ignore[misc]
            self.client_names.append(str(name))

    def _exchange(self, sock: ssl.SSLSocket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            if self.over.is_set():
                return False
            with suppress(TimeoutError):
                chunk = sock.recv(65536)
                if not chunk:
                    return False
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        exchange = Exchange(self, sock, head.decode(), body)
        length = int(exchange.header("Content-Length") or 0)
        while len(exchange.body) < length:
            exchange.body += sock.recv(65536)
        self.seen.append(exchange)
        sock.settimeout(_REASONABLE)
        self.behave(exchange)
        sock.settimeout(0.2)
        return exchange.sock.fileno() >= 0


def _context(certificate: Issued, client_ca: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate.cert + certificate.key)
        file.flush()
        context.load_cert_chain(Path(file.name))
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca)
    return context
