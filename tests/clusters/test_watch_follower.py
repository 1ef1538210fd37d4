"""Following one kind on a server that behaves well, badly, or not at all."""

import asyncio
import json
import threading
import time

import pytest

from clusters.addresses import AddressRules
from clusters.watch.follower import Rhythm
from clusters.watch.session import Silent
from reconcile.errors import Missing, Refused, Unreachable
from tests.clusters.certificates import authority
from tests.clusters.hostile_server import Exchange, HostileServer
from tests.clusters.scripted_watch import (
    ApiServer,
    begin,
    chunk,
    config_map,
    event,
    follow,
    names,
    page,
    status,
    telling,
)


def test_it_lists_ours_alone_then_watches_from_there():
    api = ApiServer([page(config_map("a"), config_map("b"), version="42")])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: bool(api.watches))
    assert notes.listed_names == [["a", "b"]]
    selector = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dkubenova"
    assert all(selector in each for each in (*api.lists, *api.watches))
    assert "resourceVersion=42" in api.watches[0]
    assert "allowWatchBookmarks=true" in api.watches[0]


def test_it_reads_a_list_to_its_last_page():
    api = ApiServer([page(config_map("a"), token="next"), page(config_map("b"), version="11")])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: bool(notes.listed_names))
    assert notes.listed_names == [["a", "b"]]
    assert "continue=next" in api.lists[1]


def test_it_hands_on_what_comes_and_goes():
    script = telling(
        event("ADDED", config_map("a", 11)),
        event("MODIFIED", config_map("a", 12, x="y")),
        event("DELETED", config_map("a", 13, x="y")),
    )
    api = ApiServer([page()], [script])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: len(notes.sightings) == 3)
    assert names(notes) == [("a", False), ("a", False), ("a", True)]
    first, second, _ = notes.sightings
    assert first.fp != second.fp
    assert first.owner == "a.b"
    assert first.key.cluster_pk == 7


def test_it_continues_from_the_last_bookmark_when_the_server_ends_the_watch():
    bookmark = event("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": "77"}})
    api = ApiServer([page()], [telling(bookmark, rest=1.1, ends=True), ApiServer.idle])
    with HostileServer(api) as server:
        follow(server, lambda notes: len(api.watches) == 2)
    assert len(api.lists) == 1
    assert "resourceVersion=77" in api.watches[1]


def expired(exchange: Exchange) -> None:
    exchange.reply(410, json.dumps(status(410, "Expired", "too old resource version")))


def cut(exchange: Exchange) -> None:
    begin(exchange)
    chunk(exchange, b'{"type": "ADDED", "obj')
    exchange.sock.close()


DOUBTS = {
    "F15-gone as a status": expired,
    "F15-gone as an event": telling(event("ERROR", status(410, "Expired", "too old"))),
    "an error of the server": telling(event("ERROR", status(500, "InternalError", "etcd"))),
    "F18-a line cut": cut,
    "F18-no JSON": telling(b"<html>\n"),
    "F18-half a line at a proper end": telling(b'{"type": "ADD', rest=0, ends=True),
    "no event": telling(b'{"hello": "world"}\n'),
    "no object": telling(event("ADDED", {"metadata": {"name": 5}})),
    "a lone surrogate": telling(
        b'{"type": "ADDED", "object": '
        + json.dumps(config_map("a", x="\\ud800")).replace("\\\\u", "\\u").encode()
        + b"}\n"
    ),
    "nested too deep": telling(b'{"type": "ADDED", "object": ' + b"[" * 200_000 + b"\n"),
}


@pytest.mark.parametrize("doubt", DOUBTS.values(), ids=DOUBTS.keys())
def test_it_lists_anew_on_any_doubt(doubt):
    api = ApiServer([page(), page(config_map("a"))], [doubt, ApiServer.idle])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: len(notes.listed_names) == 2 and notes.good == 2)
    assert notes.listed_names == [[], ["a"]]
    assert len(notes.errors) == 1


def test_f16_it_does_not_trust_a_silent_watch():
    api = ApiServer([page(), page(config_map("a"))])
    with HostileServer(api) as server:
        notes = follow(
            server, lambda notes: len(notes.listed_names) == 2, rhythm=Rhythm(silence=0.3)
        )
    assert isinstance(notes.errors[0], Silent)


def test_f16_a_kind_that_nobody_changes_has_the_server_tell_bookmarks():
    """Only a read of the kind brings a server up to date that has nothing to tell of it."""
    read = threading.Event()

    def bookmark_when_read(exchange: Exchange) -> None:
        begin(exchange)
        assert read.wait(5)
        chunk(exchange, event("BOOKMARK", {"metadata": {"resourceVersion": "12"}}))
        exchange.wait(1.0)
        exchange.send(b"0\r\n\r\n")

    def serve(exchange: Exchange) -> None:
        api(exchange)
        if exchange.target.endswith("/configmaps?limit=1"):
            read.set()

    api = ApiServer([page(version="10")], [bookmark_when_read, ApiServer.idle])
    with HostileServer(serve) as server:
        follow(server, lambda _: len(api.watches) == 2, rhythm=Rhythm(silence=1.5))
    full, probe = api.lists
    assert "limit=500" in full and probe.endswith("?limit=1")
    assert "resourceVersion=12" in api.watches[1], "nothing was listed anew"


def test_a_watch_that_tells_something_is_not_nudged():
    told = telling(*(event("ADDED", config_map("a", 11)),), rest=1.2, ends=True)
    api = ApiServer([page(version="10")], [told, ApiServer.idle])
    with HostileServer(api) as server:
        follow(server, lambda _: len(api.watches) == 2, rhythm=Rhythm(silence=2.0))
    assert len(api.lists) == 1


def test_f16_it_lists_anew_now_and_then_although_all_seems_well():
    bookmarks = telling(
        *(event("BOOKMARK", {"metadata": {"resourceVersion": "11"}}) for _ in range(5)),
        rest=1.5,
        ends=True,
    )
    api = ApiServer([page()], [bookmarks])
    with HostileServer(api) as server:
        notes = follow(
            server, lambda notes: len(notes.listed_names) == 2, rhythm=Rhythm(relist=1.0)
        )
    assert notes.errors == []


@pytest.mark.parametrize(
    "end", [expired, telling(rest=0, ends=True), cut], ids=["410", "eof", "cut"]
)
def test_f15_it_never_asks_in_a_hot_loop(end):
    api = ApiServer([page()], [end])
    with HostileServer(api) as server:
        follow(server, lambda notes: len(notes.errors) >= 2)
    assert len(api.lists) <= 4


def test_f15_a_watch_that_has_stood_makes_earlier_failures_forgotten(monkeypatch):
    """Though no event has come: the pause after the next failure is that of a first one."""
    monkeypatch.setattr("clusters.watch.follower._STANDS", 0.3)
    monkeypatch.setattr(Unreachable, "first", 0.5)  # a third pause would be 1.6 s at least
    ends: list[float] = []

    def stand(exchange: Exchange) -> None:
        begin(exchange)
        exchange.wait(0.6)
        exchange.sock.close()
        ends.append(time.monotonic())

    api = ApiServer([page()], [cut, cut, stand, ApiServer.idle])
    with HostileServer(api) as server:
        follow(server, lambda notes: notes.good == 4)
    assert time.monotonic() - ends[0] < 1.5


REFUSALS = {
    "403": (403, status(403, "Forbidden", "configmaps is forbidden: no"), Refused),
    "404": (404, {"code": 404}, Missing),
    "500": (500, status(500, "InternalError", "boom"), Unreachable),
    "302": (302, {"code": 302}, Unreachable),
}


@pytest.mark.parametrize(("code", "body", "error"), REFUSALS.values(), ids=REFUSALS.keys())
def test_it_names_why_a_list_fails_by_what_to_do_next(code, body, error):
    def refuse(exchange: Exchange) -> None:
        text = "404 page not found" if code == 404 else json.dumps(body)
        exchange.reply(code, text, Location="https://127.0.0.1:1/elsewhere")

    with HostileServer(refuse) as server:
        notes = follow(server, lambda notes: bool(notes.errors))
    assert isinstance(notes.errors[0], error)
    assert notes.good == 0


def test_a8_it_bounds_an_answer_without_end():
    def flood(exchange: Exchange) -> None:
        begin(exchange)
        for _ in range(40):
            chunk(exchange, b"x" * 65536)
        exchange.wait(5)

    with HostileServer(flood) as server:
        notes = follow(server, lambda notes: bool(notes.errors))
    assert "too large" in notes.errors[0].message


def test_a8_it_bounds_a_line_without_end():
    def flood(exchange: Exchange) -> None:
        begin(exchange)
        for _ in range(100):
            chunk(exchange, b"x" * 65536)
        exchange.wait(5)

    api = ApiServer([page()], [flood])
    with HostileServer(api) as server:
        notes = follow(server, lambda notes: bool(notes.errors))
    assert "does not end" in notes.errors[0].message


def test_f13_it_does_not_wait_for_an_answer_for_ever():
    with HostileServer(lambda exchange: exchange.wait(30)) as server:
        notes = follow(server, lambda notes: bool(notes.errors))
    assert "did not answer in time" in notes.errors[0].message


def test_it_trusts_the_clusters_own_authority_alone():
    with HostileServer(ApiServer([page()])) as server:
        notes = follow(server, lambda notes: bool(notes.errors), ca_pem=authority("other").pem)
    assert notes.errors[0].message.startswith("TLS with 127.0.0.1")
    assert server.seen == []


def test_a42_it_is_deaf_to_the_environment(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    with HostileServer(ApiServer([page()])) as server:
        follow(server, lambda notes: notes.good == 1)


def test_a7_it_refuses_a_name_that_leads_to_a_loopback_address(monkeypatch):
    rules = AddressRules(allow_loopback=False, allow_private=True)
    with HostileServer(ApiServer([page()])) as server:
        found = [(2, 1, 6, "", ("127.0.0.1", server.port))]

        async def resolved(*args: object, **kwargs: object) -> list[object]:
            return found

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolved)
        where = {"server": f"https://innocent.example:{server.port}"}
        notes = follow(server, lambda notes: bool(notes.errors), rules=rules, **where)
    assert isinstance(notes.errors[0], Refused)
    assert "loopback" in notes.errors[0].message
    assert server.seen == []


def test_its_token_goes_to_the_server_and_into_no_message():
    def refuse(exchange: Exchange) -> None:
        exchange.reply(403, json.dumps(status(403, "Forbidden", "bad token secret-token")))

    with HostileServer(refuse) as server:
        notes = follow(server, lambda notes: bool(notes.errors))
        assert server.seen[0].header("Authorization") == "Bearer secret-token"
    assert "secret-token" not in notes.errors[0].message
