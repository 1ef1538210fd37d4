"""The pages show what is used of a quota, per cluster, in words as well as by bars."""

import re

import pytest

from reconcile.values import JSON
from tenancy.models import ProjectPlacement, Tenant
from tests.clusters.steps import settle
from tests.portal.conftest import As

SHOP = "/tenants/acme/projects/shop"


@pytest.fixture
def bounded(shop) -> Tenant:
    """acme with a quota."""
    acme = Tenant.objects.get(name="acme")
    acme.quota = {"pods": "20", "requests.memory": "4Gi"}
    acme.declare(by="olga")
    settle()
    return acme


def counted(**used: JSON) -> None:
    ProjectPlacement.objects.update(facts={"quota": used})


def meters(text: str) -> dict[str, str]:
    """The value of each bar by its label."""
    found = re.findall(r'<progress[^>]*value="(\d+)"\s+aria-label="([^"]+)"', text)
    return {label: value for value, label in found}


@pytest.mark.parametrize("path", ["/tenants/acme", SHOP])
def test_it_says_what_is_used_on_each_cluster(path: str, bounded, as_: As) -> None:
    memory = {"hard": "4Gi", "used": "1536Mi"}
    counted(pods={"hard": "20", "used": "19"}, **{"requests.memory": memory})
    text = as_("carol").get(path).content.decode()
    together = {"pods used": "95", "requests.memory used": "37"}
    there = {f"{label} on prod-a": value for label, value in together.items()}
    assert meters(text) == together | there
    for words in ("19 of 20", "95 %", "1.5Gi of 4Gi", "37 %"):
        assert words in text
    assert "used up" not in text


@pytest.mark.parametrize(
    ("used", "words"), [("20", "used up"), ("25", "over the quota")], ids=["full", "over"]
)
def test_what_is_full_is_said_in_words(used: str, words: str, bounded, as_: As) -> None:
    counted(pods={"hard": "20", "used": used})
    text = as_("carol").get(SHOP).content.decode()
    assert words in text
    assert meters(text)["pods used on prod-a"] == "100"


def test_a_project_that_was_not_counted_yet_says_so(bounded, as_: As) -> None:
    text = as_("carol").get(SHOP).content.decode()
    assert "No cluster has counted yet" in text
    assert set(meters(text).values()) == {"0"}
    assert "used on" not in text


@pytest.mark.parametrize("path", ["/tenants/acme", SHOP])
def test_without_a_quota_nothing_is_used_of_it(path: str, shop, as_: As) -> None:
    assert "Used of the quota" not in as_("carol").get(path).content.decode()
