"""Writing kubeconfigs: whatever goes in comes out as the same data, and never as syntax."""

from base64 import b64decode

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from access.kubeconfig import Context, render
from clusters.kubeconfig import parse
from clusters.plainyaml import load
from clusters.rules import address_rules
from tests.clusters.certificates import authority

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HOSTILE = [
    "a\nusers:\n- name: x\n  user: {exec: {command: sh}}",
    "a: b",
    "- exec",
    "*anchor",
    "&anchor x",
    "!!python/object/apply:os.system [id]",
    "{exec: {command: sh}}",
    "y",
    "no",
    "N",
    "Off",
    "False",
    "null",
    "~",
    "1e3",
    "0x10",
    "1:20",
    "2001-01-01",
    "<<",
    "---",
    "...",
    "#",
    "a #b",
    "'",
    '"',
    "\\",
    "\t",
    " a ",
    "\x85\u2028\ufeff",
    "\x00\x1b",
    "",
]


def context(text: str) -> Context:
    return Context(text, text, text, text, text, text, text)


def expected(text: str) -> dict:
    place = {"namespace": text} if text else {}
    return {
        "name": text,
        "context": {"cluster": text, "user": text, **place},
    }


@given(TEXT)
def test_a9_any_text_comes_back_as_itself(text):
    found = yaml.safe_load(render([context(text)]))
    assert set(found) == {
        "apiVersion",
        "kind",
        "current-context",
        "contexts",
        "clusters",
        "users",
    }
    assert (found["apiVersion"], found["kind"], found["current-context"]) == ("v1", "Config", text)
    assert found["contexts"] == [expected(text)]
    assert found["users"] == [{"name": text, "user": {"token": text}}]
    (cluster,) = found["clusters"]
    bundle = cluster["cluster"].pop("certificate-authority-data")
    assert cluster == {"name": text, "cluster": {"server": text}}
    assert b64decode(bundle).decode() == text


@pytest.mark.parametrize("text", HOSTILE)
def test_a9_hostile_text_comes_back_as_itself(text):
    found = yaml.safe_load(render([context(text)]))
    assert found["users"] == [{"name": text, "user": {"token": text}}]
    assert "exec" not in found["users"][0]["user"]


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.isprintable()])
def test_a9_another_reader_of_yaml_reads_the_same(text):
    """Our own strict reader resolves nothing but strings."""
    found = load(render([context(text)]).encode())
    assert found["contexts"][0]["name"] == text  # type: ignore[index,call-overload]


def test_no_field_runs_reads_or_skips_anything():
    text = render([context("a"), context("b")])
    for word in ("exec", "insecure", "proxy-url", "tokenFile", "auth-provider", "as:", "*", "&"):
        assert word not in text


def test_it_is_a_kubeconfig_by_our_own_rules(settings):
    pem, server = authority().pem, "https://127.0.0.1:8443/clusters/prod"
    text = render([Context("c", "k", "u", server, pem, "ns", "e.e.e")])
    credential = parse(text.encode(), address_rules())
    assert credential.server == server
    assert (credential.ca_pem, credential.token) == (pem, "e.e.e")


def test_it_looks_as_people_expect():
    text = render(
        [Context("acme-prod", "kubenova-prod", "grant-1", "https://p:1/x", "ca", "n", "t.t.t")]
    )
    assert text.splitlines()[:4] == [
        "apiVersion: v1",
        "kind: Config",
        "current-context: acme-prod",
        "contexts:",
    ]
    assert 'namespace: "n"' in text, "some readers take this letter for false"
