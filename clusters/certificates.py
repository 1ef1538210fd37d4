"""Checks and rewrites PEM material, so that only what was understood is kept."""

from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

MAX_CERTIFICATES = 64
MAX_KEY_BYTES = 8 * 1024  # an RSA key of 8192 bits; larger ones only cost us CPU

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Unfit(ValueError):
    """The material cannot be used; `part` is the kubeconfig field that is to blame."""

    def __init__(self, message: str, part: str = "") -> None:
        super().__init__(message)
        self.part = part


class Pair(NamedTuple):
    """A client certificate (with its chain) and its key, both PEM."""

    cert_pem: str
    key_pem: str


def read_chain(raw: bytes) -> str:
    """Return one or more PEM certificates, rewritten. Raises Unfit."""
    return _pem(_certificates(raw))


def read_pair(cert: bytes, key: bytes) -> Pair:
    """Return a client certificate with the key that belongs to it. Raises Unfit with its part."""
    try:
        chain = _certificates(cert)
        public = chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (Unfit, ValueError, UnsupportedAlgorithm) as error:
        message = str(error) if isinstance(error, Unfit) else "holds a key of an unknown kind"
        raise Unfit(message, "client-certificate-data") from None
    private = _private_key(key)
    if private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != public:
        raise Unfit("does not belong to client-certificate-data", "client-key-data")
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(_pem(chain), pem.decode())


def _certificates(raw: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(raw)
    except ValueError:
        raise Unfit("holds no readable PEM certificate") from None
    if len(found) > MAX_CERTIFICATES:
        raise Unfit(f"holds more than {MAX_CERTIFICATES} certificates")
    return found


def _pem(chain: list[x509.Certificate]) -> str:
    return "".join(cert.public_bytes(Encoding.PEM).decode() for cert in chain)


def _private_key(raw: bytes) -> _Key:
    part = "client-key-data"
    if len(raw) > MAX_KEY_BYTES:
        raise Unfit(f"is larger than {MAX_KEY_BYTES // 1024} KiB", part)
    try:
        key = load_pem_private_key(raw, password=None)
    except TypeError:
        raise Unfit("is encrypted: give the plain key", part) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Unfit("holds no readable PEM private key", part) from None
    if not isinstance(key, _Key):
        raise Unfit("is neither an RSA, an EC nor an Ed25519 key", part)
    return key
