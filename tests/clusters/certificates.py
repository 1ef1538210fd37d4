"""Makes the certificates that the tests of this folder need, once per process and in memory."""

import datetime
from functools import cache
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


class Issued(NamedTuple):
    """A certificate with its key, both PEM."""

    cert: str
    key: str


class Authority(NamedTuple):
    """A certificate authority of its own."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return self.cert.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str, *hosts: str) -> Issued:
        """Issue a certificate for `name`, valid for the hosts (DNS names or addresses)."""
        key = ec.generate_private_key(ec.SECP256R1())
        cert = _builder(name, self.cert.subject, key)
        if hosts:
            cert = cert.add_extension(x509.SubjectAlternativeName([_san(h) for h in hosts]), False)
        signed = cert.sign(self.key, hashes.SHA256())
        return Issued(signed.public_bytes(Encoding.PEM).decode(), key_pem(key))


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@cache
def authority(name: str = "test-ca") -> Authority:
    """Return the authority of that name, the same one for the whole process."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(name, subject, key).add_extension(x509.BasicConstraints(True, None), True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


@cache
def issued(name: str, *hosts: str) -> Issued:
    """Return a certificate of the usual authority, the same one for the whole process."""
    return authority().issue(name, *hosts)


def _san(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )
