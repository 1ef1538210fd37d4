"""The browser of definitions."""

import pytest

from delivery.models import TypeList
from tests.portal.conftest import As


def types_of(answer) -> list[str]:
    assert answer.status_code == 200
    return [row.type for row in answer.context["page"]]


def test_it_lists_types_in_pages(shop, as_: As) -> None:
    bob = as_("bob")
    first, second = (types_of(bob.get("/definitions", {"page": number})) for number in (1, 2))
    assert len(first) == 20 and len(second) == 1
    assert sorted(first + second) == sorted({*first, *second})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({"q": "CronJob"}, ["cron-task"], id="what it is"),
        pytest.param({"q": "webs"}, ["webservice"], id="its name"),
        pytest.param({"q": "service", "kind": "trait"}, ["expose", "service-account"], id="kind"),
        pytest.param({"q": "blockchain"}, [], id="nothing"),
    ],
)
def test_it_is_searched(shop, as_: As, query, expected) -> None:
    found = types_of(as_("bob").get("/definitions", query))
    assert [each for each in found if each in expected] == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("component/cron-task", ["schedule", "a schedule of five fields", "prod-a", "native"]),
        ("trait/scaler", ["replicas", "webservice, worker, statefulset"]),
        ("trait/labels", ["Keys with texts"]),
    ],
)
def test_a_type_tells_its_properties_and_where_it_can_be_used(
    shop, as_: As, path: str, texts: list[str]
) -> None:
    page = as_("carol").get(f"/definitions/{path}").content.decode()
    assert [text for text in texts if text not in page] == []


@pytest.mark.parametrize("path", ["component/scaler", "policy/health", "component/none"])
def test_a_type_that_there_is_not_has_no_page(shop, as_: As, path: str) -> None:
    assert as_("bob").get(f"/definitions/{path}").status_code == 404


def test_a_stranger_sees_no_types(shop, as_: As) -> None:
    assert types_of(as_("charlie").get("/definitions")) == []
    assert as_("charlie").get("/definitions/component/webservice").status_code == 404


@pytest.mark.parametrize("name", ["bob", "olga"])
def test_only_who_may_edit_the_allowed_types_is_led_there(shop, people, as_: As, name) -> None:
    if name == "olga":
        people["olga"].is_superuser = True
        people["olga"].save()
    page = as_(name).get("/definitions").content.decode()
    assert ("/admin/delivery/typelist/" in page) is (name == "olga")


def test_what_no_tenant_of_theirs_may_use_is_left_out(shop, as_: As) -> None:
    TypeList.allow(shop.tenant, by="olga", components=["worker"], traits=["scaler"])
    assert types_of(as_("bob").get("/definitions")) == ["worker", "scaler"]
    assert as_("bob").get("/definitions/component/daemon").status_code == 404
