"""The keys and certificates of one sandbox.

One authority signs the API server's certificate and everyone's client certificates. Who a
client is says its certificate: the common name is the user, each organization is a group
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A sandbox keeps its data for as long as its owner likes; nothing renews these.
LIFETIME = datetime.timedelta(days=3650)

# The API server's address inside the cluster: the first of the service range.
SERVICE_ADDRESS = "10.96.0.1"


@dataclass(frozen=True)
class Identity:
    """Someone with a client certificate: Kubernetes user and groups."""

    user: str
    groups: tuple[str, ...] = ()


# File name without suffix → who holds the certificate.
CLIENTS = {
    "admin": Identity("kubernetes-admin", ("system:masters",)),
    "kube-controller-manager": Identity("system:kube-controller-manager"),
    "kube-scheduler": Identity("system:kube-scheduler"),
    "kwok": Identity("kwok", ("system:masters",)),
}


def make_certificates(folder: Path) -> None:
    """Fill `folder` with ca, apiserver, the clients (`.crt`, `.key`) and service-account keys.

    The service-account pair is RSA, as on most clusters: KubeNova's proxy verifies
    tokens by the key set that the API server publishes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate_authority(authority_key)
    _write_key(folder / "ca.key", authority_key)
    _write_certificate(folder / "ca.crt", authority)
    signer = Signer(authority, authority_key)
    signer.serve(folder, "apiserver")
    for name, identity in CLIENTS.items():
        signer.identify(folder, name, identity)
    service_account = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_key(folder / "service-account.key", service_account)
    public = service_account.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "service-account.pub").write_bytes(public)


@dataclass(frozen=True)
class Signer:
    """The authority of one sandbox, able to sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def serve(self, folder: Path, name: str) -> None:
        """Write `<name>.crt` and `<name>.key` for a server on this machine's loopback."""
        names = x509.SubjectAlternativeName(
            [
                x509.DNSName("localhost"),
                x509.DNSName("kubernetes.default.svc"),
                x509.DNSName("kubernetes.default.svc.cluster.local"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("::1")),
                x509.IPAddress(ipaddress.ip_address(SERVICE_ADDRESS)),
            ]
        )
        self._sign(folder, name, _subject("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def identify(self, folder: Path, name: str, identity: Identity) -> None:
        """Write `<name>.crt` and `<name>.key` for a client known as `identity`."""
        subject = _subject(identity.user, identity.groups)
        self._sign(folder, name, subject, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _sign(
        self,
        folder: Path,
        name: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None = None,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self.certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(_authority_identifier(self.key), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        _write_key(folder / f"{name}.key", key)
        _write_certificate(folder / f"{name}.crt", builder.sign(self.key, hashes.SHA256()))


def _certificate_authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _subject("kubenova-sandbox")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        # A clock that is put right a little backwards shall not invalidate it.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _authority_identifier(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _subject(user: str, groups: tuple[str, ...] = ()) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
