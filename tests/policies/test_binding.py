"""Which attachments bind whom, and what they come to: pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.rules.binding import (
    Attached,
    Exempt,
    Place,
    Subject,
    conflicts,
    effect_on,
    in_force,
    views,
)
from policies.rules.catalogue import CATALOGUE, starter
from reconcile.selectors import Selector
from tenancy.rules.kinds import restriction_problems
from tenancy.rules.modes import Mode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
ACME = Subject("acme", {"stage": "prod"}, {}, ("blog", "shop"))
ONLY_INSIDE = {"service_types": ["ClusterIP"]}


def attached(rules: dict | None = None, mode: Mode = Mode.ENFORCE, **whom: object) -> Attached:
    whom = whom or {"every_tenant": True}
    return Attached("strict", 1, "all", mode, ONLY_INSIDE if rules is None else rules, **whom)


def spared(project: str = "", kind: str = "service_types", until: datetime = LATER) -> Exempt:
    return Exempt("acme", project, kind, until)


@pytest.mark.parametrize(
    ("whom", "via"),
    [
        pytest.param({"every_tenant": True}, "every tenant", id="everybody"),
        pytest.param({"tenants": frozenset(["acme"])}, "by name", id="by name"),
        pytest.param({"selector": Selector.parse("stage=prod")}, "by labels", id="by labels"),
        pytest.param({"selector": Selector.parse("stage!=prod")}, "", id="other labels"),
        pytest.param({"tenants": frozenset(["globex"])}, "", id="another"),
        pytest.param({"projects": frozenset(["acme/shop"])}, "", id="a project alone"),
        pytest.param({"projects": frozenset(["globex/shop"])}, "", id="another's project"),
    ],
)
def test_it_says_how_it_binds_a_tenant(whom, via):
    found = attached(**whom)
    assert found.via("acme", ACME.labels) == via
    assert bool(via) <= found.binds("acme", ACME.labels)


def test_a_project_that_is_named_is_bound_and_its_sibling_is_not():
    found = effect_on(ACME, [attached(projects=frozenset(["acme/shop"]))], NOW)
    assert found.tenant == {}
    assert found.projects == {"shop": {"enforce": ONLY_INSIDE}}


def test_what_binds_the_tenant_binds_a_project_that_is_named_as_well():
    both = [attached(), attached({"storage_classes": ["fast"]}, projects=frozenset(["acme/shop"]))]
    found = effect_on(ACME, both, NOW)
    assert found.tenant == {"enforce": ONLY_INSIDE}
    assert found.projects == {"shop": {"enforce": {**ONLY_INSIDE, "storage_classes": ["fast"]}}}
    assert found.as_imposed() == {"enforce": ONLY_INSIDE}


def test_modes_do_not_mix():
    found = effect_on(
        ACME,
        [
            attached(),
            attached({"service_types": ["NodePort"]}, Mode.WARN),
            attached({"storage_classes": []}, Mode.AUDIT),
        ],
        NOW,
    )
    assert found.tenant == {
        "enforce": ONLY_INSIDE,
        "warn": {"service_types": ["NodePort"]},
        "audit": {"storage_classes": []},
    }


@pytest.mark.parametrize(
    ("until", "rules"), [(LATER, {}), (NOW, {"enforce": ONLY_INSIDE})], ids=["holds", "ended"]
)
def test_an_exception_holds_until_its_end(until, rules):
    found = effect_on(ACME, [attached(every_tenant=True, exceptions=(spared(until=until),))], NOW)
    assert found.tenant == rules
    assert found.until == (until if until > NOW else None)


def test_an_exception_of_a_project_is_told_to_who_binds_the_tenant_as_a_whole():
    found = effect_on(ACME, [attached(every_tenant=True, exceptions=(spared("shop"),))], NOW)
    assert found.projects == {"shop": {}}
    assert found.as_imposed() == {"enforce": ONLY_INSIDE, "excepted": ["service_types"]}


def test_an_exception_from_one_attachment_leaves_what_another_asks_for():
    other = Attached("other", 1, "all", Mode.ENFORCE, ONLY_INSIDE, every_tenant=True)
    both = [attached(every_tenant=True, exceptions=(spared(),)), other]
    assert effect_on(ACME, both, NOW).tenant == {"enforce": ONLY_INSIDE}


def test_an_exception_of_somebody_else_spares_nobody_here():
    foreign = Exempt("globex", "", "service_types", LATER)
    found = effect_on(ACME, [attached(every_tenant=True, exceptions=(foreign,))], NOW)
    assert found.tenant == {"enforce": ONLY_INSIDE} and found.until is None


def test_the_tenant_s_own_restrictions_count_among_what_refuses():
    bound = Subject("acme", {}, {"service_types": ["ClusterIP", "NodePort"]})
    found = in_force(bound, [attached()], NOW)
    assert found.rules == ONLY_INSIDE
    assert [each.source for each in found.origins["service_types"]] == [
        "Tenant acme",
        "policy set strict, version 1 (attachment all)",
    ]


def test_a_contradiction_is_told_once_though_every_project_has_it():
    bound = Subject("acme", {}, {"node_selector": {"pool": "a"}}, ("blog", "shop"))
    (found,) = conflicts(bound, [attached({"node_selector": {"pool": "b"}})], NOW)
    assert found.blocking and found.sources[0] == "Tenant acme"


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(Mode)), st.booleans(), st.booleans(), st.booleans()),
        max_size=5,
    )
)
def test_each_project_is_bound_by_what_binds_its_tenant_less_its_own_exceptions(found):
    """Whatever is attached: a project without exceptions is never freer than its tenant."""
    given_ = [
        attached(
            mode=mode,
            every_tenant=whole,
            projects=frozenset(["acme/shop"] if named else []),
            exceptions=(spared("blog"),) if exempt else (),
        )
        for mode, whole, named, exempt in found
    ]
    effect = effect_on(ACME, given_, NOW)
    shop = effect.projects.get("shop", effect.tenant)
    for mode, rules in effect.tenant.items():
        assert rules.items() <= shop.get(mode, {}).items()


# --- On some clusters alone.

EU, US = Place("prod-eu", {"region": "eu"}), Place("prod-us", {"region": "us"})
THERE = replace(ACME, places=(EU, US))


@pytest.mark.parametrize(
    ("where", "place", "holds"),
    [
        pytest.param({}, EU, True, id="every cluster"),
        pytest.param({}, None, True, id="every cluster, also those to come"),
        pytest.param({"clusters": frozenset(["prod-eu"])}, EU, True, id="by name"),
        pytest.param({"clusters": frozenset(["prod-eu"])}, US, False, id="another's name"),
        pytest.param({"clusters": frozenset(["prod-eu"])}, None, False, id="a name is not all"),
        pytest.param({"cluster_selector": Selector.parse("region=eu")}, EU, True, id="by labels"),
        pytest.param({"cluster_selector": Selector.parse("region=eu")}, US, False, id="others"),
        pytest.param({"cluster_selector": Selector.parse("!gone")}, None, False, id="not all yet"),
        pytest.param(
            {"clusters": frozenset(["prod-us"]), "cluster_selector": Selector.parse("region=eu")},
            EU,
            True,
            id="by name or labels",
        ),
    ],
)
def test_it_holds_on_the_clusters_that_it_names_or_selects(where, place, holds):
    assert attached(every_tenant=True, **where).holds_on(place) is holds


def test_one_set_audits_on_one_cluster_and_is_enforced_on_the_other():
    both = [
        attached(every_tenant=True, clusters=frozenset(["prod-us"])),
        attached(mode=Mode.AUDIT, every_tenant=True, cluster_selector=Selector.parse("region=eu")),
    ]
    found = effect_on(THERE, both, NOW)
    assert (found.tenant, found.projects) == ({}, {})
    assert {name: each.tenant for name, each in found.clusters.items()} == {
        "prod-eu": {"audit": ONLY_INSIDE},
        "prod-us": {"enforce": ONLY_INSIDE},
    }


def test_what_holds_everywhere_holds_beside_what_holds_on_one_cluster():
    both = [
        attached(),
        attached({"storage_classes": ["fast"]}, every_tenant=True, clusters=frozenset(["prod-eu"])),
    ]
    found = effect_on(THERE, both, NOW)
    assert found.tenant == {"enforce": ONLY_INSIDE}
    assert {name: each.tenant for name, each in found.clusters.items()} == {
        "prod-eu": {"enforce": {**ONLY_INSIDE, "storage_classes": ["fast"]}}
    }


def test_a_cluster_on_which_it_comes_to_the_same_is_not_told_apart():
    again = attached(every_tenant=True, clusters=frozenset(["prod-eu"]))
    assert effect_on(THERE, [attached(), again], NOW).clusters == {}


def test_nothing_is_told_of_clusters_that_the_tenant_is_not_on():
    away = attached(every_tenant=True, clusters=frozenset(["elsewhere"]))
    assert effect_on(THERE, [away], NOW) == effect_on(THERE, [], NOW)
    assert not away.holds_in(THERE.places)


def test_a_project_is_bound_on_one_cluster_alone_and_spared_there():
    where = {"clusters": frozenset(["prod-eu"])}
    named = attached(projects=frozenset(["acme/shop"]), **where)
    found = effect_on(THERE, [named], NOW)
    assert (found.tenant, found.projects) == ({}, {})
    assert found.clusters["prod-eu"].projects == {"shop": {"enforce": ONLY_INSIDE}}
    exempt = attached(every_tenant=True, exceptions=(spared("shop"),), **where)
    there = effect_on(THERE, [exempt], NOW)
    assert there.until == LATER
    assert there.clusters["prod-eu"].as_imposed() == {
        "enforce": ONLY_INSIDE,
        "excepted": ["service_types"],
    }


def test_what_holds_on_different_clusters_does_not_contradict_itself():
    def pool(name: str, cluster: str) -> Attached:
        rules = {"node_selector": {"pool": name}}
        return attached(rules, every_tenant=True, clusters=frozenset([cluster]))

    assert conflicts(THERE, [pool("a", "prod-eu"), pool("b", "prod-us")], NOW) == []
    (found,) = conflicts(THERE, [pool("a", "prod-eu"), pool("b", "prod-eu")], NOW)
    assert found.blocking


def test_clusters_on_which_the_same_holds_are_asked_once():
    many = tuple(Place(f"c-{number}", {"region": "eu"}) for number in range(50))
    eu = attached(every_tenant=True, cluster_selector=Selector.parse("region=eu"))
    common, there = views(replace(ACME, places=(*many, US)), [eu])
    assert common.place is None and len(there.clusters) == 50
    assert len(effect_on(replace(ACME, places=many), [eu], NOW).clusters) == 50


# --- The catalogue.


@pytest.mark.parametrize("each", CATALOGUE, ids=lambda each: each.name)
def test_each_of_the_catalogue_is_valid_and_says_what_to_adapt(each):
    assert list(restriction_problems(each.rules)) == []
    assert starter(each.name) is each
    assert bool(each.adapt) or "example.org" not in str(each.rules)


def test_there_is_no_other_starter():
    assert starter("nonsense") is None
