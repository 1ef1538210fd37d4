"""What secrets may be called and hold, and where components refer to them: pure."""

import pytest

from delivery.adapters.secrets import SecretIntent, Secrets
from delivery.rules.secrets import (
    MAX_BYTES,
    MAX_KEYS,
    name_fault,
    names_used,
    secret_uses,
    use_problems,
    value_problems,
)
from reconcile.values import Health, Wanted
from tests.delivery.samples import component, with_traits

CANARY = "canary-7f3a"


def refers(name="db", key="password", variable="PASSWORD"):
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


@pytest.mark.parametrize(
    ("values", "code", "path"),
    [
        pytest.param(["a"], "type", (), id="a list"),
        pytest.param({}, "required", (), id="nothing"),
        pytest.param({"": CANARY}, "key", ("",), id="an empty key"),
        pytest.param({".": CANARY}, "key", (".",), id="a dot"),
        pytest.param({"..": CANARY}, "key", ("..",), id="two dots"),
        pytest.param({"..data": CANARY}, "key", ("..data",), id="what the kubelet uses"),
        pytest.param({"a/b": CANARY}, "key", ("a/b",), id="a slash"),
        pytest.param({"a\n": CANARY}, "key", ("a\n",), id="a newline after the key"),
        pytest.param({"ä": CANARY}, "key", ("ä",), id="a letter beyond ASCII"),
        pytest.param({"a" * 254: CANARY}, "key", ("a" * 254,), id="a long key"),
        pytest.param({"a": 5}, "type", ("a",), id="a number"),
        pytest.param({"a": None}, "type", ("a",), id="null"),
        pytest.param({"a": {"b": CANARY}}, "type", ("a",), id="an object"),
        pytest.param({"a": f"{CANARY}\0"}, "value", ("a",), id="NUL"),
        pytest.param({"a": f"{CANARY}\ud800"}, "value", ("a",), id="half a surrogate pair"),
        pytest.param({str(n): "" for n in range(MAX_KEYS + 1)}, "too_many", (), id="many keys"),
        pytest.param({"a": "x" * MAX_BYTES}, "too_large", (), id="too large"),
        pytest.param({"a": "ä" * (MAX_BYTES // 2)}, "too_large", (), id="bytes, not letters"),
    ],
)
def test_it_refuses_values_that_no_secret_can_hold(values, code, path):
    (problem,) = value_problems(values)
    assert (problem.code, problem.path) == (code, path)
    assert CANARY not in problem.text


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"password": "hunter2"}, id="a word"),
        pytest.param({"tls.key": "-----BEGIN\nx\n"}, id="lines"),
        pytest.param({"a": ""}, id="nothing as the value"),
        pytest.param({"_A-b.9": "ä 漢 {{ }} %s"}, id="any text"),
        pytest.param({".hidden": "x"}, id="one dot first"),
        pytest.param({"k": "x" * (MAX_BYTES - 1)}, id="as much as there may be"),
        pytest.param({str(n): "v" for n in range(MAX_KEYS)}, id="as many as there may be"),
    ],
)
def test_it_takes_what_kubernetes_takes(values):
    assert value_problems(values) == []


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("db", False),
        ("kubenovas", False),
        ("kubenova", True),
        ("kubenova-tokens", True),
        ("default-token-x7f3a", True),
    ],
)
def test_names_of_the_platform_stay_its_own(name, taken):
    assert bool(name_fault(name)) is taken


def test_it_finds_every_reference_with_its_path():
    web = with_traits(
        component(env=[{"name": "A", "value": "x"}, refers()]),
        sidecar={"name": "log", "env": [refers("mail", "token")]},
    )
    assert [tuple(use) for use in secret_uses([web])] == [
        ((0, "properties", "env", 1, "valueFrom", "secretKeyRef"), "db", "password"),
        ((0, "traits", 0, "properties", "env", 0, "valueFrom", "secretKeyRef"), "mail", "token"),
    ]
    assert names_used([web], {"overrides": [refers("cache")]}) == {"db", "mail", "cache"}


STORED = {
    "name": "token",
    "mountOnly": True,
    "mountPath": "/run/token",
    "mountToEnv": {"envName": "TOKEN", "secretKey": "token"},
    "mountToEnvs": [{"envName": "USER", "secretKey": "user"}],
}
MOUNTED = {"secret": [{"name": "keys", "mountPath": "/keys", "secretName": "db"}]}


def test_what_is_mounted_is_a_reference_as_well():
    web = with_traits(
        component(volumeMounts=MOUNTED),
        storage={"secret": [STORED]},
        gateway={"domain": "shop.example.org", "http": {"/": 80}, "secretName": "certificate"},
    )
    stored = (0, "traits", 0, "properties", "secret", 0)
    assert [tuple(use) for use in secret_uses([web])] == [
        ((0, "properties", "volumeMounts", "secret", 0, "secretName"), "db", ""),
        (stored, "token", ""),
        ((*stored, "mountToEnv"), "token", "token"),
        ((*stored, "mountToEnvs", 0), "token", "user"),
        ((0, "traits", 1, "properties", "secretName"), "certificate", ""),
    ]
    only_read = {key: value for key, value in STORED.items() if key != "mountPath"}
    found = list(secret_uses({"storage": {"secret": [only_read]}}))
    assert [use.key for use in found] == ["token", "user"], "the same by type, as adapters see it"


@pytest.mark.parametrize(
    ("known", "places"),
    [
        pytest.param({}, ["mountToEnv", "mountToEnvs"], id="no such secret"),
        pytest.param({"token": {"token": ""}}, ["mountToEnvs"], id="no such key"),
        pytest.param({"token": {"token": "", "user": ""}}, [], id="both there"),
    ],
)
def test_variables_of_the_trait_storage_have_to_lead_somewhere_and_files_need_not(known, places):
    web = with_traits(component(volumeMounts=MOUNTED), storage={"secret": [STORED]})
    found = use_problems([web], known)
    assert [problem.path[6] for problem in found] == places
    assert {problem.path[-1] for problem in found} <= {"secretKey"}


def test_a_reference_that_leads_nowhere_says_what_to_do():
    web = component(env=[refers(), refers("mail", "token"), refers("mail", "user")])
    first, second = use_problems([web], {"mail": {"token": ""}})

    assert first.path == (0, "properties", "env", 0, "valueFrom", "secretKeyRef", "name")
    assert "'db'" in first.text and "PUT …/secrets/db" in first.text
    assert second.path == (0, "properties", "env", 2, "valueFrom", "secretKeyRef", "key")
    assert second.text == "Secret mail has no such key. It has token."


# --- The adapter.

INTENT = SecretIntent("acme", "shop", "db", "acme--shop", 3, {"user": "ä", "password": CANARY})


def test_it_renders_one_opaque_secret():
    (body,) = Secrets("acme--shop").render(INTENT)
    assert body == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": "db",
            "namespace": "acme--shop",
            "labels": {"kubenova.io/tenant": "acme", "kubenova.io/project": "shop"},
            "annotations": {"kubenova.io/secret-version": "3"},
        },
        "data": {"password": "Y2FuYXJ5LTdmM2E=", "user": "w6Q="},
    }


def test_it_is_ready_when_it_is_there():
    adapter = Secrets("acme--shop")
    (wanted,) = (Wanted.of(body, adapter.kinds) for body in adapter.render(INTENT))

    assert adapter.assess(INTENT, {}).health is Health.PROGRESSING
    assert adapter.assess(INTENT, {wanted.ref: wanted}).health is Health.READY
    assert adapter.homes == {wanted.ref.kind: "acme--shop"}, "Secrets are listed nowhere else"


def test_its_intent_shows_no_value():
    assert CANARY not in repr(INTENT) and CANARY not in str(INTENT)
