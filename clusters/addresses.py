"""Which servers KubeNova may talk to: https only, and no address that reaches its own surroundings.

A host name is judged when it is resolved, at every connection; what is judged is what is dialled.
"""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from reconcile.errors import Refused

Address = IPv4Address | IPv6Address

# Link-local and metadata services hand out the credentials of the machine that asks.
_NEVER = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fd00:ec2::254/128",
        "ff00::/8",
    )
)
_TRANSLATED = ip_network("64:ff9b::/96")  # RFC 6052
_SERVER = re.compile(
    r"https://(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>(?:/[A-Za-z0-9._~:-]{1,63}){0,16})/?"
)
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class AddressDenied(Refused, ValueError):
    """The address is not one that KubeNova talks to; the message says which rule denies it."""


@dataclass(frozen=True)
class AddressRules:
    """What the settings allow beside public addresses."""

    allow_loopback: bool = False
    allow_private: bool = False

    def judge(self, address: Address) -> None:
        """Raise AddressDenied for an address that must not be dialled.

        Addresses that carry an IPv4 address inside are judged by that one; IPv4-mapped ones are
        never needed and always denied.
        """
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped:
                raise AddressDenied(f"{address} is an IPv4-mapped address: write the IPv4 address")
            inner = _inner(address)
            if inner is not None:
                self.judge(inner)
        if any(address in network for network in _NEVER):
            raise AddressDenied(f"{address} is a link-local, metadata or multicast address")
        if address.is_loopback and not self.allow_loopback:
            raise AddressDenied(
                f"{address} is a loopback address: KUBENOVA_CLUSTER_ALLOW_LOOPBACK allows them"
            )
        if not (address.is_global or address.is_loopback or self.allow_private):
            raise AddressDenied(
                f"{address} is a private address: KUBENOVA_CLUSTER_ALLOW_PRIVATE allows them"
            )


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or (address.teredo[1] if address.teredo else None)


@dataclass(frozen=True)
class Server:
    """A server URL in parts: `host` without brackets, `path` empty or with a leading slash only."""

    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_server(url: str, rules: AddressRules) -> Server:
    """Take a server URL apart. Raises AddressDenied (a ValueError) when a rule denies it."""
    if not url.startswith("https://"):
        raise AddressDenied("must be an https:// URL")
    for mark, what in (("@", "user information"), ("?", "a query"), ("#", "a fragment")):
        if mark in url:
            raise AddressDenied(f"must not hold {what}")
    match = _SERVER.fullmatch(url)
    if not match:
        raise AddressDenied("must be https://host[:port][/path], plain ASCII letters and digits")
    host, path = match["host"].strip("[]").lower(), match["path"]
    if any(segment in (".", "..") for segment in path.split("/")):
        raise AddressDenied("must not hold dot segments in its path")
    _judge_host(host, literal_v6=match["host"].startswith("["), rules=rules)
    port = int(match["port"] or 443)
    if port > 65535:
        raise AddressDenied("has a port above 65535")
    return Server(host, port, path)


def _judge_host(host: str, *, literal_v6: bool, rules: AddressRules) -> None:
    if literal_v6:
        rules.judge(_literal(host))
        return
    name = host.removesuffix(".")
    if _looks_numeric(name):
        rules.judge(_literal(name))
        return
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise AddressDenied("has a host that is no DNS name")
    if name.rpartition(".")[2] == "localhost" and not rules.allow_loopback:
        raise AddressDenied(
            "localhost is a loopback address: KUBENOVA_CLUSTER_ALLOW_LOOPBACK allows them"
        )


def _looks_numeric(name: str) -> bool:
    """Whether resolvers take it as an IPv4 address, by the rule of the WHATWG URL standard."""
    last = name.rpartition(".")[2]
    return last.isdigit() or re.fullmatch(r"0[xX][0-9a-fA-F]*", last) is not None


def _literal(host: str) -> Address:
    """Return a literal address; refuse decimal, hex, octal and short forms, naming the meaning."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        meant = ip_address(socket.inet_aton(host))
    except (OSError, ValueError):
        raise AddressDenied("has a host that is neither a DNS name nor an address") from None
    raise AddressDenied(f"hides an address: write it as {meant}")
