"""The rules of the proxy that need neither a network nor a database: targets, headers, filters."""

import json
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.proxy import merge
from access.proxy.answers import Refusal, Unauthorized
from access.proxy.filters import Lens, accepted, judged, restricted
from access.proxy.headers import bearer, downwards, read_headers, upgrade, upwards
from access.proxy.targets import Resource, read_target

TOKEN = "eyJh.eyJz.c2ln"


def refusal(act, *arguments) -> int:
    """The status of the refusal that it has to end in."""
    with pytest.raises(Refusal) as caught:
        act(*arguments)
    return caught.value.status


# --- Targets.

ODD_TARGETS = {
    "A17-two slashes in front": "//clusters/prod/api",
    "A17-two slashes inside": "/clusters/prod//api/v1/pods",
    "A17-a dot segment": "/clusters/prod/api/./v1",
    "A17-two dots": "/clusters/prod/api/v1/../../clusters/other",
    "A17-two dots at the end": "/clusters/prod/api/v1/..",
    "A17-up to another cluster": "/clusters/prod/../other/api/v1/namespaces",
    "A17-encoded dots": "/clusters/prod/api/v1/%2e%2e/v1/pods",
    "A17-half encoded dots": "/clusters/prod/api/v1/.%2E/v1/pods",
    "A17-encoded slash": "/clusters/prod/api/v1/namespaces%2fkube-system/secrets",
    "A17-encoded backslash": "/clusters/prod/api/v1/namespaces%5Ckube-system",
    "A17-backslash": "/clusters/prod/api\\v1",
    "A17-NUL": "/clusters/prod/api/v1/namespaces/a%00b",
    "A17-line feed": "/clusters/prod/api/v1/%0aHost:x",
    "A17-doubly encoded": "/clusters/prod/api/v1/%252e%252e/x",
    "A17-half an escape": "/clusters/prod/api/%2",
    "A17-no escape": "/clusters/prod/api/%zz",
    "A17-absolute form": "http://evil.example.org/clusters/prod/api",
    "A17-absolute form of https": "https://127.0.0.1/clusters/prod/api",
    "A17-authority form": "127.0.0.1:443",
    "A17-asterisk": "*",
    "A17-no slash": "clusters/prod/api",
    "A17-empty": "",
    "A17-fragment": "/clusters/prod/api#x",
    "A17-space": "/clusters/prod/api v1",
    "A17-no ASCII": "/clusters/prod/é",
    "A17-no UTF-8": "/clusters/prod/%ff%fe",
    "A17-ends with a slash": "/clusters/prod/api/v1/namespaces/",
    "A17-control character": "/clusters/prod/\x7f",
    "A17-right-to-left mark": "/clusters/prod/%E2%80%AE",
    "A32-too long": "/clusters/prod/" + "a" * 16384,
    "A32-too many parameters": "/clusters/prod/api?" + "&".join(["a=b"] * 65),
    "A17-deprecated watch": "/clusters/prod/api/v1/watch/namespaces",
    "A17-deprecated proxy": "/clusters/prod/api/v1/proxy/nodes/x",
}


@pytest.mark.parametrize("raw", ODD_TARGETS.values(), ids=ODD_TARGETS.keys())
def test_it_understands_only_the_normal_form_of_a_target(raw):
    assert refusal(read_target, "GET", raw) == 400


@pytest.mark.parametrize(
    "raw",
    ["/", "/clusters", "/clusters/", "/api/v1/pods", "/clusters/PROD/api", "/clusters/a--b/api"],
)
def test_outside_of_clusters_there_is_nothing(raw):
    assert refusal(read_target, "GET", raw) == 404


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "PROPFIND", "get", "", "GET\r\n"])
def test_a17_other_methods_are_refused(method):
    assert refusal(read_target, method, "/clusters/prod/api") == 405


R = Resource
PATHS = {
    "": R(),
    "/": R(),
    "/api": R(),
    "/api/v1": R(),
    "/version": R(),
    "/apis/apps/v1": R(),
    "/openapi/v3/apis/apps/v1": R(),
    "/api/v1/namespaces": R("", "v1", "", "namespaces"),
    "/api/v1/namespaces/acme--shop": R("", "v1", "acme--shop", "namespaces", "acme--shop"),
    "/api/v1/namespaces/x/status": R("", "v1", "x", "namespaces", "x", "status"),
    "/api/v1/namespaces/x/finalize": R("", "v1", "x", "namespaces", "x", "finalize"),
    "/api/v1/pods": R("", "v1", "", "pods"),
    "/api/v1/namespaces/x/pods": R("", "v1", "x", "pods"),
    "/api/v1/namespaces/x/pods/p": R("", "v1", "x", "pods", "p"),
    "/api/v1/namespaces/x/pods/p/exec": R("", "v1", "x", "pods", "p", "exec"),
    "/apis/apps/v1/deployments": R("apps", "v1", "", "deployments"),
    "/apis/apps/v1/namespaces/x/deployments/d/scale": R(
        "apps", "v1", "x", "deployments", "d", "scale"
    ),
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node": R(
        "rbac.authorization.k8s.io", "v1", "", "clusterroles", "system:node"
    ),
}


@pytest.mark.parametrize(("path", "resource"), PATHS.items())
def test_it_reads_a_path_as_the_api_server_does(path, resource):
    target = read_target("GET", f"/clusters/prod{path}")
    assert (target.cluster, target.path, target.resource) == ("prod", path or "/", resource)


VERBS = [
    ("GET", "/api/v1/pods", "list"),
    ("GET", "/api/v1/pods?watch=true", "watch"),
    ("GET", "/api/v1/pods?watch=1", "watch"),
    ("GET", "/api/v1/pods?watch=", "watch"),
    ("GET", "/api/v1/pods?watch=nonsense", "watch"),
    ("GET", "/api/v1/pods?watch=FALSE&watch=true", "list"),
    ("GET", "/api/v1/pods?watch=0", "list"),
    ("GET", "/api/v1/namespaces/x/pods/p", "get"),
    ("HEAD", "/api/v1/namespaces/x/pods/p", "get"),
    ("POST", "/api/v1/namespaces/x/pods", "create"),
    ("PUT", "/api/v1/namespaces/x/pods/p", "update"),
    ("PATCH", "/api/v1/namespaces/x/pods/p", "patch"),
    ("DELETE", "/api/v1/namespaces/x/pods/p", "delete"),
    ("DELETE", "/api/v1/namespaces/x/pods", "deletecollection"),
    ("GET", "/version", "get"),
]


@pytest.mark.parametrize(("method", "path", "verb"), VERBS)
def test_it_names_the_verb_as_access_rules_do(method, path, verb):
    assert read_target(method, f"/clusters/prod{path}").verb == verb


def test_lists_over_all_namespaces_are_known():
    def over_all(method: str, path: str) -> bool:
        return read_target(method, f"/clusters/prod{path}").collection

    assert over_all("GET", "/api/v1/pods")
    assert over_all("GET", "/apis/apps/v1/deployments?limit=5")
    assert not over_all("GET", "/api/v1/namespaces/x/pods")
    assert not over_all("GET", "/api/v1/nodes/n")
    assert not over_all("POST", "/api/v1/pods")
    assert not over_all("GET", "/version")


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_a17_what_passes_means_what_it_says(text):
    """Whatever is let through has no segment that a server could read in two ways."""
    try:
        target = read_target("GET", f"/clusters/prod/api/v1/{text}")
    except Refusal:
        return
    segments = target.path.split("/")[1:]
    decoded = [unquote(segment) for segment in segments]
    assert all(segment not in ("", ".", "..") for segment in decoded)
    assert not any(mark in segment for segment in decoded for mark in "/\\\x00%")
    assert target.path.startswith("/api/v1/")


# --- Headers.


def raw(*pairs: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in pairs]


BAD_HEADERS = {
    "A17-two lengths": [("Content-Length", "3"), ("Content-Length", "30")],
    "A17-two equal lengths": [("Content-Length", "3"), ("content-length", "3")],
    "A17-a length and chunks": [("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
    "A17-two codings": [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")],
    "A17-gzip and chunks": [("Transfer-Encoding", "gzip, chunked")],
    "A17-an odd coding": [("Transfer-Encoding", "xchunked")],
    "A17-a coding with a tab": [("Transfer-Encoding", "\tchunked\x0b")],
    "A17-a signed length": [("Content-Length", "+3")],
    "A17-a negative length": [("Content-Length", "-1")],
    "A17-a length in hex": [("Content-Length", "0x3")],
    "A17-two hosts": [("Host", "a"), ("Host", "b")],
    "A17-two identities": [("Authorization", "Bearer a.b.c"), ("authorization", "Bearer d.e.f")],
    "A17-a name with a space": [("Authorization ", "Bearer a.b.c")],
    "A17-a name with a colon": [("X:Y", "z")],
    "A17-an empty name": [("", "z")],
    "A17-a line break in a value": [("Accept", "a\r\nImpersonate-User: admin")],
    "A17-NUL in a value": [("Accept", "a\x00")],
}


@pytest.mark.parametrize("pairs", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_it_refuses_headers_that_can_be_read_in_two_ways(pairs):
    assert refusal(read_headers, raw(*pairs)) == 400


def test_a32_headers_are_bounded():
    assert refusal(read_headers, raw(*[("X", "y")] * 101)) == 431
    assert refusal(read_headers, raw(("X", "y" * 40_000))) == 431
    assert refusal(read_headers, raw(("Content-Encoding", "gzip"))) == 415


NO_TOKEN = {
    "A17-none": [],
    "A17-empty bearer": [("Authorization", "Bearer ")],
    "A17-bearer alone": [("Authorization", "Bearer")],
    "A17-empty": [("Authorization", "")],
    "A17-basic": [("Authorization", "Basic YTpi")],
    "A17-two tokens": [("Authorization", f"Bearer {TOKEN}, Bearer {TOKEN}")],
    "A17-two spaces": [("Authorization", f"Bearer  {TOKEN}")],
    "A17-no JWT": [("Authorization", "Bearer abc")],
    "A17-an unsigned JWT": [("Authorization", "Bearer eyJh.eyJz.")],
    "A17-five parts": [("Authorization", "Bearer a.b.c.d.e")],
    "A17-in another header": [("X-Authorization", f"Bearer {TOKEN}")],
    "A17-as a cookie": [("Cookie", f"token={TOKEN}")],
    "A32-a token without end": [("Authorization", f"Bearer {'a' * 9000}.b.c")],
}


@pytest.mark.parametrize("pairs", NO_TOKEN.values(), ids=NO_TOKEN.keys())
def test_a_token_comes_in_one_way(pairs):
    with pytest.raises(Unauthorized):
        bearer(read_headers(raw(*pairs)))


def test_a_bearer_token_is_read():
    assert bearer(read_headers(raw(("Authorization", f"Bearer {TOKEN}")))) == TOKEN
    assert bearer(read_headers(raw(("AUTHORIZATION", f"bearer {TOKEN}")))) == TOKEN


DROPPED = {
    "A17-impersonated user": ("Impersonate-User", "admin"),
    "A17-impersonated group": ("Impersonate-Group", "system:masters"),
    "A17-impersonated uid": ("Impersonate-Uid", "1"),
    "A17-impersonated extra": ("Impersonate-Extra-Scopes", "x"),
    "A17-impersonated, in capitals": ("IMPERSONATE-USER", "admin"),
    "A17-impersonated, underscore": ("Impersonate_User", "admin"),
    "A17-front proxy user": ("X-Remote-User", "admin"),
    "A17-front proxy group": ("X-Remote-Group", "system:masters"),
    "A17-front proxy extra": ("X-Remote-Extra-A", "b"),
    "A17-front proxy uid": ("X-Remote-Uid", "1"),
    "A17-forwarded for": ("X-Forwarded-For", "127.0.0.1"),
    "A17-forwarded host": ("X-Forwarded-Host", "kubernetes"),
    "A17-forwarded certificate": ("X-Forwarded-Client-Cert", "By=x"),
    "A17-forwarded": ("Forwarded", "for=127.0.0.1"),
    "A17-real address": ("X-Real-Ip", "127.0.0.1"),
    "A17-original URL": ("X-Original-Url", "/api/v1/secrets"),
    "A17-another method": ("X-Http-Method-Override", "DELETE"),
    "A17-a cookie": ("Cookie", "a=b"),
    "A17-an audit id": ("Audit-Id", "not-ours"),
    "A17-keep alive": ("Keep-Alive", "timeout=1"),
    "A17-te": ("TE", "trailers"),
    "A17-trailer": ("Trailer", "Impersonate-User"),
    "A17-proxy authorization": ("Proxy-Authorization", "Basic x"),
    "A17-proxy connection": ("Proxy-Connection", "close"),
    "a traceparent": ("Traceparent", "00-x-y-01"),
    "unknown to us": ("X-Whatever", "1"),
}


@pytest.mark.parametrize(("name", "value"), DROPPED.values(), ids=DROPPED.keys())
@pytest.mark.parametrize("tunnel", [False, True], ids=["request", "tunnel"])
def test_it_never_passes_on(name, value, tunnel):
    given = read_headers(raw((name, value), ("Accept", "application/json")))
    sent = upwards(given, TOKEN, tunnel=tunnel)
    assert sent == [("accept", "application/json"), ("authorization", f"Bearer {TOKEN}")]


@pytest.mark.parametrize(
    "connection",
    [
        ["Accept"],
        ["keep-alive, Accept"],
        ["keep-alive", "close,ACCEPT"],
        ["Impersonate-User,accept"],
        ["Authorization, Accept"],
    ],
)
def test_a17_what_connection_names_stays_on_the_connection_and_the_token_is_ours(connection):
    pairs = [*(("Connection", value) for value in connection), ("Accept", "x"), ("User-Agent", "k")]
    sent = upwards(read_headers(raw(*pairs)), TOKEN)
    assert sent == [("user-agent", "k"), ("authorization", f"Bearer {TOKEN}")]


def test_the_answers_own_connection_headers_stay_behind():
    found = downwards(
        [
            ("Connection", "X-Secret, close"),
            ("X-Secret", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Set-Cookie", "a=b"),
            ("Warning", '299 - "a"'),
            ("Warning", '299 - "b"'),
            ("Audit-Id", "x"),
        ]
    )
    assert list(found) == [("warning", '299 - "a"'), ("warning", '299 - "b"'), ("audit-id", "x")]


UPGRADES = {
    "websocket": ([("Connection", "Upgrade"), ("Upgrade", "websocket")], "websocket"),
    "spdy": ([("Connection", "keep-alive, upgrade"), ("Upgrade", "SPDY/3.1")], "SPDY/3.1"),
    "none": ([("Connection", "keep-alive")], ""),
}


@pytest.mark.parametrize(("pairs", "protocol"), UPGRADES.values(), ids=UPGRADES.keys())
def test_it_knows_the_upgrades_of_kubectl(pairs, protocol):
    assert upgrade(read_headers(raw(*pairs))) == protocol


BAD_UPGRADES = {
    "A17-h2c": [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")],
    "A17-tls": [("Connection", "Upgrade"), ("Upgrade", "TLS/1.0")],
    "A17-two": [("Connection", "Upgrade"), ("Upgrade", "websocket, h2c")],
    "A17-not in Connection": [("Upgrade", "websocket")],
    "A17-no protocol": [("Connection", "Upgrade")],
    "A17-a token among the protocols": [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Protocol", "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eA"),
    ],
    "A17-a token among the protocols, second line": [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Protocol", "v5.channel.k8s.io"),
        ("Sec-WebSocket-Protocol", "Base64Url.Bearer.Authorization.k8s.io.eA"),
    ],
}


@pytest.mark.parametrize("pairs", BAD_UPGRADES.values(), ids=BAD_UPGRADES.keys())
def test_it_refuses_other_upgrades(pairs):
    assert refusal(upgrade, read_headers(raw(*pairs))) == 400


# --- Namespaces.


def named(name: str) -> dict:
    return {"metadata": {"name": name}}


def row(name: str) -> dict:
    return {"cells": [name, "Active", "1d"], "object": named(name)}


def test_a_list_keeps_what_was_granted():
    body = {"kind": "NamespaceList", "items": [named("a"), named("b"), named("a-b"), {}, 5]}
    assert judged(body, {"a"})["items"] == [named("a")]


def test_a_table_keeps_what_was_granted():
    body = {"kind": "Table", "rows": [row("a"), row("b"), {"cells": ["a"]}, {"object": None}]}
    assert judged(body, {"a"})["rows"] == [row("a")]


def test_an_empty_list_is_a_list():
    assert judged({"kind": "NamespaceList", "items": None}, {"a"})["items"] == []
    assert judged({"kind": "Table", "rows": None}, {"a"})["rows"] == []


@pytest.mark.parametrize(
    "body", [{}, {"kind": "Namespace", "metadata": {"name": "b"}}, {"items": {}}]
)
def test_what_is_no_list_is_not_shown(body):
    assert refusal(judged, body, {"a"}) == 502


ACCEPTS = {
    "": "application/json",
    "*/*": "application/json",
    "application/json": "application/json",
    "application/vnd.kubernetes.protobuf,application/json": "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json": (
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    ),
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1": (
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    ),
}


@pytest.mark.parametrize(("given_", "asked"), ACCEPTS.items())
def test_it_asks_only_for_what_it_can_judge(given_, asked):
    assert accepted(given_) == asked


@pytest.mark.parametrize(
    "header", ["application/vnd.kubernetes.protobuf", "application/yaml", "application/cbor"]
)
def test_what_it_cannot_judge_is_not_acceptable(header):
    assert refusal(accepted, header) == 406


SELECTORS = [
    "a),x notin (z",
    "x in (a",
    "kubenova.io/tenant=globex",
    "",
    " ",
    ",",
    "a=b#",
    "a=b&labelSelector=",
    "%26labelSelector=",
]


@pytest.mark.parametrize("theirs", SELECTORS)
def test_a30_a_selector_only_narrows(theirs):
    (found,) = [
        value
        for name, value in parse_qsl(restricted((("labelSelector", theirs),), "acme"))
        if name == "labelSelector"
    ]
    ours = "kubenova.io/tenant=acme"
    assert found == (f"{ours},{theirs}" if theirs.strip() else ours)


BAD_QUERIES = {
    "A30-two selectors": (("labelSelector", "a"), ("labelSelector", "b")),
    "A30-an unknown parameter": (("as", "system:admin"),),
    "A30-dry run": (("dryRun", "All"),),
    "A30-a selector without end": (("labelSelector", "a" * 5000),),
    "A30-a line break": (("labelSelector", "a\nb"),),
}


@pytest.mark.parametrize("query", BAD_QUERIES.values(), ids=BAD_QUERIES.keys())
def test_a30_it_refuses(query):
    assert refusal(restricted, query, "acme") == 400


def test_rows_always_carry_the_object_that_they_are_judged_by():
    assert "includeObject=Metadata" in restricted((("includeObject", "None"),), "acme")
    assert "includeObject=Object" in restricted((("includeObject", "Object"),), "acme")


def event(kind: str, name: str) -> bytes:
    return json.dumps({"type": kind, "object": named(name)}).encode()


def test_a_stream_shows_what_was_granted():
    lens = Lens()
    assert lens.pass_on(event("ADDED", "a"), {"a"}) == event("ADDED", "a")
    assert lens.pass_on(event("ADDED", "b"), {"a"}) == b""
    assert lens.pass_on(event("DELETED", "b"), {"a"}) == b""


def test_a_stream_tells_of_the_end_of_what_it_has_shown():
    lens = Lens()
    lens.pass_on(event("ADDED", "a"), {"a"})
    assert lens.pass_on(event("DELETED", "a"), set()) == event("DELETED", "a")
    assert lens.pass_on(event("DELETED", "a"), set()) == b""


def test_what_is_granted_a_moment_later_is_shown_then():
    lens = Lens()
    lens.pass_on(event("ADDED", "new"), {"a"})
    lens.pass_on(event("MODIFIED", "new"), {"a"})
    assert list(lens.release({"a"})) == []
    (shown,) = lens.release({"a", "new"})
    assert json.loads(shown) == {"type": "ADDED", "object": named("new")}
    assert list(lens.release({"a", "new"})) == []


def test_a_bookmark_carries_its_version_and_nothing_else():
    meta = {"name": "b", "resourceVersion": "7", "labels": {"a": "b"}}
    line = json.dumps({"type": "BOOKMARK", "object": {"kind": "Namespace", "metadata": meta}})
    found = json.loads(Lens().pass_on(line.encode(), {"a"}))
    assert found["object"] == {"kind": "Namespace", "metadata": {"resourceVersion": "7"}}


def test_a_table_in_a_stream_is_judged_by_its_row():
    def line(*rows: dict) -> bytes:
        return json.dumps({"type": "ADDED", "object": {"kind": "Table", "rows": rows}}).encode()

    assert Lens().pass_on(line(row("a")), {"a"}) == line(row("a"))
    assert Lens().pass_on(line(row("b")), {"a"}) == b""
    assert Lens().pass_on(line(row("a"), row("b")), {"a"}) == b""
    assert Lens().pass_on(line(), {"a"}) == b""


@pytest.mark.parametrize(
    "line", [b"", b"x", b"[]", b'{"type":"ADDED"}', b'{"object":5}', b"{" * 9999]
)
def test_a8_what_is_no_event_ends_the_stream(line):
    assert refusal(Lens().pass_on, line, {"a"}) == 502


# --- Everything of a kind.


def listed(*names: str, version: str = "5", **meta: object) -> dict:
    return {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version, **meta},
        "items": [named(name) for name in names],
    }


def test_lists_are_joined_at_the_oldest_version():
    found = merge.merged([listed("a", version="9"), listed("b", "c", version="10"), listed()])
    assert [each["metadata"]["name"] for each in found["items"]] == ["a", "b", "c"]
    assert found["metadata"] == {"resourceVersion": "5"}


def test_a_joined_list_has_no_more_pages():
    found = merge.merged([listed("a", **{"continue": "x", "remainingItemCount": 7}), listed("b")])
    assert found["metadata"] == {"resourceVersion": "5"}


def test_versions_that_are_no_numbers_are_left_out():
    assert merge.oldest(["10", "9"]) == "9"
    assert merge.oldest(["10", "x"]) == merge.oldest([]) == ""


def test_tables_are_joined_under_one_head():
    def table(*names: str) -> dict:
        meta = {"resourceVersion": "1"}
        rows = [row(name) for name in names]
        return {"kind": "Table", "metadata": meta, "columnDefinitions": [{}], "rows": rows}

    found = merge.merged([table("a"), table("b")])
    assert found["rows"] == [row("a"), row("b")]
    assert found["columnDefinitions"] == [{}]


@pytest.mark.parametrize("bodies", [[{}], [{"kind": "Pod"}], [listed(), {"kind": "Table"}]])
def test_what_is_no_list_is_not_joined(bodies):
    assert refusal(merge.merged, bodies) == 502


def test_the_parts_are_asked_for_everything():
    query = (("limit", "500"), ("labelSelector", "a=b"), ("continue", ""))
    assert merge.spread(query, watch=False) == (("labelSelector", "a=b"),)
    assert refusal(lambda: merge.spread((("continue", "x"),), watch=False)) == 410
    initial = (("sendInitialEvents", "true"),)
    assert refusal(lambda: merge.spread(initial, watch=True)) == 422


def test_streams_are_spliced_with_one_head_and_no_bookmarks():
    def line(columns: int) -> bytes:
        body = {"kind": "Table", "columnDefinitions": [{"name": "x"}] * columns, "rows": []}
        return json.dumps({"type": "ADDED", "object": body}, separators=(",", ":")).encode()

    splice = merge.Splice()
    assert splice.pass_on(line(1)) == line(1)
    assert json.loads(splice.pass_on(line(1)))["object"]["columnDefinitions"] == []
    assert splice.pass_on(line(0)) == line(0)
    assert splice.pass_on(b'{"type":"BOOKMARK","object":{}}') == b""


def test_nothing_of_a_kind_is_an_empty_list():
    assert merge.empty("Pod", "v1", table=False)["kind"] == "PodList"
    assert merge.empty("Pod", "v1", table=True)["rows"] == []
