"""Reads a kubeconfig as hostile data: a new credential is built from six fields, nothing is run,
opened or dialled.

Whatever else could run, read or reach is refused by its name, so that nobody believes it was used.
Field names are those of `clientcmd/api/v1`.
"""

import binascii
import re
from dataclasses import dataclass, field
from typing import NoReturn

from clusters.addresses import AddressDenied, AddressRules, parse_server
from clusters.certificates import Pair, Unfit, read_chain, read_pair
from clusters.plainyaml import Malformed, Value, load

MAX_BYTES = 256 * 1024

_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_WHY = {
    "exec": "would run a program on our machines: give a token or a client certificate instead",
    "auth-provider": "would run a sign-in plugin: give a token or a client certificate instead",
    "tokenFile": "names a file: give its content as `token`",
    "certificate-authority": "names a file: give its content as `certificate-authority-data`",
    "client-certificate": "names a file: give its content as `client-certificate-data`",
    "client-key": "names a file: give its content as `client-key-data`",
    "proxy-url": "would send the credential through a proxy: remove it",
    "insecure-skip-tls-verify": "TLS is always verified: remove it, give the CA instead",
    "tls-server-name": "would check the certificate of another name: remove it",
    "disable-compression": "has no effect here: remove it",
    "username": "basic authentication is not taken: give a token or a client certificate",
    "password": "basic authentication is not taken: give a token or a client certificate",
    "as": "impersonation is not taken: give a credential of its own",
    "as-uid": "impersonation is not taken: give a credential of its own",
    "as-groups": "impersonation is not taken: give a credential of its own",
    "as-user-extra": "impersonation is not taken: give a credential of its own",
    "extensions": "extensions are not taken: remove them",
}
_TOP = ("apiVersion", "kind", "preferences", "clusters", "users", "contexts", "current-context")
_PARTS = {
    "clusters": ("cluster", ("server", "certificate-authority-data")),
    "users": ("user", ("token", "client-certificate-data", "client-key-data")),
    "contexts": ("context", ("cluster", "user", "namespace")),
}


class KubeconfigRefused(ValueError):
    """`field` is where, as `users[0].user.exec`; `message` is why, with the way out."""

    def __init__(self, field: str, message: str) -> None:
        # A key of the file is part of the path: it may be long and hold anything.
        self.field = field.encode("unicode_escape").decode()[:200]
        super().__init__(f"{self.field}: {message}")
        self.message = message


@dataclass(frozen=True)
class Credential:
    """How to reach one API server and as whom. PEM texts are complete and checked."""

    server: str
    ca_pem: str
    token: str | None = field(default=None, repr=False)
    client_cert_pem: str | None = None
    client_key_pem: str | None = field(default=None, repr=False)


def parse(raw: bytes | str, rules: AddressRules) -> Credential:
    """Return the credential in a kubeconfig: bytes are the file itself, text is its base64.

    Raises KubeconfigRefused naming the field. Opens, runs and resolves nothing.
    """
    config = _load(_decode(raw))
    _allow(config, "", _TOP)
    if config.get("preferences"):
        _refuse("preferences", "must be empty: remove it")
    entries = {part: _only_entry(config, part) for part in _PARTS}
    (cluster_name, cluster), (user_name, user), (name, context) = entries.values()
    _same(config.get("current-context", name), name, "current-context", "contexts[0].name")
    for key, found in (("cluster", cluster_name), ("user", user_name)):
        _same(context.get(key), found, f"contexts[0].context.{key}", f"{key}s[0].name")
    pair = _pair(user)
    credential = Credential(
        server=_server(cluster, rules),
        ca_pem=_ca(cluster),
        token=_token(user),
        client_cert_pem=pair.cert_pem if pair else None,
        client_key_pem=pair.key_pem if pair else None,
    )
    if not (credential.token or pair):
        _refuse("users[0].user", "holds no credential: give `token` or a client certificate")
    return credential


def _refuse(where: str, message: str) -> NoReturn:
    raise KubeconfigRefused(where, message)


def _decode(raw: bytes | str) -> bytes:
    too_long = f"is larger than {MAX_BYTES // 1024} KiB: give only the one context"
    if len(raw) > MAX_BYTES * 2:
        _refuse("kubeconfig", too_long)
    if isinstance(raw, str):
        try:
            raw = binascii.a2b_base64("".join(raw.split()).encode(), strict_mode=True)
        except (binascii.Error, UnicodeError):
            _refuse("kubeconfig", "is not base64: encode the file with `base64`")
    if len(raw) > MAX_BYTES:
        _refuse("kubeconfig", too_long)
    return raw


def _load(raw: bytes) -> dict[str, Value]:
    try:
        config = load(raw)
    except Malformed as error:
        _refuse(error.where or "kubeconfig", error.message)
    if not isinstance(config, dict):
        _refuse("kubeconfig", "is not a kubeconfig: give the file that kubectl uses")
    return config


def _allow(mapping: dict[str, Value], path: str, allowed: tuple[str, ...]) -> None:
    for key in mapping:
        if key not in allowed:
            why = _WHY.get(key, "is not a field that KubeNova takes: remove it")
            _refuse(f"{path}.{key}".lstrip("."), why)


def _mapping(value: Value, path: str) -> dict[str, Value]:
    if not isinstance(value, dict):
        _refuse(path, "must be a mapping")
    return value


def _only_entry(config: dict[str, Value], part: str) -> tuple[Value, dict[str, Value]]:
    """Return name and content of the only entry; all entries are checked, so that each is named."""
    inner, allowed = _PARTS[part]
    entries = config.get(part)
    if not isinstance(entries, list) or not entries:
        _refuse(part, "must be a list with exactly one entry")
    found: list[tuple[Value, dict[str, Value]]] = []
    for index, value in enumerate(entries):
        path = f"{part}[{index}]"
        entry = _mapping(value, path)
        _allow(entry, path, ("name", inner))
        content = _mapping(entry.get(inner), f"{path}.{inner}")
        _allow(content, f"{path}.{inner}", allowed)
        found.append((entry.get("name"), content))
    if len(found) > 1:
        hint = "`kubectl config view --minify --flatten --raw` makes one"
        _refuse(part, f"must have exactly one entry, this has {len(found)}: {hint}")
    return found[0]


def _same(value: Value, expected: Value, where: str, other: str) -> None:
    if value != expected or not isinstance(value, str):
        _refuse(where, f"must be the same text as {other}")


def _text(mapping: dict[str, Value], path: str, key: str) -> str:
    value = mapping.get(key)
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        _refuse(f"{path}.{key}", "must be text")
    return value


def _server(cluster: dict[str, Value], rules: AddressRules) -> str:
    url = _text(cluster, "clusters[0].cluster", "server")
    try:
        parse_server(url, rules)
    except AddressDenied as error:
        _refuse("clusters[0].cluster.server", error.message)
    return url.rstrip("/")


def _token(user: dict[str, Value]) -> str | None:
    token = _text(user, "users[0].user", "token")
    if token and not _TOKEN.fullmatch(token):
        _refuse("users[0].user.token", "is no bearer token: it holds spaces or control characters")
    return token or None


def _data(mapping: dict[str, Value], path: str, key: str) -> bytes:
    try:
        return binascii.a2b_base64(
            "".join(_text(mapping, path, key).split()).encode(), strict_mode=True
        )
    except (binascii.Error, UnicodeError):
        _refuse(f"{path}.{key}", "is not base64")


def _ca(cluster: dict[str, Value]) -> str:
    where = "clusters[0].cluster.certificate-authority-data"
    raw = _data(cluster, "clusters[0].cluster", "certificate-authority-data")
    if not raw:
        _refuse(where, "is required: TLS is always verified, by the cluster's own CA")
    try:
        return read_chain(raw)
    except Unfit as error:
        _refuse(where, str(error))


def _pair(user: dict[str, Value]) -> Pair | None:
    path = "users[0].user"
    cert = _data(user, path, "client-certificate-data")
    key = _data(user, path, "client-key-data")
    if not (cert or key):
        return None
    for name, raw in (("client-certificate-data", cert), ("client-key-data", key)):
        if not raw:
            _refuse(f"{path}.{name}", "is missing: certificate and key come together")
    try:
        return read_pair(cert, key)
    except Unfit as error:
        _refuse(f"{path}.{error.part}", str(error))
