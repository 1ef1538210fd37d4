"""`GET …/apps/{name}/logs`: what a component wrote, from the cluster, for whoever sees the app."""

import pytest

from clusters.kinds import POD
from delivery.logs import FOLLOWERS, Wanted, lines_of
from delivery.rules.printable import printable
from reconcile.errors import Refused, Unreachable
from tests.api.conftest import problem
from tests.delivery.controllers import roll_out
from tests.delivery.logs import pod
from tests.delivery.paths import APPS, BODY, SITE
from tests.delivery.samples import component

LOGS = f"{SITE}/logs"


def text(answer) -> str:
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    return answer.getvalue().decode()


@pytest.fixture
def prod_a(deployed, fleet):
    """The cluster that `site` is deployed on."""
    return fleet["prod-a"]


@pytest.mark.parametrize("path", [LOGS, f"{APPS}/site/logs"], ids=["qualified", "short"])
@pytest.mark.parametrize("name", ["alice", "bob", "carol", "olga"])
def test_whoever_sees_the_app_reads_its_log(prod_a, as_, name, path):
    pod(prod_a, "web-1", "one", "two")
    answer = as_(name).get(path)
    assert text(answer) == "one\ntwo\n"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "private, no-store"


def test_a_stranger_gets_404_and_no_cluster_is_asked(prod_a, as_):
    pod(prod_a, "web-1", "secret")
    before = len(prod_a.calls)
    problem(as_("charlie").get(LOGS), 404, "KN-NOT-FOUND")
    assert len(prod_a.calls) == before


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("tail=1", "three\n", id="the last line"),
        pytest.param("tail=2&component=web&cluster=prod-a", "two\nthree\n", id="named"),
        pytest.param("pod=web-1", "one\ntwo\nthree\n", id="a pod"),
        pytest.param("since=60", "one\ntwo\nthree\n", id="since"),
        pytest.param("previous=true", "before\n", id="before the restart"),
        pytest.param("follow=true", "one\ntwo\nthree\n", id="followed to its end"),
        pytest.param("follow=false&previous=false", "one\ntwo\nthree\n", id="neither"),
    ],
)
def test_it_reads_the_part_that_was_asked_for(prod_a, as_, query, expected):
    prod_a.previous_logs[pod(prod_a, "web-1", "one", "two", "three")] = ["before"]
    assert text(as_("carol").get(f"{LOGS}?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("tail=0", "tail"),
        ("tail=5001", "tail"),
        ("tail=-1", "tail"),
        ("tail=ten", "tail"),
        ("tail=%D9%A3", "tail"),
        ("since=0", "since"),
        ("since=604801", "since"),
        ("previous=yes", "previous"),
        ("follow=1", "follow"),
        ("follow=true&previous=true", "previous"),
        ("component=db", "component"),
        ("cluster=prod-b", "cluster"),
        ("pod=web-9", "pod"),
        ("container=web", "container"),
        ("dryRun=plan", "dryRun"),
    ],
)
def test_a_bad_query_is_refused_where_it_is_bad(prod_a, as_, query, parameter):
    pod(prod_a, "web-1", "one")
    found = problem(as_("bob").get(f"{LOGS}?{query}"), 400, "KN-INVALID")
    assert [error["parameter"] for error in found["errors"]] == [parameter]


def test_one_of_several_components_has_to_be_named(prod_a, as_, fleet):
    as_("bob").patch(SITE, {"components": [component(), component("db", "worker")]})
    roll_out(fleet)
    pod(prod_a, "db-1", "row", component="db")
    (error,) = problem(as_("bob").get(LOGS), 400, "KN-INVALID")["errors"]
    assert (error["parameter"], error["code"]) == ("component", "required")
    assert "web, db" in error["detail"]
    assert text(as_("bob").get(f"{LOGS}?component=db")) == "row\n"


def test_several_pods_share_the_lines_and_name_themselves_newest_first(prod_a, as_):
    pod(prod_a, "web-old", *"abcd", age=9)
    pod(prod_a, "web-new", *"efgh")
    told = text(as_("bob").get(f"{LOGS}?tail=4"))
    assert told == "[web-new] g\n[web-new] h\n[web-old] c\n[web-old] d\n"


def test_who_follows_gets_the_newest_pod_alone(prod_a, as_):
    pod(prod_a, "web-old", "old", age=9)
    pod(prod_a, "web-new", "new")
    assert text(as_("bob").get(f"{LOGS}?follow=true")) == "new\n"


@pytest.mark.parametrize(
    "labels", [{"app": "other"}, {"component": "db"}], ids=["another app's", "another component's"]
)
def test_it_reads_no_pod_of_somebody_else(prod_a, as_, labels):
    pod(prod_a, "web-1", "theirs", **labels)
    assert text(as_("bob").get(LOGS)) == ""


def test_a_pod_that_says_no_is_told_beside_the_others(prod_a, as_):
    waiting = pod(prod_a, "web-new")
    pod(prod_a, "web-old", "runs", age=9)
    prod_a.fail_on("stream", waiting, Refused("container is waiting to start"))
    told = text(as_("bob").get(LOGS))
    assert told == "[web-new] --- container is waiting to start\n[web-old] runs\n"


@pytest.mark.parametrize("verb", ["owned", "stream"])
def test_a_dead_cluster_is_a_clear_problem(prod_a, as_, verb):
    pod(prod_a, "web-1", "one")
    prod_a.fail_on(verb, None, Unreachable("the connection broke off"))
    found = problem(as_("bob").get(LOGS), 503, "KN-UNAVAILABLE")
    assert "prod-a" in found["detail"] and "broke off" in found["detail"]


def test_an_app_on_no_cluster_has_no_log(bobs):
    bobs.post(APPS, {**BODY, "placement": {"selector": {"region": "none"}}})
    (error,) = problem(bobs.get(LOGS), 400, "KN-INVALID")["errors"]
    assert error["detail"] == "Name it. The app has none."


def test_only_so_many_are_followed_at_once_and_each_gives_its_place_back(prod_a, deployed, as_):
    pod(prod_a, "web-1", "one")
    held = [lines_of(deployed, Wanted(follow=True)) for _ in range(FOLLOWERS)]
    answer = as_("bob").get(f"{LOGS}?follow=true")
    problem(answer, 503, "KN-UNAVAILABLE")
    assert answer["Retry-After"] == "5"
    assert text(as_("bob").get(LOGS)) == "one\n"
    assert list(held[0]) == ["one\n"]
    held[1].close()
    held[1].close()
    for _ in range(FOLLOWERS + 1):
        assert text(as_("bob").get(f"{LOGS}?follow=true")) == "one\n"


def test_what_breaks_off_while_it_is_followed_is_said_in_the_last_line(prod_a, as_):
    prod_a.fail_on("stream", pod(prod_a, "web-1"), Unreachable("the connection broke off"))
    assert text(as_("bob").get(f"{LOGS}?follow=true")) == "--- the connection broke off\n"


def test_a_log_cannot_steer_the_terminal_of_who_reads_it_a39(prod_a, as_):
    pod(prod_a, "web-1", "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J <b>\rover\x00")
    assert text(as_("bob").get(LOGS)) == "red  <b>\ufffdover\ufffd\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param("plain\ttext – 😀 é", "plain\ttext – 😀 é", id="text"),
        pytest.param("\x1b[1;31mred\x1b[0m", "red", id="colours"),
        pytest.param("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link", id="hyperlink"),
        pytest.param("\x1b(B\x1b7\x1bc", "", id="two characters"),
        pytest.param("\x9b31mred", "red", id="one byte CSI"),
        pytest.param("a\x08\x7fb", "a\ufffd\ufffdb", id="backspace"),
        pytest.param("\u202etxt.exe\u2066", "\ufffdtxt.exe\ufffd", id="right to left"),
        pytest.param("a\u2028b\x85c", "a\ufffdb\ufffdc", id="other line breaks"),
        pytest.param("\x1b", "\ufffd", id="escape alone"),
        pytest.param("\x1b]0;never ended", "", id="a title without an end"),
    ],
)
def test_controls_are_dropped_or_shown(line, shown):
    assert printable(line) == shown


def test_pods_are_asked_for_in_the_namespace_of_the_project(prod_a, as_):
    pod(prod_a, "web-1", "one")
    prod_a.calls.clear()
    text(as_("bob").get(LOGS))
    assert ("owned", POD) in prod_a.calls
