"""Pages of rules in CEL, for operators."""

import pytest
from django.test import Client

from policies.models import CelRule, RulePublication
from tests.clusters.steps import settle
from tests.delivery.test_publishing import at_hand
from tests.policies.conftest import make_set
from tests.policies.test_celrule_flow import NAMED, THERE, live
from tests.portal.conftest import As
from tests.portal.test_published_pages import text_of

__all__ = ["live"]

PATH = "/celrules"
RULE = f"{PATH}/few-replicas"
NEW = {
    "name": "few-replicas",
    "description": "Not more than five.",
    "resources": ["deployments.apps"],
    "operations": ["CREATE", "UPDATE"],
    "variables": '- name: most\n  expression: "5"\n',
    "validations": "- expression: object.spec.replicas <= variables.most\n  message: At most five.",
}


@pytest.fixture
def rule(people) -> CelRule:
    values = {"resources": NEW["resources"], "operations": ["CREATE"], "variables": []}
    values["validations"] = [{"expression": "true\n&& true", "message": "Never."}]
    return CelRule.keep({"name": "few-replicas"}, values, by="olga")[0]


def test_an_operator_keeps_a_rule_and_changes_it(people, as_: As) -> None:
    olga = as_("olga")
    assert "No rule in CEL yet" in text_of(olga.get(PATH))
    text = text_of(olga.post("/new-celrule", NEW, follow=True))
    assert "is kept, as version 1." in text and "variables.most" in text
    text = text_of(olga.post(f"{RULE}/edit", {**NEW, "operations": ["CREATE"]}, follow=True))
    assert "is kept, as version 2." in text and "On no cluster yet." in text
    assert "Not more than five." in text_of(olga.get(PATH))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"validations": "a: ["}, "The text"),
        ({"validations": "- expression: (1\n  message: Never."}, "0 expression: ( at line 1"),
        ({"variables": "- name: in\n  expression: '1'"}, "0 name: Use letters"),
        ({"name": "few-warn"}, "may not end in -warn"),
        ({"resources": ["secrets"]}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_told_beside_the_field(people, as_: As, fields, told) -> None:
    assert told in text_of(as_("olga").post("/new-celrule", {**NEW, **fields}), 422)
    assert not CelRule.objects.exists()


def test_an_expression_comes_back_from_the_form_as_it_was(rule, as_: As) -> None:
    form = as_("olga").get(f"{RULE}/edit").context["form"]
    given = {"resources": NEW["resources"], "operations": ["CREATE"]}
    given["validations"] = form["validations"].value()
    as_("olga").post(f"{RULE}/edit", given)
    rule.refresh_from_db()
    assert (rule.validations[0]["expression"], rule.version) == ("true\n&& true", 1)


def test_it_is_published_and_taken_off_by_the_pages(live, prod, rule, as_: As) -> None:
    olga: Client = as_("olga")
    text = text_of(olga.post(f"{RULE}/publish", {"cluster": "prod-a", "preview": "1"}))
    assert "kubenova-cel-few-replicas" in text and not RulePublication.objects.exists()
    text_of(olga.post(f"{RULE}/publish", {"cluster": "prod-a"}, follow=True))
    settle()
    assert live.exists(THERE)
    assert "Deployed" in text_of(olga.get(RULE))
    strict = make_set(cel=NAMED)
    assert "policy set strict" in text_of(olga.get(RULE))
    assert "is used by" in text_of(olga.post(f"{RULE}/delete", {"name": "few-replicas"}), 422)
    strict.rules = {}
    strict.declare(by="olga")
    text = text_of(olga.post(f"{RULE}/delete", {"name": "few-replicas"}, follow=True))
    assert "is being deleted" in text and "Take it off" in text
    at_hand(prod)
    olga.post(f"{RULE}/publish", {"cluster": "prod-a"})
    settle()
    assert not live.exists(THERE) and "No rule in CEL yet" in text_of(olga.get(PATH))


def test_operators_see_it_in_the_admin(live, rule, people) -> None:
    people["olga"].is_superuser = True
    people["olga"].save()
    client = Client()
    client.force_login(people["olga"])
    assert "few-replicas" in text_of(client.get("/admin/policies/celrule/"))
    text_of(client.get(f"/admin/policies/celrule/{rule.pk}/change/"))


@pytest.mark.parametrize("name", ["alice", "charlie"])
def test_nobody_else_finds_them(rule, as_: As, name) -> None:
    client = as_(name)
    for path in (RULE, f"{RULE}/edit", f"{RULE}/publish", f"{RULE}/delete"):
        assert client.get(path).status_code == 404
        assert client.post(path, NEW).status_code in (404, 405)
    assert client.get(PATH).status_code == client.post("/new-celrule", NEW).status_code == 403
