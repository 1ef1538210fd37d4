"""The proxy's own certificate authority, made at first run, and the certificate it vouches for.

Who brings a certificate (PROXY_CERT_FILE, PROXY_KEY_FILE, PROXY_CA_FILE) needs none of it.
"""

import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings

from vault import files

_CA_LIFE = timedelta(days=3650)
_LIFE = timedelta(days=90)
_RENEW = timedelta(days=30)  # so long before its end a certificate is made anew
_SKEW = timedelta(minutes=10)


def authority() -> str:
    """Return the PEM of the CA that kubeconfigs are to trust."""
    if settings.PROXY_CA_FILE:
        return Path(settings.PROXY_CA_FILE).read_text()
    _, certificate = _parsed(files.read_or_make(_path("ca.pem"), _make_authority))
    return certificate.public_bytes(Encoding.PEM).decode()


def server_files() -> tuple[str, str | None]:
    """Return the files with the server's certificate and key, fit for all its names, and fresh.

    The second is None where the first one holds both.
    """
    if settings.PROXY_CERT_FILE:
        return settings.PROXY_CERT_FILE, settings.PROXY_KEY_FILE or None
    path = _path("server.pem")
    bundle = files.read_or_make(_path("ca.pem"), _make_authority)
    found = files.read_or_make(path, lambda: _make_server(bundle))
    if not _fit(found, bundle):
        files.replace(path, _make_server(bundle))
    return str(path), None


def _path(name: str) -> Path:
    folder: Path = settings.PROXY_DIR
    return folder / name


def _names() -> list[x509.GeneralName]:
    """Every name that a kubeconfig may call the proxy by."""
    given = [urlsplit(settings.PROXY_URL).hostname or "", settings.PROXY_HOST]
    here = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    wanted = dict.fromkeys(name for name in (*given, *here) if name and name != "0.0.0.0")
    return [_general(name) for name in wanted]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _make_authority() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "KubeNova access proxy CA")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = _builder(name, name, key, _CA_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return _bundle(key, builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()))


def _make_server(authority_bundle: bytes) -> bytes:
    ca_key, ca = _parsed(authority_bundle)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "KubeNova access proxy")])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = _builder(name, ca.subject, key, _LIFE)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(_names()), False),
        (issuer_key, False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return _bundle(key, builder.sign(ca_key, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(**wanted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in names})


def _bundle(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def _parsed(bundle: bytes) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = load_pem_private_key(bundle, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("The proxy's key file holds a key that it has not made.")
    return key, x509.load_pem_x509_certificate(bundle)


def _fit(server_bundle: bytes, authority_bundle: bytes) -> bool:
    """Whether the certificate is fresh, by our CA, and good for every name."""
    _, certificate = _parsed(server_bundle)
    ca_key, _ = _parsed(authority_bundle)
    vouched = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    fresh = certificate.not_valid_after_utc - datetime.now(UTC) > _RENEW
    return fresh and vouched == ours and set(_names()) <= set(held)
