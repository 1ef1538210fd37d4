"""The ledger's rules: what is divided adds up, and what moves never allows more than the total."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenancy.rules.grants import Grant, held_now, moved
from tenancy.rules.ledger import Terms, apportion, chosen, counted, targets, units, written

AMOUNTS = st.integers(0, 10**12) | st.integers(0, 20)
CLUSTERS = ("prod-a", "prod-b", "prod-c")
PROJECTS = ("blog", "cart", "shop", "wiki")


@st.composite
def terms(draw: st.DrawFn, total: st.SearchStrategy[int | None] = AMOUNTS) -> Terms:
    """Any terms, also those that promise more than there is."""
    clusters = draw(st.lists(st.sampled_from(CLUSTERS), unique=True).map(sorted))
    projects = draw(st.lists(st.sampled_from(PROJECTS), unique=True).map(sorted))
    some = st.dictionaries(st.sampled_from([*projects, "wiki"]), AMOUNTS, max_size=2)
    cells = st.tuples(st.sampled_from(PROJECTS), st.sampled_from(CLUSTERS))
    return Terms(
        clusters=clusters,
        weights={name: draw(st.integers(1, 1000)) for name in projects},
        total=draw(total),
        own={name: amount for name, amount in draw(some).items() if name in projects},
        floors=draw(st.dictionaries(st.sampled_from(CLUSTERS), AMOUNTS)),
        division=draw(st.sampled_from(["even", "weight", "demand"])),
        used=draw(st.dictionaries(cells, AMOUNTS)),
    )


def row(found, project: str) -> int:
    return sum(amount for (name, _), amount in found.items() if name == project)


def column(found, cluster: str) -> int:
    return sum(amount for (_, name), amount in found.items() if name == cluster)


# --- Dividing.


@given(AMOUNTS, st.dictionaries(st.text(max_size=3), AMOUNTS))
def test_parts_add_up_and_none_is_more_than_it_weighs(amount, weights):
    parts = apportion(amount, weights)
    whole = sum(weights.values())
    assert sum(parts.values()) == (amount if whole else 0)
    assert all(amount * weights[key] // max(whole, 1) <= parts[key] for key in parts)
    if whole >= amount:
        assert all(parts[key] <= weights[key] for key in parts)


@given(AMOUNTS, st.integers(0, 50), st.dictionaries(st.text(max_size=3), AMOUNTS))
def test_more_to_divide_takes_nothing_from_anybody(amount, more, weights):
    before, after = apportion(amount, weights), apportion(amount + more, weights)
    assert all(before[key] <= after[key] for key in weights)


@given(terms())
def test_what_can_be_shared_is_shared_to_the_last_unit(asked):
    found = targets(asked)
    assert min(found.values(), default=0) >= 0
    assert sum(found.values()) <= asked.total
    shareable = asked.clusters and set(asked.weights) - set(asked.own)
    if shareable:
        assert sum(found.values()) == asked.total


@given(terms())
def test_a_project_gets_what_is_its_own_where_it_can_be_had(asked):
    found = targets(asked)
    for name, amount in asked.own.items() if asked.clusters else ():
        assert row(found, name) <= amount
        if sum(asked.own.values()) <= asked.total:
            assert row(found, name) == amount


@given(terms(st.none()))
def test_what_the_tenant_does_not_bound_is_bounded_for_its_projects_alone(asked):
    found = targets(asked)
    assert {name for name, _ in found} <= set(asked.own)
    assert sum(found.values()) == (sum(asked.own.values()) if asked.clusters else 0)


@given(terms())
def test_floors_come_first(asked):
    found = targets(asked)
    floors = {name: asked.floors.get(name, 0) for name in asked.clusters}
    if sum(floors.values()) <= sum(found.values()):
        assert all(column(found, name) >= floor for name, floor in floors.items())


@given(terms(), st.integers(0, 10**6))
def test_a_larger_total_takes_nothing_from_a_project_or_cluster(asked, more):
    before, after = targets(asked), targets(Terms(**{**vars(asked), "total": asked.total + more}))
    assert all(row(before, name) <= row(after, name) for name in asked.weights)
    if asked.division != "demand":
        assert all(column(before, name) <= column(after, name) for name in asked.clusters)


@given(terms())
def test_it_depends_on_nothing_but_the_terms(asked):
    shuffled = list(asked.used.items())
    random.Random(1).shuffle(shuffled)
    assert targets(asked) == targets(Terms(**{**vars(asked), "used": dict(shuffled)}))


@given(terms())
def test_by_demand_nobody_gets_less_than_is_used(asked):
    asked = Terms(**{**vars(asked), "division": "demand", "floors": {}, "own": {}})
    if sum(asked.used.values()) > asked.total:
        return
    found = targets(asked)
    assert all(amount >= asked.used.get(cell, 0) for cell, amount in found.items())


@given(terms(), st.dictionaries(st.tuples(st.sampled_from(PROJECTS), st.just("gone")), AMOUNTS))
def test_what_is_kept_elsewhere_is_taken_off(asked, kept):
    kept = {cell: amount for cell, amount in kept.items() if cell[0] in asked.weights}
    found = targets(Terms(**{**vars(asked), "kept": kept}))
    elsewhere = sum(kept.values())
    assert sum(found.values()) + elsewhere <= max(asked.total, elsewhere)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        pytest.param({}, [4, 4, 4, 4, 4, 4], id="evenly"),
        pytest.param({"floors": {"prod-c": 12}}, [2, 2, 2, 2, 8, 8], id="floors, then evenly"),
        pytest.param(
            {"division": "weight", "weights": {"blog": 1, "shop": 3}},
            [2, 6, 2, 6, 2, 6],
            id="by weight",
        ),
        pytest.param({"own": {"blog": 3}}, [1, 7, 1, 7, 1, 7], id="a project with its own"),
        pytest.param(
            {"division": "demand", "used": {("shop", "prod-b"): 12}},
            [2, 2, 2, 14, 2, 2],
            id="where it is used",
        ),
    ],
)
def test_it_divides_as_people_would(more, found):
    """Twenty-four over two projects and three clusters, and the like."""
    given_terms = {"clusters": CLUSTERS, "weights": {"blog": 1, "shop": 1}, "total": 24} | more
    cells = targets(Terms(**given_terms))
    assert [cells[name, place] for place in CLUSTERS for name in ("blog", "shop")] == found


@pytest.mark.parametrize(
    ("text", "resource", "amount"),
    [
        ("1500m", "requests.cpu", 1500),
        ("1Gi", "requests.memory", 2**30),
        ("7", "pods", 7),
    ],
)
def test_amounts_are_counted_in_the_unit_of_the_resource(text, resource, amount):
    assert units(text, resource) == counted(text, resource) == amount
    assert written(amount, resource, declared=text) == text


def test_what_is_used_counts_in_full_and_nonsense_not_at_all():
    assert counted("100001u", "requests.cpu") == 101
    assert counted("many", "pods") == 0
    assert counted("1e99", "pods") == 10**30


@pytest.mark.parametrize(
    ("amount", "resource", "text"),
    [
        (1500, "requests.cpu", "1500m"),
        (2000, "limits.cpu", "2"),
        (0, "requests.cpu", "0"),
        (3 * 2**30, "requests.memory", "3Gi"),
        (1536 * 2**20, "memory", "1536Mi"),
        (1000, "requests.storage", "1000"),
        (2**30, "pods", "1073741824"),
    ],
)
def test_amounts_are_written_short_where_that_is_exact(amount, resource, text):
    assert written(amount, resource, declared="4") == text
    assert units(text, resource) == amount


# --- Staying where it is, by demand.

SHARED = Terms(clusters=("prod-a", "prod-b"), weights={"shop": 1}, total=100, division="demand")
HALVES = {("shop", "prod-a"): 50, ("shop", "prod-b"): 50}


@pytest.mark.parametrize(
    ("used", "rested", "found"),
    [
        pytest.param(30, True, (HALVES, False), id="nobody is pressed"),
        pytest.param(48, False, (HALVES, True), id="pressed, but divided just now"),
        pytest.param(
            48,
            True,
            ({("shop", "prod-a"): 74, ("shop", "prod-b"): 26}, False),
            id="pressed and rested",
        ),
    ],
)
def test_by_demand_it_moves_what_is_worth_a_move(used, rested, found):
    asked = Terms(**{**vars(SHARED), "used": {("shop", "prod-a"): used}})
    assert chosen(asked, HALVES, rested=rested) == found


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"total": 90}, id="total"),
        pytest.param({"own": {"shop": 10}}, id="own total"),
        pytest.param({"floors": {"prod-a": 60}}, id="floor"),
        pytest.param({"clusters": ("prod-a",)}, id="clusters"),
        pytest.param({"division": "even", "total": 99}, id="division"),
    ],
)
def test_other_terms_are_followed_at_once(change):
    asked = Terms(**{**vars(SHARED), **change})
    assert chosen(asked, HALVES, rested=False) == (targets(asked), False)


# --- Moving.


def free(total: int, grants) -> int:
    return total - sum(grant.held for grant in grants.values())


def test_a_cluster_is_told_more_only_once_another_has_let_go():
    grants = {
        ("shop", "prod-a"): Grant(target=4, granted=10, held=10),
        ("shop", "prod-b"): Grant(target=6, granted=0, held=0),
    }
    told = moved(grants, free(10, grants), {})
    assert told["shop", "prod-a"] == Grant(4, granted=4, held=10)
    assert told["shop", "prod-b"] == Grant(6, granted=0, held=0)
    told["shop", "prod-a"] = Grant(4, 4, held_now(4, told=4, seen=[4, 1]))
    assert moved(told, free(10, told), {})["shop", "prod-b"] == Grant(6, granted=6, held=6)


@pytest.mark.parametrize(
    ("granted", "told", "seen", "held"),
    [
        pytest.param(4, 4, [4, 2], 4, id="it allows what it was told"),
        pytest.param(4, 4, [10, 2], 10, id="it still counts by the old"),
        pytest.param(4, 4, [4, 7], 7, id="what is used is used"),
        pytest.param(2, 4, [4, 0], 4, id="it was told less meanwhile"),
        pytest.param(9, 4, [4, 0], 9, id="it was told more meanwhile"),
        pytest.param(4, 4, [], 4, id="it has not counted"),
    ],
)
def test_what_a_cluster_may_allow(granted, told, seen, held):
    assert held_now(granted, told, seen) == held


def test_what_a_cluster_allows_anyway_it_is_told_at_once():
    grants = {("shop", "prod-a"): Grant(target=8, granted=2, held=6)}
    assert moved(grants, 0, {}) == {("shop", "prod-a"): Grant(8, granted=6, held=6)}


def test_a_project_grows_no_further_than_its_own_total():
    cells = [("shop", "prod-a"), ("shop", "prod-b"), ("blog", "prod-a")]
    grants = {cell: Grant(target=10, granted=0, held=0) for cell in cells}
    found = moved(grants, 100, {"shop": 5})
    assert [found[cell].granted for cell in cells] == [3, 2, 10]


@given(st.data())
def test_at_no_moment_clusters_allow_more_than_the_total(data):
    """Terms change, clusters converge or are silent, in any order: what is held never exceeds."""
    total = data.draw(st.integers(0, 40))
    cells = [(name, place) for name in PROJECTS[:2] for place in CLUSTERS]
    told = dict.fromkeys(cells, 0)  # what each cluster enforces
    grants = {cell: Grant(0, 0, 0) for cell in cells}
    for _ in range(12):
        if data.draw(st.booleans()):
            asked = data.draw(terms(st.just(total)))
            wanted = {cell: targets(asked).get(cell, 0) for cell in cells}
            grants = {c: Grant(wanted[c], g.granted, g.held) for c, g in grants.items()}
        grants = moved(grants, free(total, grants), {})
        for cell in data.draw(st.lists(st.sampled_from(cells), unique=True)):
            now = grants[cell]
            told[cell] = now.granted
            held = held_now(now.granted, now.granted, [told[cell]])
            grants[cell] = Grant(now.target, now.granted, held)
        assert sum(told.values()) <= sum(grant.held for grant in grants.values()) <= total
        assert all(told[cell] <= grants[cell].held for cell in cells)


@given(terms())
def test_once_all_clusters_have_converged_everybody_has_what_is_meant(asked):
    wanted = targets(asked)
    grants = {cell: Grant(amount, 0, 0) for cell, amount in wanted.items()}
    first = next(iter(grants), None)
    if first:
        grants[first] = Grant(wanted[first], asked.total, asked.total)
    for _ in range(3):
        grants = moved(grants, free(asked.total, grants), {})
        grants = {cell: Grant(g.target, g.granted, g.granted) for cell, g in grants.items()}
    assert {cell: grant.granted for cell, grant in grants.items()} == wanted
