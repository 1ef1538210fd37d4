"""The proxy's own authority and certificate: made once, kept private, made anew in time."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from access.proxy import certificates
from access.proxy.certificates import authority, server_files
from vault.files import ExposedKeyFile


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.PROXY_DIR = tmp_path / "proxy"
    settings.PROXY_URL = "https://proxy.example.org:8443"
    return settings.PROXY_DIR


def certificate() -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(server_files()[0]).read_bytes())


def names() -> set[str]:
    found = certificate().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def test_it_is_made_once_and_stays():
    assert authority() == authority()
    assert server_files() == server_files()
    first = certificate().serial_number
    assert certificate().serial_number == first


def test_it_is_readable_by_its_owner_alone(folder):
    server_files()
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "ca.pem": 0o600,
        "server.pem": 0o600,
    }
    (folder / "ca.pem").chmod(0o640)
    with pytest.raises(ExposedKeyFile):
        authority()


def test_only_the_certificate_of_the_authority_is_shown():
    assert authority().startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in authority()


def test_it_is_good_for_every_name_that_a_kubeconfig_may_use(settings):
    assert {"proxy.example.org", "localhost", "127.0.0.1", "::1"} <= names()
    settings.PROXY_URL = "https://10.1.2.3:8443"
    assert {"10.1.2.3", "localhost"} <= names(), "a new name makes a new certificate"


def test_the_chain_verifies_strictly(settings):
    settings.PROXY_URL = "https://127.0.0.1:1"
    context = ssl.create_default_context(cadata=authority())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*server_files())
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    other = server.wrap_bio(outgoing, incoming, server_side=True)
    for _ in range(4):
        for side in (client, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


def test_it_is_made_anew_before_it_ends(monkeypatch):
    first = certificate()
    monkeypatch.setattr(certificates, "_RENEW", timedelta(days=100))
    monkeypatch.setattr(certificates, "_LIFE", timedelta(days=200))
    assert certificate().serial_number != first.serial_number
    assert authority() == authority()


def test_a_certificate_of_another_authority_is_replaced(folder):
    first = certificate().serial_number
    (folder / "ca.pem").unlink()
    assert certificate().serial_number != first


def test_it_lives_for_months_and_the_authority_for_years():
    found = certificate()
    life = found.not_valid_after_utc - found.not_valid_before_utc
    assert timedelta(days=80) < life < timedelta(days=100)
    root = x509.load_pem_x509_certificate(authority().encode())
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_your_own_files_are_used_as_they_are(settings, tmp_path):
    (tmp_path / "ca.pem").write_text("your own CA")
    settings.PROXY_CERT_FILE = "/etc/tls/tls.crt"
    settings.PROXY_KEY_FILE = "/etc/tls/tls.key"
    settings.PROXY_CA_FILE = str(tmp_path / "ca.pem")
    assert server_files() == ("/etc/tls/tls.crt", "/etc/tls/tls.key")
    assert authority() == "your own CA"
    assert not settings.PROXY_DIR.exists()
