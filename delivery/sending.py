"""One HTTP request to a server that operators have named: once, bounded, and nowhere else.

The name is resolved here and each address judged before it is dialled (threat A7). No redirect is
followed, no proxy or cookie of the environment is known, and an answer has a size and an end.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address, ip_network

from clusters.addresses import AddressDenied, AddressRules
from delivery.rules.requests import PORTS, Heard, Place

SECONDS = 10.0  # for a whole exchange, and less than a lease lasts
MAX_ANSWER = 256 * 1024  # bytes


class Unsent(Exception):
    """Nothing of the request has left; the text says why."""


class Unheard(Exception):
    """It was sent, and there is no whole answer: what it has done is not known."""


@dataclass(frozen=True)
class Message:
    """What is sent. `networks` are those of its private addresses that are allowed all the same.

    `ca` (PEM) is trusted instead of the authorities of this machine.
    """

    place: Place
    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    networks: Sequence[str] = ()
    ca: str = field(default="", repr=False)


def send(message: Message, seconds: float = SECONDS) -> Heard:
    """Send it and return the answer, whatever its status. Raises Unsent, Unheard."""
    place, until = message.place, time.monotonic() + seconds
    late = f"{place} gave no whole answer within {seconds:.0f} s."
    with _dialled(message, seconds) as sock:
        connection = HTTPConnection(place.host, place.port)
        connection.sock = sock
        try:
            connection.request(message.method, place.path, message.body, _headers(message))
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER + 1)
        except (OSError, HTTPException, ValueError):
            raise Unheard(late) from None
    if time.monotonic() > until:  # what was cut may look like a short answer
        raise Unheard(late)
    if len(content) > MAX_ANSWER:
        raise Unheard(f"{place} answered more than {MAX_ANSWER // 1024} KiB.")
    return Heard(answer.status, content)


def _headers(message: Message) -> Mapping[str, str]:
    place = message.place
    host = place.host if place.port == PORTS[place.scheme] else f"{place.host}:{place.port}"
    ours = {"Host": host, "Accept-Encoding": "identity", "Connection": "close"}
    agent = {"User-Agent": "kubenova"}
    return {**agent, **message.headers, **ours}


@contextmanager
def _dialled(message: Message, seconds: float) -> Iterator[socket.socket]:
    """A connection that is cut when its time is up: a timeout alone begins anew with each byte."""
    held = [_connected(message, seconds)]
    timer = threading.Timer(seconds, _cut, [held])
    timer.daemon = True
    timer.start()
    try:
        if message.place.scheme == "https":
            _secure(held, message)
        yield held[0]
    finally:
        timer.cancel()
        held[0].close()


def _cut(held: Sequence[socket.socket]) -> None:
    """Below TLS, in which another thread waits."""
    with suppress(OSError):
        socket.socket.shutdown(held[0], socket.SHUT_RDWR)


def _connected(message: Message, seconds: float) -> socket.socket:
    place, why = message.place, "it has no address"
    for address in _addresses(place, message.networks):
        try:
            return socket.create_connection((address, place.port), seconds / 2)
        except OSError as error:
            why = error.strerror or "it did not answer in time"
    raise Unsent(f"{place} cannot be reached: {why}. Nothing was sent.")


def _addresses(place: Place, networks: Sequence[str]) -> list[str]:
    """Resolve the host. One denied address denies them all: an honest name has none."""
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unsent(f"The name {place.host} cannot be resolved. Nothing was sent.") from None
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for address in addresses:
        _judge(address, networks)
    return addresses


def _judge(text: str, networks: Sequence[str]) -> None:
    address = ip_address(text)
    inside = any(address in ip_network(network) for network in networks)
    try:
        AddressRules(allow_loopback=inside, allow_private=inside).judge(address)
    except AddressDenied:
        raise Unsent(
            f"{address} is no public address, and none that operators have allowed for this host. "
            "Nothing was sent."
        ) from None


def _secure(held: list[socket.socket], message: Message) -> None:
    """Put TLS on the connection that is held; from then on it is what is cut."""
    place = message.place
    try:
        context = ssl.create_default_context(cadata=message.ca or None)
        held[0] = sock = context.wrap_socket(
            held[0], do_handshake_on_connect=False, server_hostname=place.host
        )
        sock.do_handshake()
    except (OSError, ValueError) as error:
        told = getattr(error, "verify_message", "") or "no TLS connection came about"
        raise Unsent(f"{place} cannot be trusted: {told}. Nothing was sent.") from None
