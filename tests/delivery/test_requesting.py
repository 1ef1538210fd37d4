"""The step `request`: where it may go, what it sends, what it tells, and that it is sent once."""

import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from delivery import sending
from delivery.models import ProjectSecret, RequestTarget, WorkflowRun
from delivery.rules.requests import Heard, Unexpected, place_of, taken
from delivery.rules.workflows import step_problems
from delivery.sending import MAX_ANSWER, Message, Unheard, Unsent, send
from reconcile.models import Event, Work
from tests.clusters.certificates import authority
from tests.clusters.hostile_server import Exchange, HostileServer
from tests.clusters.steps import settle
from tests.delivery.flows import declare, phases, run, step, told
from tests.delivery.paths import pointers

CANARY = "canary-9f2-token"
HOME = ["127.0.0.0/8"]


def ok(exchange: Exchange) -> None:
    exchange.reply(201, json.dumps({"data": {"id": "r-7"}}))


@pytest.fixture
def server():
    with HostileServer(ok) as found:
        yield found


def allow(server, **changes):
    values = {"host": "127.0.0.1", "port": server.port, "networks": HOME, "ca": authority().pem}
    return RequestTarget.objects.create(**{**values, "changed_by": "olga", **changes})


def url(server, path="/hook"):
    return f"https://127.0.0.1:{server.port}{path}"


def request(name, where, **properties):
    return step(name, "request", properties={"url": where, **properties})


# --- Where it may go.


@pytest.mark.parametrize(
    "where",
    [
        *("ftp://a.example/", "file:///etc/passwd", "https://user:pw@a.example/", "//a.example"),
        *("https://a.example/#x", "https://A.example/", "https://[::1]/", "https://a.example:0/"),
        *("https://a.example:99999/", "https://", "https://a b/", "https://a.example\\@b/"),
        *("https://a.example/\r\nHost: b", "http:/a.example", "https://ä.example/"),
    ],
)
def test_it_refuses_urls_that_could_mean_something_else(where):
    (problem, *_) = step_problems([request("go", where)], "StepByStep")
    assert problem.path == (0, "properties", "url")


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("https://a.example", ("https", "a.example", 443, "/")),
        ("http://a.example:8080/x?y=1", ("http", "a.example", 8080, "/x?y=1")),
        ("https://a.example?y=1", ("https", "a.example", 443, "/?y=1")),
    ],
)
def test_it_takes_a_url_apart(where, place):
    found = place_of(where)
    assert (found.scheme, found.host, found.port, found.path) == place


@pytest.mark.parametrize(
    ("properties", "place"),
    [
        ({"header": {"Authorization": "Bearer x"}}, "header/Authorization"),
        ({"header": {"COOKIE": "a=b"}}, "header/COOKIE"),
        ({"header": {"Host": "b.example"}}, "header/Host"),
        ({"header": {"Content-Length": "1"}}, "header/Content-Length"),
        ({"header": {"X Y": "1"}}, "header/X Y"),
        ({"header": {"X": "1\r\nY: 2"}}, "header/X"),
        ({"method": "TRACE"}, "method"),
        ({"body": "x"}, "body"),
        ({"expect": [99]}, "expect/0"),
        ({"valueFrom": "data"}, "valueFrom"),
        ({"proxy": "http://b"}, "proxy"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_refuses_properties_that_do_not_fit(properties, place):
    (problem,) = step_problems([request("go", "https://a.example/", **properties)], "DAG")
    assert "/".join(map(str, problem.path[2:])) == place


def test_nobody_is_asked_before_operators_allow_it(bobs):
    flows = "/api/v1/tenants/acme/projects/shop/workflows"
    body = {"name": "release", "steps": [request("go", "https://hooks.example.com/x")]}
    answer = bobs.post(flows, body, format="json")
    assert answer.status_code == 422, answer.json()
    assert pointers(answer) == {"/steps/0/properties/url": "host"}
    assert "Ask one to add it" in answer.json()["detail"]
    RequestTarget.objects.create(host="hooks.example.com", changed_by="olga")
    assert bobs.post(flows, body, format="json").status_code == 201


@pytest.mark.parametrize(
    "change", [{"port": 8443}, {"scheme": "http"}, {"host": "example.com"}], ids=str
)
def test_what_is_allowed_is_exactly_one_server(bobs, change):
    RequestTarget.objects.create(**{"host": "hooks.example.com", "changed_by": "olga", **change})
    body = {"name": "release", "steps": [request("go", "https://hooks.example.com/x")]}
    answer = bobs.post("/api/v1/tenants/acme/projects/shop/workflows", body, format="json")
    assert answer.status_code == 422


def test_a_server_may_be_allowed_to_one_tenant_alone(shop, server):
    from tests.people import make_globex

    allow(server, tenant=make_globex())
    with pytest.raises(Exception, match="have not allowed"):
        declare(shop, request("go", url(server)))


def test_what_is_allowed_no_longer_is_not_asked(shop, server):
    target = allow(server)
    flow = declare(shop, request("go", url(server)))
    target.delete()
    found = run(flow)
    assert phases(found) == {"go": "failed"} and server.connections == 0
    assert "have not allowed" in told(found, "go")


@pytest.mark.parametrize(
    "values",
    [{"host": "A.example"}, {"host": "a.example:1"}, {"host": "*"}, {"networks": ["x"]}],
    ids=str,
)
def test_operators_name_hosts_and_networks(values, db):
    with pytest.raises(ValidationError):
        RequestTarget(**{"host": "a.example", "changed_by": "olga", **values}).full_clean()


# --- The way there.


def message(server, **changes):
    values = {"method": "GET", "headers": {}, "networks": HOME, "ca": authority().pem}
    return Message(place_of(url(server)), **{**values, **changes})


def test_a_private_address_is_dialled_only_where_it_is_allowed(server):
    assert send(message(server)).status == 201
    with pytest.raises(Unsent, match="no public address"):
        send(message(server, networks=[]))
    with pytest.raises(Unsent, match="no public address"):
        send(message(server, networks=["10.0.0.0/8"]))
    assert server.connections == 1


def test_metadata_services_are_never_dialled(server):
    place = place_of("http://169.254.169.254/latest")
    with pytest.raises(Unsent, match="no public address"):
        send(Message(place, "GET", {}, networks=["169.254.0.0/16"]))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "localhost", "127.1"])
def test_loopback_by_another_name_is_loopback(host):
    with pytest.raises(Unsent, match="Nothing was sent"):
        send(Message(place_of(f"http://{host}:1/"), "GET", {}))


def test_a_certificate_of_somebody_else_is_not_trusted(server):
    with pytest.raises(Unsent, match="cannot be trusted"):
        send(message(server, ca=authority("another").pem))
    with pytest.raises(Unsent, match="cannot be trusted"):
        send(message(server, ca=""))
    assert server.seen == []


def test_redirects_are_answers():
    def away(exchange):
        exchange.reply(302, Location="http://169.254.169.254/")

    with HostileServer(away) as server:
        assert send(message(server)).status == 302
        assert server.connections == 1


def test_the_environment_has_no_say(server, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(message(server)).status == 201


def test_an_answer_has_an_end():
    def endless(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(2 + MAX_ANSWER // 65536):
            exchange.send(b"x" * 65536)

    with HostileServer(endless) as server, pytest.raises(Unheard, match="more than 256 KiB"):
        send(message(server))


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_drips_is_cut(begin):
    def drip(exchange):
        exchange.send(begin)
        while not exchange.server.over.is_set():
            exchange.wait(0.05)
            exchange.send(b"x")

    with HostileServer(drip) as server, pytest.raises(Unheard, match="no whole answer within 1 s"):
        send(message(server), seconds=1.0)


# --- What it takes of an answer.


@pytest.mark.parametrize(
    ("body", "pointer", "value"),
    [
        ('{"a": {"b/c": [1, "x"]}}', "/a/b~1c/1", "x"),
        ('{"n": 7}', "/n", 7),
        ("true", "", True),
    ],
)
def test_a_value_is_taken_by_its_pointer(body, pointer, value):
    found = taken({"valueFrom": pointer}, Heard(200, body.encode()), {})
    assert found == {"status": 200, "value": value}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        *(("<html>", "/a"), ('{"a": {}}', "/a"), ('{"a": 1.5}', "/a"), ('{"a": 1}', "/b")),
        *(("[1]", "/1"), ("[1]", "/x"), ('{"a": null}', "/a"), ("[" * 100_000, "/0")),
        ('{"a": "%s"}' % ("x" * 5000), "/a"),
        (f'{{"a": "you sent {CANARY}"}}', "/a"),
    ],
)
def test_what_cannot_be_taken_is_told_without_repeating_it(body, pointer):
    with pytest.raises(Unexpected) as caught:
        taken({"valueFrom": pointer}, Heard(200, body.encode()), {"X": CANARY})
    assert CANARY not in str(caught.value)


def test_the_status_has_to_be_as_expected():
    with pytest.raises(Unexpected, match="answered 500; 2xx was expected"):
        taken({}, Heard(500, b""), {})
    with pytest.raises(Unexpected, match="answered 200; 202, 204 was expected"):
        taken({"expect": [202, 204]}, Heard(200, b""), {})
    assert taken({"expect": [404]}, Heard(404, b""), {}) == {"status": 404}


# --- In a run.


def test_it_is_sent_and_later_steps_take_what_it_tells(shop, server):
    allow(server)
    go = request("go", url(server), method="POST", body={"a": "{{ 7 }}"}, valueFrom="/data/id") | {
        "outputs": [
            {"name": "id", "valueFrom": "value"},
            {"name": "status", "valueFrom": "status"},
        ]
    }
    tell = step("tell") | {"inputs": [{"from": "id", "parameterKey": "message"}]}
    found = run(declare(shop, go, tell))
    assert phases(found) == {"go": "succeeded", "tell": "succeeded"}
    assert found.progress["go"]["outputs"] == {"id": "r-7", "status": 201}
    assert told(found, "tell") == "r-7"
    (seen,) = server.seen
    assert seen.head.startswith("POST /hook HTTP/1.1") and seen.body == b'{"a": "{{ 7 }}"}'
    assert seen.header("Content-Type") == "application/json"


def test_what_proves_who_it_is_comes_from_a_secret_and_is_told_nowhere(shop, server, caplog):
    allow(server)
    secret = ProjectSecret(project=shop, name="hook")
    secret.assign({"token": CANARY})
    secret.declare(by="bob")
    ref = {"secretKeyRef": {"name": "hook", "key": "token"}}
    found = run(declare(shop, request("go", url(server), header={"Authorization": ref})))
    assert phases(found) == {"go": "succeeded"}
    assert server.seen[0].header("Authorization") == CANARY
    kept = [*WorkflowRun.objects.values(), *Event.objects.values(), *Work.objects.values()]
    assert CANARY not in str(kept) and CANARY not in caplog.text


def test_a_secret_that_is_not_there_is_named(shop, server):
    allow(server)
    ref = {"secretKeyRef": {"name": "hook", "key": "token"}}
    found = run(declare(shop, request("go", url(server), header={"X-Token": ref})))
    assert told(found, "go") == "There is no secret hook with the key token. Nothing was sent."
    assert server.connections == 0


def test_an_answer_that_is_not_expected_fails_the_step_and_a_retry_asks_again(shop):
    answers = iter([503, 200])
    with HostileServer(lambda exchange: exchange.reply(next(answers))) as server:
        allow(server)
        found = run(declare(shop, request("go", url(server))))
        assert phases(found) == {"go": "failed"}
        assert "It answered 503; 2xx was expected." in told(found, "go")
        found.retry("bob")
        settle()
        assert phases(found) == {"go": "succeeded"} and len(server.seen) == 2


class Killed(BaseException):
    """The worker is no more: nothing is caught, given back or written after this."""


def die(monkeypatch, when):
    """The worker dies `before` the request leaves, or `after` the answer has come."""

    def dying(message, seconds):
        if when == "after":
            sending.send(message, seconds)
        raise Killed

    monkeypatch.setattr("delivery.models.requesting.send", dying)


@pytest.mark.parametrize(("when", "sent"), [("before", 0), ("after", 1)])
def test_a_worker_that_dies_in_the_middle_repeats_nothing(shop, server, monkeypatch, when, sent):
    allow(server)
    found = declare(shop, request("go", url(server)), step("tell")).run("bob")
    die(monkeypatch, when)
    with pytest.raises(Killed):
        settle()
    monkeypatch.undo()
    past = timezone.now() - timedelta(seconds=1)
    Work.objects.exclude(lease_token=None).update(lease_until=past)
    settle()

    assert phases(found) == {"go": "failed", "tell": "skipped"}
    assert found.progress["go"]["reason"] == "Interrupted"
    assert len(server.seen) == sent, "it is not sent again by itself"
    found.retry("bob")
    settle()
    assert phases(found) == {"go": "succeeded", "tell": "succeeded"}
    assert len(server.seen) == sent + 1


def test_an_answer_that_came_too_late_for_the_lease_is_not_taken(shop, server, monkeypatch):
    allow(server)
    found = declare(shop, request("go", url(server))).run("bob")

    def stolen(message, seconds):
        heard = sending.send(message, seconds)
        past = timezone.now() - timedelta(seconds=1)
        Work.objects.exclude(lease_token=None).update(lease_token=None, lease_until=past)
        return heard

    monkeypatch.setattr("delivery.models.requesting.send", stolen)
    settle()
    monkeypatch.undo()
    found.mark()
    settle()
    assert found.__class__.objects.get().progress["go"]["reason"] == "Interrupted"
    assert len(server.seen) == 1


def test_who_terminates_it_meanwhile_has_the_last_word(shop, server, monkeypatch):
    allow(server)
    found = declare(shop, request("go", url(server))).run("bob")

    def terminated(message, seconds):
        WorkflowRun.objects.get().terminate("alice")
        return sending.send(message, seconds)

    monkeypatch.setattr("delivery.models.requesting.send", terminated)
    settle()
    assert phases(found) == {"go": "failed"} and found.state == "terminated"


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_it_is_under_way(shop, server, monkeypatch):
    from django.db import connection

    allow(server)
    found = declare(shop, request("go", url(server))).run("bob")
    seen = []

    def watched(message, seconds):
        seen.append(connection.in_atomic_block)
        return sending.send(message, seconds)

    monkeypatch.setattr("delivery.models.requesting.send", watched)
    settle()
    assert phases(found) == {"go": "succeeded"} and seen == [False]
