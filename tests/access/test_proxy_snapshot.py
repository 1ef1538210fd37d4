"""What the proxy reads from the database: who may enter which cluster at this moment."""

import asyncio
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from access.intents import VERBS_OF_ROLE, Verbs
from access.models import AuditRecord, KubeconfigGrant
from access.proxy import repeats
from access.proxy.journal import Entry, Journal, _store
from access.proxy.snapshot import Open, Reader
from access.proxy.targets import read_target
from clusters.models import Cluster
from tenancy.intents import Role
from tests.access.grants import ISSUE, acme, alices, as_, clusters, disable, door, grant_of
from tests.clusters.steps import settle
from tests.people import person

__all__ = ["acme", "alices", "as_", "clusters", "door"]


def keys(reader: Reader | None = None) -> set[tuple[str, str]]:
    return set((reader or Reader()).read().grants)


def test_an_issued_grant_opens_its_clusters(alices):
    grant = grant_of(alices.post(ISSUE))
    found = Reader().read().grants
    assert set(found) == {("prod-a", grant.name), ("prod-b", grant.name)}
    opened = found["prod-a", grant.name]
    placement = grant.placements.get(cluster__name="prod-a")
    assert opened == Open(
        cluster="prod-a",
        name=grant.name,
        subject="alice",
        tenant="acme",
        anchor=f"{grant.name}-1",
        anchor_uid=placement.anchor_uid,
        expires_at=grant.expires_at.timestamp(),
        namespaces=("acme--blog", "acme--shop"),
        verbs=frozenset(Verbs),
    )


def test_a_grant_that_was_never_issued_opens_nothing(alices, settings):
    settings.PROXY_URL = "https://127.0.0.1:9"
    assert alices.post(ISSUE).status_code == 503
    settle()
    assert keys() == set()


ENDS = {
    "revoked": lambda grant: grant.revoke("alice"),
    "expired": lambda grant: KubeconfigGrant.objects.update(
        expires_at=timezone.now() - timedelta(seconds=1)
    ),
    "A27-its subject disabled": lambda grant: disable(grant.subject),
    "A27-its subject dismissed": lambda grant: grant.tenant.dismiss(grant.subject, by="olga"),
    "its tenant being deleted": lambda grant: grant.tenant.request_deletion(by="olga"),
    "its cluster left": lambda grant: grant.placements.all().delete(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_it_opens_nothing_from_that_moment_on(alices, end):
    grant = grant_of(alices.post(ISSUE))
    assert keys()
    end(grant)
    assert keys() == set()


def test_a27_a_demotion_takes_verbs_at_once(alices, acme):
    grant = grant_of(alices.post(ISSUE))
    acme.admit(person("alice"), Role.READ_ONLY, by="olga")
    opened = Reader().read().grants["prod-a", grant.name]
    assert opened.verbs == VERBS_OF_ROLE["read-only"]


def test_f35_only_the_newest_token_opens(alices):
    for _ in range(2):
        answer = alices.post(ISSUE, headers={"Idempotency-Key": "k"})
    found = Reader().read().grants["prod-a", grant_of(answer).name]
    assert found.anchor == f"{grant_of(answer).name}-2"


def test_credentials_follow_their_rotation_and_are_opened_once(alices, settings, tmp_path):
    reader = Reader()
    first = reader.read().credentials
    assert set(first) == {"prod-a", "prod-b"}
    settings.VAULT_KEY_FILE = tmp_path / "elsewhere.json"
    assert reader.read().credentials == first, "an unchanged one is not opened again"
    Cluster.objects.filter(name="prod-a").update(rotated_at=timezone.now())
    assert set(reader.read().credentials) == {"prod-b"}, "one that cannot be opened is left out"


def test_a_cluster_on_its_way_out_is_unknown(alices):
    Cluster.objects.filter(name="prod-b").update(deletion_requested_at=timezone.now())
    assert set(Reader().read().credentials) == {"prod-a"}


def test_it_reads_everything_in_two_questions(alices, django_assert_num_queries):
    for verb in ("view", "logs", "edit"):
        alices.post(ISSUE, {"verbs": [verb]})
    reader = Reader()
    reader.read()
    with django_assert_num_queries(2):
        assert len(reader.read().grants) == 6


# --- The journal.


def entry() -> Entry:
    found = Entry("192.0.2.1")
    path = "/apis/apps/v1/namespaces/acme--shop/deployments/w"
    found.target = read_target("GET", f"/clusters/prod{path}")
    found.opened = Open(
        "prod", "grant-a", "alice", "acme", "grant-a-1", "u", 0.0, (), frozenset(Verbs)
    )
    return found


def test_a_call_is_written_down_with_all_that_is_known_of_it(transactional_db):
    journal = Journal()
    journal.note(entry(), 404)
    asyncio.run(journal.flush())
    record = AuditRecord.objects.get()
    assert (record.source, record.actor, record.verb) == ("proxy", "alice", "get")
    assert (record.resource, record.namespace, record.name) == (
        "deployments.apps",
        "acme--shop",
        "w",
    )
    assert (record.status, record.tenant, record.cluster) == (404, "acme", "prod")
    assert (record.grant, record.peer) == ("grant-a", "192.0.2.1")


def test_what_cannot_be_kept_is_counted_and_logged(monkeypatch, caplog):
    monkeypatch.setattr("access.proxy.journal._MOST", 2)
    journal = Journal()
    with caplog.at_level("INFO"):
        for _ in range(5):
            journal.note(entry(), 200)
    assert len(journal._waiting) == 2
    assert caplog.text.count("Proxied") == 5


def test_a39_the_use_of_a_grant_that_has_ended_is_recorded_with_whose_it_was(alices):
    grant = grant_of(alices.post(ISSUE))
    journal, used = Journal(), entry()
    used.opened, used.ended = None, grant.name
    journal.note(used, 401)
    _store(list(journal._waiting))
    record = AuditRecord.objects.get(source="proxy")
    assert (record.actor, record.tenant, record.grant) == ("alice", "acme", grant.name)
    assert (record.status, record.cluster) == (401, "prod")


def test_a_loop_that_uses_an_ended_grant_is_counted_and_not_written_down_each_time(
    transactional_db, monkeypatch
):
    journal = Journal()
    for peer, times in (("192.0.2.1", 30), ("192.0.2.2", 1)):
        for _ in range(times):
            used = entry()
            used.opened, used.ended, used.peer = None, "grant-a", peer
            journal.note(used, 401)
    for _ in range(3):
        journal.note(entry(), 200)  # who may is always written down
    asyncio.run(journal.flush())
    assert [row.more for row in AuditRecord.objects.filter(status=401)] == [0, 0]
    assert AuditRecord.objects.filter(status=200).count() == 3
    asyncio.run(journal.close())
    rows = AuditRecord.objects.filter(status=401).values_list("peer", "more").order_by("pk")
    assert list(rows) == [("192.0.2.1", 0), ("192.0.2.2", 0), ("192.0.2.1", 28)]


def test_what_is_held_back_comes_when_its_time_is_up(monkeypatch):
    monkeypatch.setattr(repeats, "WINDOW", 0.1)
    held = repeats.Repeats()
    records = [AuditRecord.of("proxy", "get", 401, grant="grant-a", peer="x") for _ in range(3)]
    assert [held.hold(record) for record in records] == [False, True, True]
    assert held.due() == []
    time.sleep(0.15)
    assert [(row is records[2], row.more) for row in held.due()] == [(True, 1)]
    assert held.due() == []
    assert held.hold(records[0]) is False
