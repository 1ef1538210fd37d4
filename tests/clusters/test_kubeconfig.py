"""A kubeconfig is hostile data (A6, A7): six fields are taken, all else is refused by name."""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from clusters.addresses import AddressRules
from clusters.kubeconfig import MAX_BYTES, Credential, KubeconfigRefused, parse
from tests.clusters.certificates import authority, issued

RULES = AddressRules(allow_loopback=True, allow_private=True)
STRICT = AddressRules()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def good() -> dict[str, Any]:
    """A kubeconfig with everything that is taken."""
    client = issued("olga")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "prod",
        "clusters": [
            {
                "name": "prod-a",
                "cluster": {
                    "server": "https://prod.example.com:6443",
                    "certificate-authority-data": b64(authority().pem),
                },
            }
        ],
        "users": [
            {
                "name": "olga",
                "user": {
                    "token": "abc.def.ghi",
                    "client-certificate-data": b64(client.cert),
                    "client-key-data": b64(client.key),
                },
            }
        ],
        "contexts": [
            {"name": "prod", "context": {"cluster": "prod-a", "user": "olga", "namespace": "x"}}
        ],
    }


def raw(change: Callable[[dict[str, Any]], object] | None = None) -> bytes:
    config = deepcopy(good())
    if change:
        change(config)
    return yaml.safe_dump(config).encode()


def cluster(**fields: object) -> bytes:
    return raw(lambda config: config["clusters"][0]["cluster"].update(fields))


def user(**fields: object) -> bytes:
    return raw(lambda config: config["users"][0]["user"].update(fields))


def without_cluster_field(name: str) -> bytes:
    return raw(lambda config: config["clusters"][0]["cluster"].pop(name))


def bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]"
        for n in range(1, 10)  # 9^10 values
    ]
    return "\n".join(lines).encode()


def doubled(part: str) -> bytes:
    def change(config: dict[str, Any]) -> None:
        config[part] = config[part] * 2

    return yaml.dump(_changed(change), Dumper=_NoAliases).encode()


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    config = deepcopy(good())
    change(config)
    return config


def encrypted_key() -> str:
    key = load_pem_private_key(issued("olga").key.encode(), password=None)
    protection = BestAvailableEncryption(b"secret")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection).decode()


USER = "users[0].user"
CLUSTER = "clusters[0].cluster"
CA_DATA = f"{CLUSTER}.certificate-authority-data"
EXEC = {
    "apiVersion": "client.authentication.k8s.io/v1",
    "command": "/bin/touch",
    "args": ["/tmp/x"],
}

HOSTILE: list[tuple[str, bytes | str, str]] = [
    ("exec", user(exec=EXEC), f"{USER}.exec"),
    ("auth_provider", user(**{"auth-provider": {"name": "gcp"}}), f"{USER}.auth-provider"),
    ("token_file", user(tokenFile="/etc/passwd"), f"{USER}.tokenFile"),
    ("ca_path", cluster(**{"certificate-authority": "/x"}), f"{CLUSTER}.certificate-authority"),
    ("cert_path", user(**{"client-certificate": "/x"}), f"{USER}.client-certificate"),
    ("key_path", user(**{"client-key": "/x"}), f"{USER}.client-key"),
    ("proxy_url", cluster(**{"proxy-url": "http://127.0.0.1:1"}), f"{CLUSTER}.proxy-url"),
    (
        "insecure",
        cluster(**{"insecure-skip-tls-verify": True}),
        f"{CLUSTER}.insecure-skip-tls-verify",
    ),
    ("tls_server_name", cluster(**{"tls-server-name": "x"}), f"{CLUSTER}.tls-server-name"),
    ("no_compression", cluster(**{"disable-compression": True}), f"{CLUSTER}.disable-compression"),
    ("username", user(username="root"), f"{USER}.username"),
    ("password", user(password="secret"), f"{USER}.password"),
    ("as", user(**{"as": "system:admin"}), f"{USER}.as"),
    ("as_uid", user(**{"as-uid": "1"}), f"{USER}.as-uid"),
    ("as_groups", user(**{"as-groups": ["system:masters"]}), f"{USER}.as-groups"),
    ("as_extra", user(**{"as-user-extra": {"a": ["b"]}}), f"{USER}.as-user-extra"),
    ("extensions", cluster(extensions=[]), f"{CLUSTER}.extensions"),
    ("unknown_user_field", user(impersonate="x"), f"{USER}.impersonate"),
    ("unknown_top_field", raw(lambda c: c.update(extra=1)), "extra"),
    ("preferences", raw(lambda c: c.update(preferences={"colors": True})), "preferences"),
    ("field_with_control_characters", user(**{"a\nb\x07": 1}), f"{USER}.a\\nb\\x07"),
    ("two_contexts", doubled("contexts"), "contexts"),
    ("two_clusters", doubled("clusters"), "clusters"),
    ("two_users", doubled("users"), "users"),
    ("no_contexts", raw(lambda c: c.update(contexts=[])), "contexts"),
    ("contexts_not_a_list", raw(lambda c: c.update(contexts={"a": 1})), "contexts"),
    ("entry_not_a_mapping", raw(lambda c: c.update(users=["x"])), "users[0]"),
    ("other_current_context", raw(lambda c: c.update({"current-context": "y"})), "current-context"),
    (
        "context_names_other_user",
        raw(lambda c: c["contexts"][0]["context"].update(user="root")),
        "contexts[0].context.user",
    ),
    (
        "context_names_other_cluster",
        raw(lambda c: c["contexts"][0]["context"].update(cluster="other")),
        "contexts[0].context.cluster",
    ),
    ("bomb", bomb(), "kubeconfig"),
    ("python_tag", b"!!python/object/apply:os.system ['touch /tmp/x']", "kubeconfig"),
    ("harmless_tag", b"apiVersion: !!str v1", "kubeconfig"),
    ("alias", b"apiVersion: &a v1\nkind: *a", "kubeconfig"),
    ("merge_key", b"users: []\n<<: {clusters: []}", "kubeconfig"),
    ("key_not_text", b"users: []\n1: 2", "kubeconfig"),
    ("duplicate_key", raw() + b"users: []\n", "users"),
    ("duplicate_inner_key", b"users: [{name: a, user: {token: a, token: b}}]", f"{USER}.token"),
    ("two_documents", raw() + b"---\n" + raw(), "kubeconfig"),
    ("not_utf8", b"\xff\xfe" + raw(), "kubeconfig"),
    ("not_yaml", b"{", "kubeconfig"),
    ("not_a_mapping", b"- 1", "kubeconfig"),
    ("empty", b"", "kubeconfig"),
    ("deep", b"[" * 5000 + b"]" * 5000, "kubeconfig"),
    ("deep_mapping", b"{a: " * 5000 + b"}" * 5000, "kubeconfig"),
    ("many_values", b"[" + b"1," * 60_000 + b"1]", "kubeconfig"),
    ("above_the_limit", b"#" * (MAX_BYTES + 1), "kubeconfig"),
    ("ten_megabytes", b"#" * 10_000_000, "kubeconfig"),
    ("ten_megabytes_base64", "A" * 10_000_000, "kubeconfig"),
    ("not_base64", "apiVersion: v1", "kubeconfig"),
    ("not_ascii_base64", "é" * 16, "kubeconfig"),
    ("base64_of_nothing_useful", b64("hello"), "kubeconfig"),
    ("no_ca", without_cluster_field("certificate-authority-data"), CA_DATA),
    ("ca_not_base64", cluster(**{"certificate-authority-data": "***"}), CA_DATA),
    ("ca_not_pem", cluster(**{"certificate-authority-data": b64("nonsense")}), CA_DATA),
    ("ca_a_list", cluster(**{"certificate-authority-data": ["x"]}), CA_DATA),
    ("no_credential", raw(lambda c: c["users"][0].update(user={})), USER),
    ("token_with_newline", user(token="abc\nX-Evil: 1"), f"{USER}.token"),
    ("token_with_space", user(token="a b"), f"{USER}.token"),
    ("token_a_mapping", user(token={"a": "b"}), f"{USER}.token"),
    (
        "key_without_cert",
        user(**{"client-certificate-data": ""}),
        f"{USER}.client-certificate-data",
    ),
    ("cert_without_key", user(**{"client-key-data": None}), f"{USER}.client-key-data"),
    (
        "cert_not_pem",
        user(**{"client-certificate-data": "AAAA"}),
        f"{USER}.client-certificate-data",
    ),
    ("key_not_pem", user(**{"client-key-data": b64("x")}), f"{USER}.client-key-data"),
    (
        "key_of_other",
        user(**{"client-key-data": b64(issued("bob").key)}),
        f"{USER}.client-key-data",
    ),
    ("key_encrypted", user(**{"client-key-data": b64(encrypted_key())}), f"{USER}.client-key-data"),
    ("key_huge", user(**{"client-key-data": b64("A" * 9000)}), f"{USER}.client-key-data"),
]

SERVERS = [
    ("http", "http://prod.example.com", "https"),
    ("file", "file:///etc/passwd", "https"),
    ("no_scheme", "prod.example.com", "https"),
    ("empty", "", "https"),
    ("userinfo", "https://prod.example.com@evil.example", "user information"),
    ("query", "https://prod.example.com/?x=1", "query"),
    ("fragment", "https://prod.example.com/#x", "fragment"),
    ("no_host", "https:///x", "host"),
    ("port_zero", "https://prod.example.com:0", "host"),
    ("port_above", "https://prod.example.com:70000", "65535"),
    ("newline", "https://prod.example.com\n.evil", "host"),
    ("backslash", "https://prod.example.com\\@evil", "user information"),
    ("unicode_host", "https://prød.example.com", "host"),
    ("dot_segments", "https://prod.example.com/a/../b", "dot segments"),
    ("encoded_path", "https://prod.example.com/%2e%2e", "host"),
    ("double_slash", "https://prod.example.com//api", "host"),
    ("bad_label", "https://-prod.example.com", "DNS name"),
    ("empty_label", "https://prod..example.com", "DNS name"),
    ("loopback", "https://127.0.0.1:6443", "loopback"),
    ("loopback_v6", "https://[::1]:6443", "loopback"),
    ("localhost", "https://localhost:6443", "loopback"),
    ("localhost_dot", "https://LOCALHOST.", "loopback"),
    ("sub_localhost", "https://x.localhost", "loopback"),
    ("decimal", "https://2130706433", "write it as 127.0.0.1"),
    ("hex", "https://0x7f000001", "write it as 127.0.0.1"),
    ("octal", "https://0177.0.0.1", "write it as 127.0.0.1"),
    ("short", "https://127.1", "write it as 127.0.0.1"),
    ("decimal_metadata", "https://2852039166", "write it as 169.254.169.254"),
    ("number_too_big", "https://99999999999", "neither"),
    ("mapped", "https://[::ffff:127.0.0.1]", "IPv4-mapped"),
    ("nat64_metadata", "https://[64:ff9b::a9fe:a9fe]", "link-local"),
    ("sixtofour_metadata", "https://[2002:a9fe:a9fe::1]", "link-local"),
    ("metadata", "https://169.254.169.254", "link-local"),
    ("metadata_v6", "https://[fd00:ec2::254]", "metadata"),
    ("link_local_v6", "https://[fe80::1]", "link-local"),
    ("unspecified", "https://0.0.0.0", "link-local"),
    ("unspecified_v6", "https://[::]", "link-local"),
    ("multicast", "https://224.0.0.1", "multicast"),
    ("private", "https://10.0.0.1", "private"),
    ("private_v6", "https://[fc00::1]", "private"),
    ("carrier", "https://100.64.0.1", "private"),
]


@pytest.mark.parametrize(
    ("config", "where"),
    [pytest.param(config, where, id=name) for name, config, where in HOSTILE],
)
def test_it_refuses_by_name_a6(config: bytes | str, where: str) -> None:
    with pytest.raises(KubeconfigRefused) as refused:
        parse(config, RULES)
    assert refused.value.field == where
    assert refused.value.message


@pytest.mark.parametrize(
    ("config", "why"),
    [
        pytest.param(b"[" * 4000 + b"]" * 4000, "nested deeper than 16", id="deep"),
        pytest.param(b"[" + b"1," * 60_000 + b"1]", "more than 10000 values", id="many"),
        pytest.param(b"#" * (MAX_BYTES + 1), "larger than 256 KiB", id="large"),
        pytest.param("*" * 10_000_000, "larger than 256 KiB", id="large_before_it_is_decoded"),
        pytest.param(user(**{"client-key-data": b64("A" * 9000)}), "larger than 8 KiB", id="key"),
        pytest.param(
            cluster(**{"certificate-authority-data": b64(authority().pem * 65)}),
            "more than 64 certificates",
            id="certificates",
        ),
    ],
)
def test_it_names_the_limit_a6(config: bytes | str, why: str) -> None:
    with pytest.raises(KubeconfigRefused, match=why):
        parse(config, RULES)


@pytest.mark.parametrize(
    ("url", "why"), [pytest.param(url, why, id=name) for name, url, why in SERVERS]
)
def test_it_refuses_a_server_that_it_must_not_reach_a7(url: str, why: str) -> None:
    with pytest.raises(KubeconfigRefused, match=why) as refused:
        parse(cluster(server=url), STRICT)
    assert refused.value.field == f"{CLUSTER}.server"


@pytest.mark.parametrize("url", ["https://169.254.169.254", "https://[fe80::1]", "https://0.0.0.0"])
def test_it_never_takes_link_local_addresses_whatever_the_settings_a7(url: str) -> None:
    with pytest.raises(KubeconfigRefused, match="link-local"):
        parse(cluster(server=url), RULES)


@pytest.mark.parametrize(
    ("url", "rules"),
    [
        ("https://prod.example.com", STRICT),
        ("https://prod.example.com:6443/", STRICT),
        ("https://rancher.example.com/k8s/clusters/c-m-1", STRICT),
        ("https://1.1.1.1:6443", STRICT),
        ("https://[2606:4700:4700::1111]:6443", STRICT),
        ("https://127.0.0.1:6443", RULES),
        ("https://localhost:6443", RULES),
        ("https://10.0.0.1:6443", RULES),
    ],
)
def test_it_takes_a_server_that_the_rules_allow(url: str, rules: AddressRules) -> None:
    assert parse(cluster(server=url), rules).server == url.rstrip("/")


def test_it_takes_the_six_fields() -> None:
    client = issued("olga")
    assert parse(raw(), RULES) == Credential(
        server="https://prod.example.com:6443",
        ca_pem=authority().pem,
        token="abc.def.ghi",
        client_cert_pem=client.cert,
        client_key_pem=client.key,
    )


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(lambda config: base64.b64encode(config).decode(), id="one_line"),
        pytest.param(lambda config: base64.encodebytes(config).decode(), id="wrapped"),
        pytest.param(lambda config: config, id="the_file_itself"),
        pytest.param(lambda config: json.dumps(yaml.safe_load(config)).encode(), id="json"),
    ],
)
def test_it_reads_base64_and_the_file_itself(encode: Callable[[bytes], bytes | str]) -> None:
    assert parse(encode(raw()), RULES) == parse(raw(), RULES)


def test_it_keeps_only_the_certificates_of_a_ca_with_other_text_around() -> None:
    bundle = f"# our CA\n{authority().pem}\nnonsense\n{authority('second').pem}"
    credential = parse(cluster(**{"certificate-authority-data": b64(bundle)}), RULES)
    assert credential.ca_pem == authority().pem + authority("second").pem


def test_it_refuses_an_rsa_key_that_is_not_the_one_of_the_certificate() -> None:
    other = rsa.generate_private_key(65537, 2048)
    pem = other.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode()
    with pytest.raises(KubeconfigRefused, match="does not belong"):
        parse(user(**{"client-key-data": b64(pem)}), RULES)


def test_it_shows_no_secret_in_its_text() -> None:
    shown = repr(parse(raw(), RULES))
    assert "abc.def.ghi" not in shown
    assert "PRIVATE KEY" not in shown


def test_it_tells_no_secret_when_the_yaml_is_broken() -> None:
    with pytest.raises(KubeconfigRefused) as refused:
        parse(b"users: [{name: a, user: {token: 'canary-7f3a'", RULES)
    assert "canary" not in str(refused.value)


_WATCHED = (
    "open",
    "subprocess.",
    "os.",
    "socket.",
    "exec",
    "ctypes.",
    "http.",
    "urllib.",
    "shutil.",
)
_seen: list[str] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _seen is not None and event.startswith(_WATCHED):
        _seen.append(f"{event} {arguments!r}"[:200])


@contextmanager
def _audited() -> Iterator[list[str]]:
    """Record what Python opens, runs or dials; an audit hook cannot be removed, only silenced."""
    global _seen
    if not getattr(sys, "_kubenova_audited", False):
        sys.addaudithook(_hook)
        sys._kubenova_audited = True  # type: ignore[attr-defined]
    _seen = []
    try:
        yield _seen
    finally:
        _seen = None


def test_it_runs_opens_and_dials_nothing_a6() -> None:
    tables = [config for _, config, _ in HOSTILE] + [cluster(server=url) for _, url, _ in SERVERS]
    with _audited() as seen:
        for config in tables:
            with pytest.raises(KubeconfigRefused):
                parse(config, STRICT)
        parse(raw(), STRICT)
    assert seen == []


def test_its_audit_hook_would_have_seen_it() -> None:
    with _audited() as seen:
        open("/dev/null").close()  # noqa: PTH123
    assert any(event.startswith("open") for event in seen)
