"""The fault proxy itself, in front of a server that only says what it is told."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from reconcile.values import JSON
from tests.faults.actions import (
    Action,
    Delay,
    Drip,
    Edit,
    Fail,
    Hook,
    Reset,
    Signal,
    Truncate,
    Watched,
    client_of,
    emptied,
    paged,
)
from tests.faults.events import (
    EXPIRED,
    cut_short,
    doubled,
    ended,
    expired,
    lossy,
    reordered,
    swallowed,
)
from tests.faults.exchange import Exchange, Journal, digest
from tests.faults.proxy import Faults
from tests.faults.rules import EVERYTHING, LIST, WATCH, WRITE, Match, Rule, Rules, nth
from tests.faults.scripted import Scripted

SHOP = "/api/v1/namespaces/shop"
EVENTS = [{"type": "ADDED", "object": {"number": number}} for number in range(4)]
FEW: JSON = {"items": [{"a": 1}, {"a": 2}], "metadata": {"resourceVersion": "7"}}


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted({"/watch": EVENTS, "/list": FEW}) as server:
        yield server


@pytest.fixture
def proxy(server: Scripted) -> Iterator[Faults]:
    with Faults(server.url) as proxy:
        yield proxy


def connect(proxy: Faults, seconds: float = 5.0) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cadata=proxy.authority)
    return http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=seconds)


def ask(
    proxy: Faults, path: str = SHOP, verb: str = "GET", body: str | None = None
) -> tuple[int, bytes]:
    connection = connect(proxy)
    try:
        connection.request(verb, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def watch(proxy: Faults, path: str = "/watch?watch=true") -> list[int]:
    """The numbers of the events that arrive."""
    _, body = ask(proxy, path)
    return [json.loads(line)["object"]["number"] for line in body.splitlines()]


# --- It is a proxy.


def test_it_passes_on_what_was_asked_and_answered(server: Scripted, proxy: Faults):
    connection = connect(proxy)
    headers = {"Authorization": "Bearer x", "User-Agent": "somebody"}
    connection.request("GET", f"{SHOP}?limit=1&continue=a%2Fb", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"path": SHOP})
    assert server.asked == [f"GET {SHOP}?limit=1&continue=a%2Fb"]
    assert server.headers[0]["Authorization"] == "Bearer x"
    assert server.headers[0]["User-Agent"] == "somebody"
    connection.close()


def test_nobody_else_signed_its_certificate(proxy: Faults):
    stranger = http.client.HTTPSConnection(
        "127.0.0.1", proxy.port, context=ssl.create_default_context(), timeout=5
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/")


def test_it_can_speak_plainly(server: Scripted):
    with Faults(server.url, tls=False) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
        connection.request("GET", SHOP)
        assert connection.getresponse().status == 200
        connection.close()


def test_events_of_a_watch_arrive_one_by_one():
    with Scripted({"/watch": EVENTS}, pause=0.2) as server, Faults(server.url) as proxy:
        connection = connect(proxy)
        began = time.monotonic()
        connection.request("GET", "/watch?watch=true")
        assert json.loads(connection.getresponse().readline())["object"]["number"] == 0
        assert time.monotonic() - began < 0.5
        connection.close()


def test_it_can_speak_for_somebody_else(server: Scripted, proxy: Faults):
    proxy.authorization = "Bearer other"
    ask(proxy)
    assert server.headers[0]["Authorization"] == "Bearer other"


# --- It notes what is written.


def test_the_journal_holds_every_write_in_order(proxy: Faults):
    ask(proxy)
    ask(proxy, SHOP, "PATCH", '{"a": 1}')
    ask(proxy, f"{SHOP}?dryRun=All", "PATCH", '{"a": 1}')
    ask(proxy, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "POST", "{}")
    ask(proxy, SHOP, "DELETE")
    assert [str(each).split()[:2] for each in proxy.journal.writes] == [
        ["PATCH", SHOP],
        ["DELETE", SHOP],
    ]
    assert all(each.done and each.ended >= each.began for each in proxy.journal.landed)
    assert (len(proxy.journal), proxy.journal.requests) == (2, 5)


@pytest.mark.parametrize(
    ("path", "plural"),
    [
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/acme--web", "namespaces"),
        ("/api/v1/namespaces/acme--web/configmaps", "configmaps"),
        ("/api/v1/namespaces/acme--web/configmaps/a", "configmaps"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles/a", "clusterroles"),
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/acme--web/roles/a", "roles"),
        ("/apis/apps/v1", "v1"),
        ("/version", "version"),
        ("/", ""),
    ],
)
def test_the_journal_counts_requests_by_what_they_ask_for(path: str, plural: str):
    journal = Journal()
    for _ in range(2):
        journal.begin(Exchange(1, "GET", path, agent="kubenova-watch/1.0 (linux)"))
    assert journal.asked() == {f"GET kubenova-watch {plural}": 2}


def test_what_was_not_forwarded_was_not_done(proxy: Faults):
    proxy.rules.add(nth(WRITE, Reset(), 1))
    with pytest.raises(OSError):
        ask(proxy, SHOP, "PATCH", "{}")
    assert proxy.journal.landed == []
    assert "not forwarded" in str(proxy.journal.writes[0])


def of(labels: dict[str, str], **meta: object) -> bytes:
    return json.dumps({"kind": "X", "metadata": {"labels": labels, **meta}}).encode()


def test_the_digest_of_a_body_is_of_what_it_means():
    meant = digest(of({"a": "b", "kubenova.io/owner": "1"}, uid="1", resourceVersion="1"))
    assert meant == digest(of({"kubenova.io/owner": "2", "a": "b"}, annotations={"c": "d"}))
    assert meant != digest(of({"a": "c"}))
    assert digest(b"no JSON") != digest(b"")


# --- Its faults.


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_it_delays(late: bool, server: Scripted, proxy: Faults):
    proxy.rules.add(Rule(EVERYTHING, Delay(0.3, late=late)))
    asked: list[int] = []
    threading.Timer(0.15, lambda: asked.append(len(server.asked))).start()
    began = time.monotonic()
    ask(proxy)
    assert time.monotonic() - began >= 0.3
    assert asked == [1 if late else 0]


def test_who_gives_up_meanwhile_writes_nothing_later(server: Scripted, proxy: Faults):
    proxy.rules.add(Rule(WRITE, Delay(0.5)))
    connection = connect(proxy)
    connection.request("PATCH", SHOP, "{}")
    time.sleep(0.1)
    proxy.cut()
    time.sleep(0.8)
    assert server.asked == []


def test_it_answers_by_itself(server: Scripted, proxy: Faults):
    proxy.rules.add(Rule(WRITE, Fail(429, {"reason": "TooManyRequests"}, {"Retry-After": "2"})))
    connection = connect(proxy)
    connection.request("PATCH", SHOP, "{}")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    assert json.loads(answer.read())["reason"] == "TooManyRequests"
    assert server.asked == []
    connection.close()


def test_a_text_is_no_json(proxy: Faults):
    proxy.rules.add(Rule(EVERYTHING, Fail(404, "404 page not found")))
    assert ask(proxy) == (404, b"404 page not found")


@pytest.mark.parametrize(("after", "asked"), [(False, 0), (True, 1)], ids=["before", "after"])
def test_it_resets(after: bool, asked: int, server: Scripted, proxy: Faults):
    proxy.rules.add(Rule(EVERYTHING, Reset(after)))
    with pytest.raises(ConnectionError):
        ask(proxy)
    assert len(server.asked) == asked


def test_it_truncates(proxy: Faults):
    proxy.rules.add(Rule(EVERYTHING, Truncate(5)))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(proxy)


def test_it_drips(proxy: Faults):
    proxy.rules.add(Rule(EVERYTHING, Drip(8, 0.05)))
    began = time.monotonic()
    _, body = ask(proxy)
    assert json.loads(body) == {"path": SHOP}
    assert time.monotonic() - began >= 0.15


def test_it_empties_lists(proxy: Faults):
    proxy.rules.add(Rule(LIST, Edit(emptied)))
    _, body = ask(proxy, "/list?labelSelector=a%3Db")
    assert json.loads(body) == {**FEW, "items": []}


def test_a_token_of_a_list_can_expire(proxy: Faults):
    proxy.rules.add(
        Rule(Match(lists=True, query="continue="), Fail(410, EXPIRED)),
        Rule(Match(lists=True, query="^labelSelector=a=b$"), Edit(paged)),
    )
    _, body = ask(proxy, "/list?labelSelector=a%3Db")
    page = json.loads(body)
    assert page["items"] == [{"a": 1}]
    token = page["metadata"]["continue"]
    status, body = ask(proxy, f"/list?labelSelector=a%3Db&continue={token}")
    assert (status, json.loads(body)["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("fault", "numbers"),
    [
        (doubled, [0, 0, 1, 1, 2, 2, 3, 3]),
        (reordered, [1, 0, 3, 2]),
        (lossy(2), [0, 2, 3]),
        (ended, []),
    ],
    ids=["doubled", "reordered", "lossy", "ended"],
)
def test_it_meddles_with_events(fault, numbers: list[int], proxy: Faults):
    proxy.rules.add(Rule(WATCH, Watched(fault)))
    assert watch(proxy) == numbers


def test_an_event_can_be_cut(proxy: Faults):
    proxy.rules.add(Rule(WATCH, Watched(cut_short)))
    _, body = ask(proxy, "/watch?watch=true")
    whole = json.dumps(EVENTS[0])
    assert body and len(body) < len(whole) and whole.startswith(body.decode())


def test_an_event_can_tell_of_expiry(proxy: Faults):
    proxy.rules.add(Rule(WATCH, Watched(expired)))
    _, body = ask(proxy, "/watch?watch=true")
    assert json.loads(body) == {"type": "ERROR", "object": EXPIRED}


def test_a_watch_can_fall_silent():
    with Scripted({"/watch": EVENTS * 10}, pause=0.1) as server, Faults(server.url) as proxy:
        proxy.rules.add(Rule(WATCH, Watched(swallowed)))
        connection = connect(proxy, 0.5)
        connection.request("GET", "/watch?watch=true")
        answer = connection.getresponse()
        with pytest.raises(TimeoutError):
            answer.read1()
        connection.close()


def test_it_calls_a_hook_while_the_request_waits(server: Scripted, proxy: Faults):
    seen: list[tuple[str, int]] = []
    note = lambda exchange: seen.append((exchange.path, len(server.asked)))  # noqa: E731
    proxy.rules.add(Rule(EVERYTHING, Hook(note)), Rule(EVERYTHING, Hook(note, True)))
    ask(proxy)
    assert seen == [(SHOP, 0), (SHOP, 1)]


CLIENT = """
import http.client, ssl, sys
connection = http.client.HTTPSConnection("127.0.0.1", int(sys.argv[1]),
                                         context=ssl._create_unverified_context())
connection.request("PATCH", "/x", "{}")
connection.getresponse()
"""


@pytest.mark.parametrize(("after", "asked"), [(False, 0), (True, 1)], ids=["before", "after"])
def test_it_kills_who_asks(after: bool, asked: int, server: Scripted, proxy: Faults):
    proxy.rules.add(Rule(WRITE, Signal(client_of, after_forwarding=after)))
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(proxy.port)])
    assert client.wait(10) == -signal.SIGKILL
    assert len(server.asked) == asked


def test_it_stops_who_asks_and_forwards_all_the_same(server: Scripted, proxy: Faults):
    proxy.rules.add(Rule(WRITE, Signal(client_of, signal.SIGSTOP)))
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(proxy.port)])
    with pytest.raises(subprocess.TimeoutExpired):
        client.wait(1)
    assert server.asked == ["PATCH /x"]
    client.send_signal(signal.SIGCONT)
    assert client.wait(10) == 0


def test_writes_in_turn_follow_one_another(server: Scripted, proxy: Faults):
    proxy.serial = True
    proxy.rules.add(Rule(WRITE, Delay(0.1, late=True)))
    threads = [threading.Thread(target=ask, args=(proxy, SHOP, "PATCH", "{}")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = [each.ended for each in proxy.journal.landed]
    assert all(later - earlier >= 0.09 for earlier, later in pairwise(ends))


def test_who_is_killed_while_it_waits_for_its_turn_writes_nothing(proxy: Faults, server: Scripted):
    proxy.serial = True
    held = threading.Event()
    proxy.rules.add(nth(WRITE, Hook(lambda _: held.wait(10)), 1))
    first = threading.Thread(target=ask, args=(proxy, SHOP, "PATCH", "{}"))
    first.start()
    second = subprocess.Popen([sys.executable, "-c", CLIENT, str(proxy.port)])
    until = time.monotonic() + 10
    while len(proxy.journal) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(second.pid, signal.SIGKILL)
    second.wait(10)
    time.sleep(0.1)
    held.set()
    first.join()
    assert server.asked == [f"PATCH {SHOP}"]


# --- The whole of it can be away.


def test_it_refuses_and_opens_again(proxy: Faults):
    port = proxy.port
    proxy.refuse()
    assert proxy.away
    with pytest.raises(ConnectionRefusedError):
        ask(proxy)
    proxy.reopen()
    assert (ask(proxy)[0], proxy.port, proxy.away) == (200, port, False)


def test_it_is_a_black_hole_and_opens_again(proxy: Faults):
    proxy.swallow()
    with pytest.raises(TimeoutError):
        connect(proxy, 0.3).request("GET", "/")
    with socket.create_connection(("127.0.0.1", proxy.port), 1):
        pass
    proxy.reopen()
    assert ask(proxy)[0] == 200


def test_another_server_can_stand_behind_it(server: Scripted, proxy: Faults):
    with Scripted({SHOP: {"other": True}}) as other:
        ask(proxy)
        proxy.point_at(other.url, None)
        assert json.loads(ask(proxy)[1]) == {"other": True}
    assert len(server.asked) == 1


def test_it_cuts_what_is_open():
    with Scripted({"/watch": EVENTS * 10}, pause=0.1) as server, Faults(server.url) as proxy:
        connection = connect(proxy)
        connection.request("GET", "/watch?watch=true")
        answer = connection.getresponse()
        answer.readline()
        proxy.cut()
        with pytest.raises((ConnectionError, http.client.IncompleteRead, ssl.SSLError)):
            answer.read()
        assert ask(proxy)[0] == 200


def test_a_dead_server_is_a_reset(server: Scripted):
    with Faults("http://127.0.0.1:9") as proxy, pytest.raises(ConnectionError):
        ask(proxy)


# --- Its rules.

PATCH = Exchange(1, "PATCH", SHOP, {"fieldManager": "kubenova"}, "kubenova")
LOOK = Exchange(2, "GET", "/api/v1/namespaces", {"labelSelector": "a=b"}, "kubenova-watch")
FOLLOW = Exchange(3, "GET", "/api/v1/namespaces", {"watch": "true", "labelSelector": "a=b"})


@pytest.mark.parametrize(
    ("match", "fitting"),
    [
        (EVERYTHING, [PATCH, LOOK, FOLLOW]),
        (WRITE, [PATCH]),
        (LIST, [LOOK]),
        (WATCH, [FOLLOW]),
        (Match(verb="GET"), [LOOK, FOLLOW]),
        (Match(verb="PAT"), []),
        (Match(path="/shop$"), [PATCH]),
        (Match(query="fieldManager=kubenova"), [PATCH]),
        (Match(agent="^kubenova$"), [PATCH]),
        (Match(verb="GET", watches=False), [LOOK]),
    ],
    ids=str,
)
def test_a_match_is_of_verb_path_query_client_and_sort(match: Match, fitting: list[Exchange]):
    assert [each for each in (PATCH, LOOK, FOLLOW) if match.fits(each)] == fitting


def met(rule: Rule, times: int, seed: int = 0) -> list[int]:
    """The turns at which a rule bites."""
    rules = Rules(seed)
    rules.add(rule)
    return [turn for turn in range(1, times + 1) if rules.of(PATCH)]


def test_a_rule_bites_from_its_first_turn_as_often_as_told():
    assert met(Rule(WRITE, Action(), first=2, times=2), 5) == [2, 3]
    assert met(nth(WRITE, Action(), 3), 5) == [3]
    assert met(Rule(WRITE, Action(), first=4), 6) == [4, 5, 6]


def test_dice_fall_the_same_for_a_seed():
    first = met(Rule(WRITE, Action(), share=0.5), 100, seed=1)
    assert first == met(Rule(WRITE, Action(), share=0.5), 100, seed=1)
    assert first != met(Rule(WRITE, Action(), share=0.5), 100, seed=2)
    assert 30 < len(first) < 70


def test_a_rule_lasts_as_long_as_its_block():
    rules, rule = Rules(), Rule(WRITE, Action())
    with rules.during(rule):
        assert len(rules.of(PATCH)) == 1
    assert len(rules.of(PATCH)) == 0
    rules.add(rule)
    rules.clear()
    assert len(rules.of(PATCH)) == 0
