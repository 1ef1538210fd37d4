"""Who holds which certificate, and that nothing secret is readable by others."""

import ssl
import stat

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from sandbox.certificates import CLIENTS, make_certificates
from sandbox.kubeconfig import write_kubeconfig


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox") / "certificates"
    make_certificates(folder)
    return folder


@pytest.fixture
def kubeconfig(certificates, tmp_path):
    path = tmp_path / "admin.kubeconfig"
    write_kubeconfig(path, "demo", "https://127.0.0.1:6443", certificates, "admin")
    return path


def load(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "user", "groups"),
    [
        pytest.param("admin", "kubernetes-admin", ["system:masters"], id="admin"),
        pytest.param("kube-scheduler", "system:kube-scheduler", [], id="scheduler"),
        pytest.param("kube-controller-manager", "system:kube-controller-manager", [], id="kcm"),
    ],
)
def test_a_client_is_who_its_certificate_says(certificates, name, user, groups):
    subject = load(certificates / f"{name}.crt").subject

    assert [item.value for item in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [user]
    found = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [item.value for item in found] == groups


@pytest.mark.parametrize("name", ["apiserver", *CLIENTS])
def test_the_authority_signed_it(certificates, name):
    authority = load(certificates / "ca.crt")

    load(certificates / f"{name}.crt").verify_directly_issued_by(authority)


def test_the_server_may_be_called_by_loopback_names_only(certificates):
    extension = load(certificates / "apiserver.crt").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )

    addresses = [str(found) for found in extension.value.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "10.96.0.1"]
    assert "localhost" in extension.value.get_values_for_type(x509.DNSName)


def test_strict_clients_accept_the_chain(certificates):
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates / "apiserver.crt", certificates / "apiserver.key")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server_side = server.wrap_bio(to_server, to_client, server_side=True)

    for side in (client_side, server_side, client_side):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue

    assert client_side.getpeercert()["subject"] == ((("commonName", "kube-apiserver"),),)


def test_keys_are_readable_by_their_owner_alone(certificates):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in certificates.glob("*.key")}

    assert len(modes) == 7
    assert set(modes.values()) == {0o600}


def test_a_kubeconfig_is_readable_by_its_owner_alone(kubeconfig):
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600


def test_a_kubeconfig_holds_data_and_nothing_that_runs_or_reads(kubeconfig):
    content = yaml.safe_load(kubeconfig.read_text())

    cluster = content["clusters"][0]["cluster"]
    assert set(cluster) == {"server", "certificate-authority-data"}
    assert cluster["server"] == "https://127.0.0.1:6443"
    assert set(content["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
    assert content["current-context"] == content["contexts"][0]["name"] == "demo"


def test_a_kubeconfig_is_replaced_in_one_step(kubeconfig, certificates):
    before = kubeconfig.read_text()

    write_kubeconfig(kubeconfig, "demo", "https://127.0.0.1:7443", certificates, "admin")

    assert kubeconfig.read_text() == before.replace("6443", "7443")
    assert list(kubeconfig.parent.glob("*.kubeconfig*")) == [kubeconfig]
