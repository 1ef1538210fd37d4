"""INSERTs that the ORM writes once: the same rows as it would insert itself."""

import pytest
from django.db import IntegrityError, transaction

from reconcile.inserting import Inserting
from reconcile.models import Event, Work
from reconcile.models.work import Read
from tests.reconcile.models import Pebble

pytestmark = pytest.mark.django_db


@pytest.fixture
def work(pebble) -> Work:
    """One row of the dirty set."""
    made: Work = pebble("stone")
    return made


def reads(work: Work) -> list[str]:
    return sorted(work.reads.values_list("key", flat=True))


def test_it_inserts_what_the_orm_would_insert(work):
    row = Pebble.objects.get(pk=work.object_id)
    event = Event.about(row, "Moved", "Stone moved.", actor="alice", data={"to": ["x", 1]})
    Inserting(Event).insert([event, Event.about(row, "Rested", "Stone rested.", warning=True)])

    moved = Event.objects.get(reason="Moved")
    names = [field.attname for field in Event._meta.concrete_fields if not field.primary_key]
    assert {name: getattr(moved, name) for name in names} == {
        name: getattr(event, name) for name in names
    }
    assert Event.objects.get(reason="Rested").type == Event.Type.WARNING


def test_it_inserts_nothing_when_there_is_nothing():
    Inserting(Event).insert([])
    assert not Event.objects.exists()


def test_it_leaves_what_is_there(work):
    quietly = Inserting(Read, unique=("work", "key"))
    quietly.insert([Read(work=work, key="a")])
    quietly.insert([Read(work=work, key="a"), Read(work=work, key="b")])
    assert reads(work) == ["a", "b"]


def test_it_tells_of_what_is_there_unless_told_what_is_unique(work):
    strictly = Inserting(Read)
    strictly.insert([Read(work=work, key="a")])
    with pytest.raises(IntegrityError), transaction.atomic():
        strictly.insert([Read(work=work, key="a")])
    assert reads(work) == ["a"]


def test_it_writes_over_what_is_there(work):
    over = Inserting(Work, unique=("owner",), over=("tenant",))
    fresh = {"kind": work.kind, "object_id": 4711, "owner": work.owner}
    over.insert([Work(**fresh, tenant="acme", failures=9)])

    stored = Work.objects.get()
    assert (stored.pk, stored.tenant) == (work.pk, "acme")
    assert (stored.object_id, stored.failures) == (work.object_id, work.failures)
