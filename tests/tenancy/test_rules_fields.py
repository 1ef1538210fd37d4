"""The table of fields is whole, and docs/fields.md is that table."""

from pathlib import Path

import pytest

from clusters import platforms, probe
from tenancy.models import Project, Tenant
from tenancy.rules.fields import PROJECT, TENANT, Means
from tenancy.rules.kinds import KINDS
from tenancy.rules.needs import NEEDS
from tenancy.rules.page import page

DOCUMENT = Path(__file__).parents[2] / "docs" / "fields.md"
FIELDS = [*TENANT, *PROJECT]


def test_the_page_is_what_the_table_says():
    assert DOCUMENT.read_text() == page(), "run `make fields`"


@pytest.mark.parametrize(
    ("model", "fields"), [(Tenant, TENANT), (Project, PROJECT)], ids=["tenant", "project"]
)
def test_every_column_that_people_set_is_in_the_table_once(model, fields):
    paths = [field.path for field in fields]
    assert len(set(paths)) == len(paths)
    assert {path.partition(".")[0] for path in paths} == set(model.spec_fields)


def test_every_kind_of_restriction_is_a_field():
    named = {field.path for field in TENANT if field.path.startswith("restrictions.")}
    assert named == {f"restrictions.{kind}" for kind in KINDS}


def test_every_capability_is_one_that_clusters_are_asked_for():
    known = {*probe._NEEDED_BY, *(f"tenancy.capsule.{each}" for each in platforms._FEATURES)}
    known.add("tenancy.capsule.replication")
    means = [each for field in FIELDS for each in (field.native, field.capsule) if each]
    assert {each.capability for each in means} - {""} <= known


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_what_is_refused_where_it_is_not_served_is_told_in_the_table(field):
    top = field.path.partition(".")[0]
    if field.native.capability:
        assert field.native.capability in NEEDS[top]


def test_only_a_newer_capability_has_something_older_in_its_place():
    means = [each for field in FIELDS for each in (field.native, field.capsule) if each]
    assert all(each.capability for each in means if each.older)
    assert Means("x") == Means("x", "", "")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_page_has_an_example_and_a_schema_of_each_kind(kind):
    (section,) = (part for part in page().split("### ")[1:] if part.startswith(f"`{kind.name}`"))
    assert kind.summary in section
    assert f'"type": "{kind.schema["type"]}"' in section
