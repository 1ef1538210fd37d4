"""Every answer is named by what to do next (the error table of the design; F12, F20, F22)."""

import json
from typing import Any

import pytest

from clusters.answers import (
    MAX_MESSAGE,
    Absent,
    Answer,
    Expired,
    Throttled,
    UidMoved,
    clean,
    error_of,
    json_of,
    secrets_in,
    unquoted,
    warnings_of,
)
from reconcile.errors import (
    ClusterError,
    Conflict,
    FieldConflict,
    Forbidden,
    Missing,
    Refused,
    Unauthenticated,
    Unreachable,
    Waiting,
)
from reconcile.values import JSON


def status(code: int, message: str = "no", **details: Any) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "message": message, "details": details}
    return Answer(code, {}, json.dumps(body).encode())


def text(code: int, body: str = "404 page not found\n", **headers: str) -> Answer:
    return Answer(code, headers, body.encode())


TERMINATING = {"reason": "NamespaceTerminating", "field": "metadata.namespace"}

_NO_PARAMETERS = (
    'networkpolicies.networking.k8s.io "isolation" is forbidden: '
    "ValidatingAdmissionPolicy 'network' "
    "with binding 'network' denied request: failed to configure binding: no params found for "
    "policy binding with `Deny` parameterNotFoundAction"
)

TABLE: list[tuple[str, Answer, type[ClusterError]]] = [
    ("bad_request", status(400), Refused),
    ("dead_credential", status(401, "Unauthorized"), Unauthenticated),
    ("dead_credential_in_text", text(401, "Unauthorized"), Unauthenticated),
    ("admission", status(403, 'pods "a" is forbidden: exceeded quota: q'), Refused),
    ("rbac", status(403, 'x is forbidden: User "kubenova" cannot create'), Forbidden),
    ("parameters that a policy has not seen yet", status(422, _NO_PARAMETERS), Forbidden),
    (
        "capsule",
        status(403, "can not assign the desired namespace to a non-owned Tenant"),
        Forbidden,
    ),
    ("capsule's quota", status(403, "Cannot exceed Namespace quota: please, reach out"), Refused),
    ("terminating", status(403, "no", causes=[TERMINATING]), Waiting),
    ("terminating_in_words", status(403, "… because it is being terminated"), Waiting),
    ("object_not_found", status(404, '"a" not found', name="a", kind="configmaps"), Absent),
    ("namespace_not_found", status(404, "x", name="n", kind="namespaces"), Absent),
    ("kind_not_served", text(404), Missing),
    (
        "kind_not_served_of_a_known_group",
        status(404, "the server could not find the requested resource"),
        Missing,
    ),
    ("json_that_is_no_status", text(404, '{"message": "no such route"}'), Missing),
    ("method_not_allowed", status(405), Refused),
    ("conflict", status(409), Conflict),
    ("uid_gone", status(409, "uid mismatch: … no existing object was found"), UidMoved),
    ("uid_moved", status(409, "the UID in the precondition (a) does not match"), UidMoved),
    ("uid_moved_older", status(409, "Precondition failed: UID in precondition: a"), UidMoved),
    ("uid_immutable", status(422, "no", causes=[{"field": "metadata.uid"}]), UidMoved),
    ("expired", status(410, "The provided continue parameter is too old"), Expired),
    ("too_large", text(413, "Request entity too large"), Refused),
    ("media_type", status(415), Refused),
    ("invalid", status(422), Refused),
    ("throttled", status(429, "too many requests"), Throttled),
    ("storage_starts", status(429, "storage is (re)initializing"), Waiting),
    ("error", status(500, "etcdserver: request timed out"), Unreachable),
    ("webhook", status(500, "failed calling webhook"), Unreachable),
    ("schema", status(500, "failed to create typed patch object (a/b): .x: …"), Refused),
    ("decoding", status(500, "failed to convert new object: illegal base64"), Refused),
    ("bad_gateway", text(502, "<html>bad gateway</html>"), Unreachable),
    ("unavailable", status(503), Unreachable),
    ("gateway_timeout", status(504, "Too large resource version"), Unreachable),
    ("moved", text(301, ""), Unreachable),
    ("redirect", text(307, ""), Unreachable),
    ("odd", text(999, ""), Unreachable),
]


@pytest.mark.parametrize(
    ("answer", "kind"), [pytest.param(answer, kind, id=name) for name, answer, kind in TABLE]
)
def test_it_names_the_error(answer: Answer, kind: type[ClusterError]) -> None:
    error = error_of(answer)
    assert type(error) is kind
    assert error.message


def test_a_missing_object_is_a_refusal_where_nobody_asked_for_none() -> None:
    assert issubclass(Absent, Refused)
    assert not issubclass(Missing, Refused)


def test_a_conflict_names_managers_and_paths() -> None:
    def cause(manager: str, path: str) -> JSON:
        message = f"conflict with {manager} using apps/v1 at 2026-01-01T00:00:00Z"
        return {"reason": "FieldManagerConflict", "message": message, "field": path}

    causes = [
        cause('"kubectl-scale"', ".spec.replicas"),
        cause('"odd \\"one\\""', '.spec.containers[name="a"].image'),
        {"reason": "FieldManagerConflict", "message": "who knows", "field": ".x"},
        {"reason": "SomethingElse", "message": 'conflict with "a"', "field": ".y"},
    ]
    error = error_of(status(409, "Apply failed", causes=causes))
    assert isinstance(error, Conflict)
    assert error.fields == (
        FieldConflict("kubectl-scale", ".spec.replicas"),
        FieldConflict('odd "one"', '.spec.containers[name="a"].image'),
    )


@pytest.mark.parametrize(
    "details",
    [None, [], "text", {"causes": None}, {"causes": "text"}, {"causes": [None, "text", 1, {}]}],
    ids=str,
)
def test_it_bears_details_that_are_none(details: object) -> None:
    body = {"kind": "Status", "message": 1, "details": details}
    error = error_of(Answer(409, {}, json.dumps(body).encode()))
    assert isinstance(error, Conflict)
    assert error.fields == ()
    assert error.message == "the server answered 409 without a word"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("999999999", 600.0), ("soon", None), ("-1", None), ("٣", None)],
)
@pytest.mark.parametrize("code", [429, 503])
def test_it_honours_retry_after_within_reason_f11(
    code: int, header: str, seconds: float | None
) -> None:
    error = error_of(text(code, "busy", **{"retry-after": header}))
    assert error.retry_after == seconds


def test_a_message_is_one_short_line_without_control_characters_a39() -> None:
    message = clean("a\r\nb\tc \x1b[31mred\x00 \u202eback " + "x" * 1000)
    assert message.startswith("a b c \\x1b[31mred\\x00 \\u202eback x")
    assert len(message) == MAX_MESSAGE
    assert message.endswith("…")


def test_no_secret_is_repeated_a19() -> None:
    secret = {
        "kind": "Secret",
        "data": {"a": "Y2FuYXJ5LW9uZQ=="},
        "stringData": {"b": "canary-two"},
    }
    said = "no: canary-one Y2FuYXJ5LW9uZQ== canary-two Y2FuYXJ5LXR3bw== and the-token"
    error = error_of(status(422, said), [*secrets_in(secret), "the-token"])
    assert error.message == "no: … … … … and …"


def test_the_token_under_review_is_a_secret() -> None:
    assert secrets_in({"kind": "TokenReview", "spec": {"token": "abc"}}) == ["abc"]
    assert secrets_in({"kind": "ConfigMap", "data": {"a": "b"}}) == []


def test_quoted_values_are_taken_out_but_for_names() -> None:
    error = unquoted(
        Refused('Secret "a" is invalid: data[k]: Invalid value: "hid\\"den": `also`'), {"a"}
    )
    assert error.message == 'Secret "a" is invalid: data[k]: Invalid value: "…": "…"'
    assert str(error) == error.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:8]),
)
def test_an_answer_that_is_no_json_object_is_unreachable_a8(body: bytes) -> None:
    with pytest.raises(Unreachable, match="no JSON object"):
        json_of(Answer(200, {}, body))


def test_an_answer_of_too_many_values_is_never_parsed_a8() -> None:
    with pytest.raises(Unreachable, match="too many values"):
        json_of(Answer(200, {}, b'{"a":[' + b"{}," * 2_100_000 + b"{}]}"))


def test_a_good_answer_is_returned() -> None:
    assert json_of(Answer(201, {}, b'{"a": 1}')) == {"a": 1}


WARNINGS = {
    "none": ("", ()),
    "one": ('299 - "a is deprecated"', ("a is deprecated",)),
    "two in one header": ('299 - "a", 299 - "b"', ("a", "b")),
    "twice the same": ('299 - "a", 299 - "a"', ("a",)),
    "quotes inside": (r'299 - "unknown field \"a\""', ('unknown field "a"',)),
    "control characters": ('299 - "a\x1bb"', ("a\\x1bb",)),
    "a secret": ('299 - "the value hunter22 is weak"', ("the value … is weak",)),
    "another code": ('199 - "miscellaneous"', ()),
    "no end": ('299 - "a', ()),
}


@pytest.mark.parametrize(("header", "told"), WARNINGS.values(), ids=WARNINGS)
def test_warnings_are_read_as_hostile_text(header: str, told: tuple[str, ...]) -> None:
    assert warnings_of(Answer(200, {"warning": header}, b"{}"), ["hunter22"]) == told


def test_no_more_than_twenty_warnings_are_read() -> None:
    header = ", ".join(f'299 - "number {number}"' for number in range(50))
    assert len(warnings_of(Answer(200, {"warning": header}, b"{}"))) == 20
