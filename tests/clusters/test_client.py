"""The client's verbs against servers that lie, leak or never end (A8, A18, A30, F14).

What an honest server does is in tests/contract.
"""

import json
from typing import Any

import pytest

from clusters.addresses import AddressRules
from clusters.answers import Expired
from clusters.client import ApiCluster
from clusters.gate import Gate, Pace
from clusters.kinds import CONFIG_MAP, NAMESPACE, POD, SECRET
from clusters.objects import encode
from clusters.transport import Limits, Transport
from reconcile.deadline import within
from reconcile.errors import Conflict, Missing, Refused, Unauthenticated, Unreachable
from reconcile.values import JSON, Ref
from tests.clusters.hostile_server import Behaviour, Exchange, HostileServer

RULES = AddressRules(allow_loopback=True)
REF = Ref(CONFIG_MAP, "shop", "a")
LABELS = {"owner": "acme"}


def client(server: HostileServer, **options: Any) -> ApiCluster:
    limits = Limits(connect=5.0, read=5.0, total=10.0)
    return ApiCluster(Transport(server.credential(), RULES, limits), **options)


def says(body: object, status: int = 200, **headers: str) -> Behaviour:
    return lambda exchange: exchange.reply(status, json.dumps(body), **headers)


def config_map(name: str = "a", namespace: str = "shop", **meta: object) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", **meta},
    }


def page(*items: object, token: str = "") -> JSON:
    meta = {"resourceVersion": "7", **({"continue": token} if token else {})}
    return {"kind": "ConfigMapList", "metadata": meta, "items": list(items)}


def queries(server: HostileServer) -> list[str]:
    return [seen.target.partition("?")[2] for seen in server.seen]


# --- What it sends.


def test_an_apply_is_strict_and_carries_the_uid() -> None:
    with HostileServer(says(config_map())) as server:
        client(server).apply(REF, {**config_map(), "data": {"a": "é"}}, uid="uid-a", force=True)
    (seen,) = server.seen
    assert seen.head.startswith(
        "PATCH /api/v1/namespaces/shop/configmaps/a"
        "?fieldManager=kubenova&fieldValidation=Strict&force=true HTTP"
    )
    assert seen.header("Content-Type") == "application/apply-patch+yaml"
    sent = json.loads(seen.body)
    assert sent["metadata"]["uid"] == "uid-a"
    assert sent["data"] == {"a": "é"}


def test_a_dry_run_says_so_and_does_not_force() -> None:
    with HostileServer(says(config_map())) as server:
        client(server).apply(REF, config_map(), dry_run=True)
    assert queries(server) == [
        "fieldManager=kubenova&fieldValidation=Strict&force=false&dryRun=All"
    ]


def test_an_apply_does_not_change_the_manifest_that_was_given() -> None:
    given = config_map()
    del given["metadata"]["uid"]
    with HostileServer(says(config_map())) as server:
        client(server).apply(REF, given, uid="uid-a")
    assert "uid" not in given["metadata"]


def test_a_delete_names_the_uid_and_leaves_dependents_to_the_cluster() -> None:
    with HostileServer(says({"kind": "Status", "status": "Success"})) as server:
        client(server).delete(REF, "uid-a")
    sent = json.loads(server.seen[0].body)
    assert sent["preconditions"] == {"uid": "uid-a"}
    assert sent["propagationPolicy"] == "Background"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "configmaps not found"),
        (409, "the UID in the precondition (a) does not match the UID in record (b)"),
    ],
    ids=["gone", "another_took_its_place"],
)
def test_a_delete_is_done_when_the_object_is_no_more(status: int, message: str) -> None:
    with HostileServer(says({"kind": "Status", "message": message}, status)) as server:
        client(server).delete(REF, "uid-a")


def test_a_delete_that_another_writer_crossed_is_a_conflict() -> None:
    body = {"kind": "Status", "message": "the object has been modified; try again"}
    with HostileServer(says(body, 409)) as server, pytest.raises(Conflict):
        client(server).delete(REF, "uid-a")


def test_a_status_patch_goes_to_the_subresource() -> None:
    with HostileServer(says(config_map())) as server:
        client(server).patch_status(REF, {"status": {"a": None}})
    (seen,) = server.seen
    assert seen.target.startswith("/api/v1/namespaces/shop/configmaps/a/status?fieldManager=")
    assert seen.header("Content-Type") == "application/merge-patch+json"


@pytest.mark.parametrize(
    "text",
    ["plain", "😀", "\x7f\x85\u2028\u2029\ufeff", 'tab\tquote"back\\slash', "\x00\x1f", "\ud7ff"],
    ids=ascii,
)
def test_what_it_encodes_is_json_without_what_yaml_misreads(text: str) -> None:
    encoded = encode({"a": text})
    assert json.loads(encoded) == {"a": text}
    assert not set(encoded.decode()) & set("\x7f\x85\u2028\u2029\ufeff\x00\x1f\t")
    assert b"\\ud" not in encoded


def test_text_that_is_no_unicode_is_refused_and_not_sent() -> None:
    with HostileServer(says({})) as server, pytest.raises(Refused, match="surrogate"):
        client(server).apply(REF, {**config_map(), "data": {"a": "\ud800"}})
    assert server.seen == []


# --- What it believes.


def test_it_drops_from_a_list_what_lacks_the_labels_a30() -> None:
    right = config_map("right", labels={"owner": "acme"})
    wrong = config_map("wrong", labels={"owner": "globex"})
    bare = config_map("bare")
    with HostileServer(says(page(right, wrong, bare))) as server:
        found = client(server).owned(CONFIG_MAP, LABELS)
    assert [live.ref.name for live in found] == ["right"]
    assert queries(server) == ["labelSelector=owner%3Dacme&limit=500"]


def test_it_drops_from_a_list_what_lies_elsewhere() -> None:
    there = config_map("b", "victim", labels={"owner": "acme"})
    with HostileServer(says(page(there))) as server:
        assert client(server).owned(CONFIG_MAP, LABELS, namespace="shop") == []


def test_it_completes_the_items_of_a_list() -> None:
    item = config_map(labels={"owner": "acme"})
    whole = dict(item)
    del item["apiVersion"], item["kind"]
    with HostileServer(says(page(item))) as server:
        (found,) = client(server).owned(CONFIG_MAP, LABELS)
    assert found.body == whole


def test_it_reads_an_empty_list_of_go() -> None:
    empty = {"kind": "ConfigMapList", "metadata": {}, "items": None}
    with HostileServer(says(empty)) as server:
        assert client(server).owned(CONFIG_MAP, LABELS) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"metadata": {"name": "a", "namespace": "shop"}}, id="no_uid"),
        pytest.param({"metadata": {"name": 1, "uid": "x", "namespace": "shop"}}, id="number"),
        pytest.param({"metadata": []}, id="no_metadata"),
        pytest.param(config_map("b"), id="other_name"),
        pytest.param(config_map(namespace="victim"), id="other_namespace"),
        pytest.param({**config_map(), "kind": "Secret"}, id="other_kind"),
        pytest.param({**config_map(), "apiVersion": "v2"}, id="other_version"),
    ],
)
def test_it_takes_no_other_object_for_the_one_it_asked_for(body: JSON) -> None:
    with HostileServer(says(body)) as server:
        for call in (
            lambda: client(server).get(REF),
            lambda: client(server).apply(REF, config_map()),
        ):
            with pytest.raises(Unreachable, match="the answer holds"):
                call()


@pytest.mark.parametrize(
    "body",
    [{}, {"items": []}, {"items": {}, "metadata": {}}, {"items": [1], "metadata": {}}],
    ids=str,
)
def test_it_takes_nothing_else_for_a_list(body: JSON) -> None:
    with HostileServer(says(body)) as server, pytest.raises(Unreachable, match="the answer"):
        client(server).owned(CONFIG_MAP, LABELS)


def test_a_web_page_is_no_cluster() -> None:
    with (
        HostileServer(lambda exchange: exchange.reply(200, "<html>sign in</html>")) as server,
        pytest.raises(Unreachable, match="is this a Kubernetes API server"),
    ):
        client(server).get(REF)


def test_a_redirect_is_unreachable_not_followed() -> None:
    with (
        HostileServer(says({}, 302, Location="https://evil.example/")) as server,
        pytest.raises(Unreachable, match="redirects are not followed"),
    ):
        client(server).get(REF)


# --- What never ends.


def test_a_list_that_never_ends_is_cut_a8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.client.MAX_PAGES", 4)
    with (
        HostileServer(says(page(config_map(), token="again"))) as server,
        pytest.raises(Unreachable, match="does not end"),
    ):
        client(server).owned(CONFIG_MAP, LABELS)
    assert len(server.seen) == 4
    assert queries(server)[1].endswith("&continue=again")


def test_a_continue_token_is_sent_back_as_it_came() -> None:
    token = "a b&labelSelector=x/=="
    answers = iter([page(token=token), page()])
    with HostileServer(lambda exchange: says(next(answers))(exchange)) as server:
        client(server).owned(CONFIG_MAP, LABELS)
    assert queries(server)[1].endswith("&continue=a%20b%26labelSelector%3Dx%2F%3D%3D")


def test_a_list_that_expires_on_the_way_is_read_anew_f15() -> None:
    item = config_map(labels={"owner": "acme"})
    gone = {"kind": "Status", "message": "continue parameter is too old"}
    answers = iter(
        [(200, page(item, token="t")), (410, gone), (200, page(item, token="t")), (200, page())]
    )

    def behave(exchange: Exchange) -> None:
        status, body = next(answers)
        says(body, status)(exchange)

    with HostileServer(behave) as server:
        found = client(server).owned(CONFIG_MAP, LABELS)
    assert [live.ref for live in found] == [REF]
    assert "continue" not in queries(server)[2]


def test_a_list_that_always_expires_gives_up() -> None:
    with HostileServer(says({"kind": "Status"}, 410)) as server, pytest.raises(Expired):
        client(server).owned(CONFIG_MAP, LABELS)
    assert len(server.seen) == 3


# --- What it tells.


def test_it_never_tells_its_token_a19() -> None:
    def echo(exchange: Exchange) -> None:
        exchange.reply(403, f"you sent {exchange.header('Authorization')}")

    with HostileServer(echo) as server, pytest.raises(Refused) as refused:
        client(server).get(REF)
    assert refused.value.message == "you sent Bearer …"


def test_it_never_tells_what_a_secret_holds_a19() -> None:
    ref = Ref(SECRET, "shop", "login")
    manifest: JSON = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "shop"},
        "data": {"key": "Y2FuYXJ5LW9uZQ=="},
    }
    message = (
        'Secret "login" is invalid: data[key]: Invalid value: "abc": canary-one Y2FuYXJ5LW9uZQ=='
    )
    body = {"kind": "Status", "message": message}
    with HostileServer(says(body, 422)) as server, pytest.raises(Refused) as refused:
        client(server).apply(ref, manifest)
    assert refused.value.message == (
        'Secret "login" is invalid: data[key]: Invalid value: "…": … …'
    )


def test_it_names_the_kind_that_is_not_served() -> None:
    with HostileServer(lambda exchange: exchange.reply(404, "404 page not found")) as server:
        with pytest.raises(Missing, match="does not serve configmaps of v1"):
            client(server).get(REF)
        with pytest.raises(Missing, match="does not serve this path"):
            client(server).version()


def test_it_keeps_the_warnings_of_the_server_each_once() -> None:
    warning = '299 - "unknown field \\"a\\"", 299 - "second\x1b"'
    with HostileServer(says(config_map(), Warning=warning)) as server:
        cluster = client(server)
        cluster.get(REF)
        cluster.get(REF)
    assert list(cluster.warnings) == ['unknown field "a"', "second\\x1b"]


def test_it_keeps_each_of_several_warning_headers() -> None:
    several = '299 - "a is deprecated"\r\nWarning: 299 - "b is deprecated"'
    with HostileServer(says(config_map(), Warning=several)) as server:
        live = client(server).apply(REF, config_map())
    assert live.warnings == ("a is deprecated", "b is deprecated")


def test_it_keeps_no_more_than_twenty_warnings() -> None:
    numbers = iter(range(100))

    def behave(exchange: Exchange) -> None:
        says(config_map(), Warning=f'299 - "number {next(numbers)}"')(exchange)

    with HostileServer(behave) as server:
        cluster = client(server)
        for _ in range(25):
            cluster.get(REF)
    assert len(cluster.warnings) == 20
    assert cluster.warnings[-1] == "number 24"


def test_warnings_belong_to_the_answer_that_they_came_with() -> None:
    with HostileServer(says(config_map(), Warning='299 - "a is deprecated"')) as server:
        live = client(server).apply(REF, config_map(), dry_run=True)
    assert live.warnings == ("a is deprecated",)


def test_a_warning_never_repeats_the_value_of_a_secret() -> None:
    body = {**config_map(), "kind": "Secret", "stringData": {"password": "hunter22"}}
    warning = '299 - "the value hunter22 is weak"'
    answer = {**config_map(), "kind": "Secret"}
    with HostileServer(says(answer, Warning=warning)) as server:
        live = client(server).apply(REF._replace(kind=SECRET), body)
    assert live.warnings == ("the value … is weak",)


def test_a_dry_run_of_a_deletion_says_so_twice() -> None:
    """In the options for who deletes, in the query for who counts requests."""
    with HostileServer(says({"kind": "Status", "status": "Success"})) as server:
        client(server).delete(REF, "uid-a", dry_run=True)
        client(server).delete(REF, "uid-a")
    dry, real = server.seen
    assert dry.target.endswith("?dryRun=All") and "?" not in real.target
    assert json.loads(dry.body)["dryRun"] == ["All"] and "dryRun" not in json.loads(real.body)
    assert json.loads(dry.body)["preconditions"] == {"uid": "uid-a"}


# --- What else it asks.


def test_it_discovers_what_is_served() -> None:
    core = {"versions": [{"version": "v1", "resources": [{"resource": "pods"}]}]}
    apps = {
        "metadata": {"name": "apps"},
        "versions": [{"version": "v1", "resources": [{"resource": "deployments"}]}],
    }

    def behave(exchange: Exchange) -> None:
        assert "apidiscovery" in (exchange.header("Accept") or "")
        group = core if exchange.target == "/api" else apps
        says({"kind": "APIGroupDiscoveryList", "items": [group]})(exchange)

    with HostileServer(behave) as server:
        assert client(server).discovery() == {("v1", "pods"), ("apps/v1", "deployments")}


def test_a_cluster_too_old_for_discovery_is_told() -> None:
    with (
        HostileServer(says({"kind": "APIVersions"})) as server,
        pytest.raises(Unreachable, match=r"Kubernetes 1\.30"),
    ):
        client(server).discovery()


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        ({"status": {"allowed": True}}, True),
        ({"status": {"allowed": False}}, False),
        ({"status": {"allowed": "yes"}}, False),
        ({"status": {}}, False),
        ({}, False),
    ],
    ids=str,
)
def test_it_may_only_what_the_server_plainly_allows(answer: JSON, allowed: bool) -> None:
    with HostileServer(says(answer, 201)) as server:
        assert client(server).access_review("get", "", "pods/log", "shop") is allowed
    spec = json.loads(server.seen[0].body)["spec"]["resourceAttributes"]
    assert spec == {
        "verb": "get",
        "group": "",
        "resource": "pods",
        "subresource": "log",
        "namespace": "shop",
    }


def test_it_yields_the_log_of_a_pod() -> None:
    with HostileServer(lambda exchange: exchange.reply(200, b"one\r\n\xfftwo\n")) as server:
        lines = list(client(server).stream(Ref(POD, "shop", "web-1"), tail_lines=5))
    assert lines == ["one", "\ufffdtwo"]
    assert server.seen[0].target == (
        "/api/v1/namespaces/shop/pods/web-1/log?tailLines=5&limitBytes=10485760"
    )


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"follow": True}, "tailLines=100&follow=true"),
        ({"previous": True}, "tailLines=100&limitBytes=10485760&previous=true"),
        ({"since_seconds": 30}, "tailLines=100&limitBytes=10485760&sinceSeconds=30"),
    ],
    ids=["follow", "previous", "since"],
)
def test_it_asks_for_a_part_of_a_log(options: dict[str, Any], query: str) -> None:
    with HostileServer(lambda exchange: exchange.reply(200, b"one\n")) as server:
        assert list(client(server).stream(Ref(POD, "shop", "web-1"), **options)) == ["one"]
    assert server.seen[0].target == f"/api/v1/namespaces/shop/pods/web-1/log?{query}"


def test_a_log_that_is_followed_ends_at_the_deadline_of_its_reader() -> None:
    def drips(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\none\n")
        exchange.wait(5)

    with HostileServer(drips) as server:
        with within(0.5):
            lines = client(server).stream(Ref(POD, "shop", "web-1"), follow=True)
            first = next(lines)
        with pytest.raises(Unreachable, match="in time"):
            next(lines)
    assert first == "one"


def test_a_log_that_is_refused_raises() -> None:
    with (
        HostileServer(says({"kind": "Status", "message": "no"}, 401)) as server,
        pytest.raises(Unauthenticated),
    ):
        list(client(server).stream(Ref(POD, "shop", "web-1"), follow=True))


# --- Through the gate.


def test_a_dead_cluster_is_not_asked_again_and_again_f13() -> None:
    with HostileServer(says({"kind": "Status"}, 503)) as server:
        cluster = client(server, gate=Gate(Pace(tolerance=2)))
        for _ in range(5):
            with pytest.raises(Unreachable):
                cluster.get(REF)
        with pytest.raises(Unreachable):
            list(cluster.stream(Ref(POD, "shop", "web-1")))
    assert len(server.seen) == 2
    assert cluster.gate.open


def test_a_throttled_write_lowers_what_is_in_flight_f11() -> None:
    with HostileServer(says({"kind": "Status"}, 429, Retry_After="3")) as server:
        cluster = client(server, gate=Gate(Pace(writes=8)))
        with pytest.raises(Unreachable) as throttled:
            cluster.apply(Ref(NAMESPACE, "", "shop"), namespace())
    assert throttled.value.retry_after == 3.0
    assert cluster.gate.writes_allowed == 4
    assert not cluster.gate.open


def namespace() -> JSON:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
