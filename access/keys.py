"""The keys that sign tokens: a ring in one file, several at a time, so that they rotate online.

The file is `settings.JWT_KEY_FILE`, mode 0600, made at first run. It holds RS256 key pairs and
HS256 secrets; only keys of the configured algorithm are ever used, so no token can choose how it is
verified.
"""

import json
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from jwt.algorithms import RSAAlgorithm

from reconcile.values import JSON
from vault.files import locked, read, read_or_make
from vault.files import replace as replace_file

ALGORITHMS = ("RS256", "HS256")
RSA_BITS = 3072
SECRET_BYTES = 64
# A new key is published this long before it signs: every process and machine knows it by then.
ANNOUNCED_SECONDS = 300


class BadKeyFile(Exception):
    """The key file cannot be used; the message says why, never what is in it."""


@dataclass(frozen=True)
class SigningKey:
    """One key: its id, what it signs with from when on (seconds since 1970)."""

    kid: str
    algorithm: str
    material: str = field(repr=False)
    signs_from: int = 0

    @classmethod
    def make(cls, algorithm: str, signs_from: int) -> Self:
        """Return a new random key."""
        return cls(secrets.token_hex(8), algorithm, _material(algorithm), signs_from)

    @property
    def private(self) -> rsa.RSAPrivateKey | bytes:
        """What it signs with."""
        return _loaded(self.algorithm, self.material)

    @property
    def public(self) -> rsa.RSAPublicKey | bytes:
        """What its signatures are verified with."""
        private = self.private
        return private if isinstance(private, bytes) else private.public_key()

    def as_jwk(self) -> JSON | None:
        """Return the public key (RFC 7517); None for a secret, which is never published."""
        public = self.public
        if isinstance(public, bytes):
            return None
        jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
        kept = {name: jwk[name] for name in ("kty", "n", "e")}
        return {**kept, "kid": self.kid, "use": "sig", "alg": self.algorithm}


@dataclass(frozen=True)
class KeyRing:
    """Every key in the file, of one or both algorithms."""

    keys: tuple[SigningKey, ...]

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read the file: {"keys": [{"kid", "algorithm", "material", "signs_from"}]}.

        Raises BadKeyFile, never quoting the content.
        """
        try:
            keys = tuple(SigningKey(**entry) for entry in json.loads(content)["keys"])
            for key in keys:
                if key.algorithm not in ALGORITHMS or not isinstance(key.signs_from, int):
                    raise BadKeyFile("The key file holds a key of unknown kind.")
                _loaded(key.algorithm, key.material)
        except (ValueError, KeyError, TypeError):
            raise BadKeyFile("The key file is not JSON of the expected shape.") from None
        return cls(keys)

    def dump(self) -> bytes:
        """Write the file."""
        return json.dumps({"keys": [asdict(key) for key in self.keys]}, indent=1).encode() + b"\n"

    def of(self, algorithm: str) -> tuple[SigningKey, ...]:
        """Return the keys of an algorithm, the newest first."""
        found = [key for key in self.keys if key.algorithm == algorithm]
        return tuple(sorted(found, key=lambda key: key.signs_from, reverse=True))

    def signer(self, algorithm: str, now: float) -> SigningKey | None:
        """Return the key that signs now: the newest that has been announced long enough."""
        return next((key for key in self.of(algorithm) if key.signs_from <= now), None)

    def find(self, algorithm: str, kid: str) -> SigningKey | None:
        """Return the key of that id and algorithm, signing yet or not."""
        return next((key for key in self.of(algorithm) if key.kid == kid), None)

    def with_key(self, key: SigningKey) -> Self:
        """Return the ring with one more key."""
        return replace(self, keys=(key, *self.keys))

    def without(self, kids: Iterable[str]) -> Self:
        """Return the ring without these keys."""
        gone = frozenset(kids)
        return replace(self, keys=tuple(key for key in self.keys if key.kid not in gone))

    def superseded(self, algorithm: str, before: float) -> tuple[SigningKey, ...]:
        """Return the keys whose successor has been signing since before that time."""
        keys = self.of(algorithm)
        return tuple(old for newer, old in pairwise(keys) if newer.signs_from <= before)


def key_ring() -> KeyRing:
    """Return the ring as the file has it now, with a key of the configured algorithm in it."""
    path, algorithm = settings.JWT_KEY_FILE, settings.JWT_ALGORITHM
    if not path.exists():
        read_or_make(path, lambda: KeyRing((SigningKey.make(algorithm, 0),)).dump())
    stat = path.stat()
    # A change of content, place or mode changes the time: the mode is checked anew then.
    ring = _parsed(path, stat.st_ctime_ns, stat.st_ino)
    return ring if ring.of(algorithm) else add_key(at_once=True, unless_any=True)


def add_key(*, at_once: bool = False, unless_any: bool = False) -> KeyRing:
    """Add a key of the configured algorithm; it signs in five minutes, or at once.

    `unless_any`: only where there is none yet. Returns the ring, the new key first.
    """
    signs_from = int(time.time()) + (0 if at_once else ANNOUNCED_SECONDS)
    with locked(settings.JWT_KEY_FILE):
        ring = _stored()
        if unless_any and ring.of(settings.JWT_ALGORITHM):
            return ring
        ring = ring.with_key(SigningKey.make(settings.JWT_ALGORITHM, signs_from))
        replace_file(settings.JWT_KEY_FILE, ring.dump())
    return ring


def drop_keys(*, superseded_before: float) -> tuple[str, ...]:
    """Remove keys whose successor signs since before that time; return their ids."""
    with locked(settings.JWT_KEY_FILE):
        ring = _stored()
        gone = tuple(key.kid for key in ring.superseded(settings.JWT_ALGORITHM, superseded_before))
        if gone:
            replace_file(settings.JWT_KEY_FILE, ring.without(gone).dump())
    return gone


def _stored() -> KeyRing:
    empty = KeyRing(())
    return KeyRing.parse(read_or_make(settings.JWT_KEY_FILE, empty.dump))


@lru_cache(maxsize=2)
def _parsed(path: Path, changed_ns: int, inode: int) -> KeyRing:
    return KeyRing.parse(read(path))


@lru_cache(maxsize=16)
def _loaded(algorithm: str, material: str) -> rsa.RSAPrivateKey | bytes:
    """Return the usable key. Raises ValueError, TypeError, BadKeyFile."""
    if algorithm == "HS256":
        secret = b64decode(material, validate=True)
        if len(secret) < SECRET_BYTES:
            raise BadKeyFile(f"An HS256 secret must hold at least {SECRET_BYTES} bytes.")
        return secret
    key = load_pem_private_key(material.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < RSA_BITS:
        raise BadKeyFile(f"An RS256 key must be RSA of at least {RSA_BITS} bits.")
    return key


def _material(algorithm: str) -> str:
    if algorithm == "HS256":
        return b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
