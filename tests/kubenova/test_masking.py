"""No secret and no control character leaves in a log line or a trace."""

import time

import pytest

from kubenova.masking import MASK, escaped, is_secret_name, mask_text, masked

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name",
    [
        "token", "access_token", "PASSWORD", "kubeconfig", "Authorization", "client-key-data",
        "private_key", "set-cookie", "api_key", "credential", "SECRET_KEY",
    ],
)  # fmt: skip
def test_it_knows_the_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["tenant", "key", "token_type", "secret_name", "vault_key_file", "token_expires"]
)
def test_it_leaves_harmless_names(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(f"sent {JWT} to it", f"sent {MASK} to it", id="jwt"),
        pytest.param(f"key: {PEM}!", f"key: {MASK}!", id="pem"),
        pytest.param(PEM[:40], MASK, id="pem cut off"),
        pytest.param("GET /x?token=abc&a=1", f"GET /x?token={MASK}&a=1", id="query"),
        pytest.param('{"password": "p w"}', f'{{"password": {MASK}}}', id="json"),
        pytest.param("password: hunter", f"password: {MASK}", id="yaml"),
        pytest.param("Authorization: Bearer abc.def-1", f"Authorization: {MASK}", id="header"),
        pytest.param("got Bearer abcdef123456", f"got Bearer {MASK}", id="bearer alone"),
        pytest.param("postgres://kn:pw@db/kn", f"postgres://kn:{MASK}@db/kn", id="user info"),
        pytest.param("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t", MASK, id="pem in base64"),
    ],
)
def test_it_masks_what_looks_like_a_secret(text, left):
    assert mask_text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "kubeconfig: exec is refused",
        "Basic authentication is not supported",
        "Secret web-tls is missing",
        "GET /api/v1/tenants/acme",
    ],
)
def test_it_leaves_sentences_alone(text):
    assert mask_text(text) == text


def test_it_masks_below_the_first_level():
    found = masked({"data": [{"kubeconfig": "apiVersion: v1", "clusters": 2}], "ok": True})
    assert found == {"data": [{"kubeconfig": MASK, "clusters": 2}], "ok": True}


def test_it_masks_in_the_repr_of_any_object():
    class Request:
        def __str__(self):
            return "POST /?password=abc"

    assert masked(Request()) == f"POST /?password={MASK}"


def test_it_keeps_both_ends_of_a_long_text():
    found = masked("begin" + "x" * 100_000 + "the end")
    assert found.startswith("begin") and found.endswith("the end")
    assert len(found) < 10_000


@pytest.mark.parametrize("piece", ["a-", "eyJ-", "token", '"', "-----BEGIN A", "token: a "])
def test_it_stays_quick_on_hostile_text(piece):
    began = time.perf_counter()
    masked(piece * (60_000 // len(piece)))
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("naïve – ok", "naïve – ok"),
    ],
)
def test_it_writes_control_characters_out(text, left):
    assert escaped(text) == left
    assert escaped({text: [text]}) == {left: [left]}
