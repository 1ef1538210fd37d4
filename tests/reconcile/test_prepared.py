"""Statements that the ORM writes once: the same rows, whatever values are put in."""

import uuid

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from reconcile.models import Work
from reconcile.models.work import Read
from reconcile.prepared import Document, Prepared
from tests.reconcile.models import Pebble

pytestmark = pytest.mark.django_db


def rows(pk, token):
    return Work.objects.filter(pk=pk, lease_token=token), {}


def give(pk, token, failures):
    changes = {"lease_token": token, "failures": failures, "attempts": F("attempts") + 1}
    return Work.objects.filter(pk=pk), {**changes, "due_at": Now(), "traceback": "none"}


@pytest.fixture
def held() -> Prepared:
    """Whether a row carries a token."""
    return Prepared(rows, pk=int, token=uuid.UUID)


@pytest.fixture
def given() -> Prepared:
    """Give a row a token."""
    return Prepared(give, pk=int, token=uuid.UUID, failures=int)


def test_it_writes_a_document_as_the_orm_would(pebble):
    mine, other = (Pebble.objects.get(pk=pebble(name).object_id) for name in ("mine", "other"))
    told = Prepared(
        lambda pk, conditions: (Pebble.objects.filter(pk=pk), {"conditions": conditions}),
        pk=int,
        conditions=Document,
    )
    for conditions in ([], [{"type": "Synced", "message": 'a "quoted" word, 100 % and ö'}]):
        assert told.update(pk=mine.pk, conditions=Document(conditions)) == 1
        assert Pebble.objects.get(pk=mine.pk).conditions == conditions
    assert Pebble.objects.filter(conditions__0__type="Synced").get() == mine
    assert Pebble.objects.get(pk=other.pk).conditions == []


def test_it_leaves_out_what_rows_are_annotated_with(pebble):
    mine = pebble("mine")
    found = Prepared(
        lambda pk: (Work.objects.annotate(more=F("marks") + 1).filter(object_id=pk), {}), pk=int
    )
    (row,) = found.rows(pk=mine.object_id)
    assert row == mine and not hasattr(row, "more")


def test_it_finds_what_the_orm_would_find(pebble, held):
    mine, other = pebble("mine"), pebble("other")
    token = uuid.uuid4()
    Work.objects.filter(pk=mine.pk).update(lease_token=token)

    assert held.exists(pk=mine.pk, token=token)
    assert not held.exists(pk=other.pk, token=token)
    assert not held.exists(pk=mine.pk, token=uuid.uuid4())
    assert not held.exists(pk=4711, token=token)


def test_it_writes_what_the_orm_would_write(pebble, given):
    mine, other = pebble("mine"), pebble("other")
    before = Work.objects.get(pk=other.pk)
    for number in (1, 2, 3):
        token = uuid.uuid4()
        assert given.update(pk=mine.pk, token=token, failures=number * 10) == 1
        stored = Work.objects.get(pk=mine.pk)
        assert (stored.lease_token, stored.failures) == (token, number * 10)
        assert (stored.attempts, stored.traceback) == (number, "none")

    untouched = Work.objects.get(pk=other.pk)
    assert (untouched.lease_token, untouched.attempts) == (None, before.attempts)


def test_it_says_when_there_was_nothing_to_write(pebble, given):
    pebble()
    assert given.update(pk=4711, token=uuid.uuid4(), failures=0) == 0


def test_the_orm_builds_it_once(pebble):
    built = []

    def build(**values):
        built.append(values)
        return rows(**values)

    held, work = Prepared(build, pk=int, token=uuid.UUID), pebble()
    for _ in range(3):
        held.exists(pk=work.pk, token=uuid.uuid4())
    assert len(built) == 1


def test_a_value_that_is_not_given_is_a_mistake(pebble, held):
    with pytest.raises(KeyError, match="token"):
        held.exists(pk=1)


def test_it_locks_where_the_database_can(pebble, django_assert_num_queries):
    locking = Prepared(
        lambda pk, token: (rows(pk, token)[0].select_for_update(no_key=True).values_list("pk"), {}),
        pk=int,
        token=uuid.UUID,
    )
    work = pebble()
    with django_assert_num_queries(1) as context:
        locking.exists(pk=work.pk, token=uuid.uuid4())

    asked = context.captured_queries[0]["sql"]
    assert ("FOR NO KEY UPDATE" in asked) == connection.features.has_select_for_update


def test_it_reads_the_rows_that_the_orm_would_read(pebble):
    named = Prepared(
        lambda tenant, least: (
            Work.objects.filter(tenant=tenant, marks__gte=least).order_by("-pk"),
            {},
        ),
        tenant=str,
        least=int,
    )
    works = [pebble(name) for name in ("one", "two", "three")]
    Work.objects.filter(pk=works[0].pk).update(tenant="acme", marks=5)
    Work.objects.filter(pk=works[1].pk).update(tenant="acme", marks=7, lease_token=uuid.uuid4())

    asked = Work.objects.filter(tenant="acme").order_by("-pk")
    for row, expected in zip(named.rows(tenant="acme", least=5), asked, strict=True):
        columns = [field.attname for field in Work._meta.concrete_fields]
        assert [getattr(row, name) for name in columns] == [
            getattr(expected, name) for name in columns
        ]
    assert [row.marks for row in named.rows(tenant="acme", least=6)] == [7]
    assert named.rows(tenant="globex", least=0) == []


def test_what_is_selected_along_comes_in_the_same_query(pebble, django_assert_num_queries):
    work = pebble()
    Read.objects.create(work=work, key="member/bob")
    reads = Prepared(lambda key: (Read.objects.filter(key=key).select_related("work"), {}), key=str)
    with django_assert_num_queries(1):
        (found,) = reads.rows(key="member/bob")
        assert found.work == work and found.work.due_at == work.due_at


def test_values_come_as_tuples_of_what_the_columns_hold(pebble):
    work = pebble("mine")
    told = Prepared(
        lambda pk: (Work.objects.filter(pk=pk).values_list("owner", "due_at"), {}), pk=int
    )

    assert told.rows(pk=work.pk) == [(work.owner, work.due_at)]
