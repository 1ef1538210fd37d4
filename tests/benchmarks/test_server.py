"""What an API server counts and logs, read back."""

import json
from collections import Counter

import pytest
from _server import AuditLog, audited, by_verb, counted, most_lists, writes, written

METRICS = """\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",dry_run="",group="",resource="configmaps",verb="APPLY"} 3
apiserver_request_total{code="201",dry_run="",group="",resource="configmaps",verb="APPLY"} 40
apiserver_request_total{code="200",dry_run="All",group="",resource="configmaps",verb="APPLY"} 7
apiserver_request_total{code="200",dry_run="",group="",resource="namespaces",verb="GET"} 1.2e+03
apiserver_request_total{code="200",dry_run="",group="",resource="pods",verb="POST"} 5
apiserver_request_sli_duration_seconds_count{resource="configmaps",verb="APPLY"} 99
"""
OURS = "system:serviceaccount:kubenova-system:kubenova"


def test_requests_are_summed_by_verb_and_resource():
    assert counted(METRICS) == Counter(
        {
            ("GET", "namespaces"): 1200,
            ("APPLY", "configmaps"): 43,
            ("DRY-RUN", "configmaps"): 7,
            ("POST", "pods"): 5,
        }
    )


def test_a_server_that_counts_nothing_was_asked_nothing():
    assert counted("# nothing\n") == Counter()


def test_writes_are_those_of_the_resources_that_matter():
    found = counted(METRICS)
    assert writes(found, ["configmaps"]) == 43
    assert writes(found, ["configmaps", "pods"]) == 48
    assert writes(found, ["namespaces"]) == 0


def test_verbs_are_summed_up_the_most_frequent_first():
    verbs = by_verb(counted(METRICS))
    assert list(verbs.items()) == [("GET", 1200), ("APPLY", 43), ("DRY-RUN", 7), ("POST", 5)]


def test_what_did_not_grow_is_left_out():
    assert by_verb(counted(METRICS) - counted(METRICS)) == {}


def event(verb: str, resource: str, **more: object) -> dict:
    """An event as the API server logs it at level Metadata."""
    return {
        "auditID": more.pop("id", f"{verb} {resource}"),
        "verb": verb,
        "user": {"username": more.pop("user", OURS)},
        "requestURI": more.pop("uri", f"/api/v1/{resource}"),
        "objectRef": {"resource": resource, "name": more.pop("name", "x")},
        "responseStatus": {"code": more.pop("code", 200)},
        **more,
    }


def counts(*events: dict) -> Counter:
    return audited([json.dumps(each) for each in events], OURS)


def test_only_our_own_account_counts():
    assert counts(event("patch", "configmaps", user="admin"), event("get", "pods")) == {
        ("get", "pods"): 1
    }


def test_the_stages_of_one_request_count_once():
    started, complete = (event("watch", "pods", id="w", stage=stage) for stage in "ab")
    assert counts(started, complete) == {("watch", "pods"): 1}


@pytest.mark.parametrize(
    ("more", "verb"),
    [
        pytest.param({}, "patch", id="took effect"),
        pytest.param({"code": 409}, "refused patch", id="was refused"),
        pytest.param({"uri": "/api/v1/x?dryRun=All"}, "dry-run", id="was a dry run"),
    ],
)
def test_a_write_counts_as_what_it_was(more, verb):
    assert counts(event("patch", "configmaps", **more)) == {(verb, "configmaps"): 1}


@pytest.mark.parametrize(
    ("query", "verb"),
    [
        pytest.param("labelSelector=a%3Db&limit=500", "list", id="begins one"),
        pytest.param("limit=500&continue=xyz", "page", id="goes on with one"),
        pytest.param("limit=1", "probe", id="asks for a single object"),
        pytest.param(
            "labelSelector=%21kubenova.io%2Fowner&limit=500", "list of others", id="none of ours"
        ),
        pytest.param("limit=10", "list", id="begins one with small pages"),
    ],
)
def test_a_list_counts_once_whatever_its_pages(query, verb):
    assert counts(event("list", "pods", uri=f"/api/v1/pods?{query}")) == {(verb, "pods"): 1}


def test_the_kind_that_is_listed_most_tells_how_often():
    listed = [event("list", kind, id=f"{kind}{n}") for kind, n in (("a", 1), ("b", 1), ("b", 2))]
    probes = [event("list", "c", id=f"c{n}", uri="/api/v1/c?limit=1") for n in range(5)]
    assert most_lists(counts(*listed, *probes)) == 2
    assert most_lists(counts(*probes)) == 0


def test_what_is_no_object_is_named_by_its_path():
    bare = event("get", "") | {"objectRef": {}, "requestURI": "/version"}
    assert counts(bare) == {("get", "/version"): 1}


def test_written_is_what_changed_something_that_was_asked_for():
    found = counts(
        event("patch", "configmaps", id="1"),
        event("delete", "networkpolicies", id="2"),
        event("patch", "configmaps", id="3", name="epoch"),
        event("create", "tokenreviews", id="4"),
        event("patch", "configmaps", id="5", code=409),
        event("list", "configmaps", id="6"),
    )
    assert written(found) == 2


def test_a_log_is_read_on_from_where_it_was_left(tmp_path):
    (tmp_path / "logs").mkdir()
    path, log = tmp_path / "logs" / "audit.log", AuditLog(tmp_path)
    path.write_text(json.dumps(event("get", "pods")) + "\n")
    log.skip()
    assert log.read() == {}

    with path.open("a") as more:
        more.write(json.dumps(event("list", "pods")) + "\n" + '{"half of a')
    assert log.read() == {("list", "pods"): 1}
    assert log.read() == {}, "what is not written to its end is read when it is"
