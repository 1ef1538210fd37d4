"""Lists: pages by cursor, filters and orders by allow-lists, label selectors (A29, A30)."""

import base64
from itertools import product
from urllib.parse import urlsplit

import pytest

from reconcile.api.filters import select
from reconcile.selectors import Selector
from tenancy.models import Project, Tenant
from tests.api.conftest import problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def seven(db):
    for number in range(7):
        labels = {"even": str(number % 2 == 0).lower(), "n": str(number)}
        Tenant(name=f"t-{number}", labels=labels).declare(by="olga")


def names(answer):
    assert answer.status_code == 200, answer.content
    return [each["name"] for each in answer.json()["items"]]


def walk(api, url, link="next"):
    found = []
    while url:
        page = api.get(url).json()
        found.append([each["name"] for each in page["items"]])
        url = page[link] and "?".join(urlsplit(page[link])[2:4])
        last = page
    return found, last


def test_pages_follow_each_other_and_back(as_olga, seven):
    pages, last = walk(as_olga, "/api/v1/tenants?limit=3")
    assert pages == [["t-0", "t-1", "t-2"], ["t-3", "t-4", "t-5"], ["t-6"]]
    assert set(last) == {"items", "next", "previous"} and last["next"] is None
    back, _ = walk(as_olga, last["previous"].removeprefix("http://testserver"), "previous")
    assert back == [["t-3", "t-4", "t-5"], ["t-0", "t-1", "t-2"]]


def test_pages_stay_true_while_rows_come_and_go(as_olga, seven):
    first = as_olga.get("/api/v1/tenants?limit=3").json()
    Tenant(name="t-00").declare(by="olga")
    Tenant.objects.filter(name="t-1").delete()
    assert names(as_olga.get(first["next"])) == ["t-3", "t-4", "t-5"]


def test_pages_keep_equal_names_apart(as_olga):
    for number in range(5):
        tenant = Tenant(name=f"t-{number}")
        tenant.declare(by="olga")
        Project(tenant=tenant, name="shop").declare(by="olga")
    seen, url = [], "/api/v1/projects?limit=2"
    while url:
        page = as_olga.get(url).json()
        seen += [each["tenant"] for each in page["items"]]
        url = page["next"]
    assert seen == [f"t-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("ordering", "wanted"),
    [("name", "t-0"), ("-name", "t-6"), ("created_at", "t-0"), ("-created_at", "t-6")],
)
def test_it_orders_by_an_allow_list(as_olga, seven, ordering, wanted):
    pages, _ = walk(as_olga, f"/api/v1/tenants?ordering={ordering}&limit=2")
    flat = [name for page in pages for name in page]
    assert flat[0] == wanted and sorted(flat) == [f"t-{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ("even=true", [0, 2, 4, 6]),
        ("even!=true", [1, 3, 5]),
        ("n in (1,4)", [1, 4]),
        ("n notin (0,1,2,3)", [4, 5, 6]),
        ("even=true,n in (1,4)", [4]),
        ("missing", []),
        ("!missing", [0, 1, 2, 3, 4, 5, 6]),
        ("n=9", []),
    ],
)
def test_it_selects_by_labels(as_olga, seven, selector, wanted):
    found = names(as_olga.get("/api/v1/tenants", {"labelSelector": selector}))
    assert found == [f"t-{number}" for number in wanted]


LABELS = [
    {},
    {"a": "b"},
    {"a": ""},
    {"a": "c", "d": "e"},
    {"123": "4"},
    {"x__in": "y"},
    {"example.org/a.b": "c"},
    {"0": "0"},
]
SELECTORS = [
    "a=b",
    "a=",
    "a!=b",
    "a",
    "!a",
    "a in (b,c)",
    "a notin (b,c)",
    "d=e,a",
    "123=4",
    "0",
    "!123",
    "x__in=y",
    "x__in!=y",
    "example.org/a.b=c",
    "!example.org/a.b",
    "a in ()",
]


@pytest.mark.parametrize("selector", SELECTORS)
def test_the_database_selects_what_the_selector_matches(selector):
    """One law for both: keys of digits, with dots, with Django's own separators."""
    for number, labels in enumerate(LABELS):
        Tenant(name=f"t-{number}", labels=labels).declare(by="olga")
    parsed = Selector.parse(selector)
    found = set(select(Tenant.objects.all(), parsed).values_list("name", flat=True))
    assert found == {f"t-{n}" for n, labels in enumerate(LABELS) if parsed.matches(labels)}


def test_filters_join(as_olga, seven):
    Tenant.objects.get(name="t-2").request_deletion(by="olga")
    Tenant.objects.filter(name="t-4").update(phase="Deployed")
    query = {"labelSelector": "even=true"}
    assert names(as_olga.get("/api/v1/tenants", {**query, "deleting": "true"})) == ["t-2"]
    assert names(as_olga.get("/api/v1/tenants", {**query, "phase": "Deployed"})) == ["t-4"]
    assert names(
        as_olga.get("/api/v1/tenants", {**query, "phase": "Pending", "deleting": "false"})
    ) == ["t-0", "t-6"]


def cursor(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "501"), ("limit", "-1"), ("limit", "1e9"),
        ("limit", "999999999999"),
        ("limit", ""), ("limit", "٣"), ("limit", "2.5"),
        ("cursor", "!!"), ("cursor", ""), ("cursor", "AAAA"), ("cursor", "ü"), ("cursor", "A"),
        ("cursor", cursor("o=x")), ("cursor", cursor("r=x")), ("cursor", cursor("p=a%00b")),
        ("ordering", "phase"), ("ordering", "password"), ("ordering", ""), ("ordering", "--name"),
        ("ordering", "members__password"), ("ordering", "name,created_at"), ("ordering", "?"),
        ("ordering", "labels__a"), ("ordering", "name "),
        ("labelSelector", ""), ("labelSelector", "a),x notin (z"), ("labelSelector", "a=b;"),
        ("labelSelector", "a" * 5000),
        ("phase", "deployed"), ("phase", "Deployed' OR 1=1"), ("phase", "\x00"),
        ("deleting", "yes"), ("deleting", "True"), ("deleting", "1"),
    ],
)  # fmt: skip
def test_a32_a_value_that_fits_no_parameter_is_refused(as_olga, seven, name, value):
    body = problem(as_olga.get("/api/v1/tenants", {name: value}), 400, "KN-INVALID")
    assert [each["parameter"] for each in body["errors"]] == [name]


def test_a32_a_position_that_is_no_time_is_refused(as_olga, seven):
    query = {"ordering": "created_at", "cursor": cursor("p=yesterday")}
    problem(as_olga.get("/api/v1/tenants", query), 400, "KN-INVALID")


_PATHS = [
    "members",
    "memberships",
    "memberships__user",
    "members__password",
    "projects__name",
    "pk",
    "id",
    "uid",
    "labels",
    "name",
    "declared_by",
    "placements__cluster__name",
    "_connector",
    "_negated",
]
_LOOKUPS = ["", "__startswith", "__regex", "__isnull", "__in", "__gt"]


@pytest.mark.parametrize("name", [f"{path}{lookup}" for path, lookup in product(_PATHS, _LOOKUPS)])
def test_a29_a_parameter_that_is_none_is_named(as_olga, seven, name):
    body = problem(as_olga.get("/api/v1/tenants", {name: "a"}), 400, "KN-INVALID")
    (error,) = body["errors"]
    assert (error["code"], error["parameter"]) == ("unknown", name)
    assert error["detail"].startswith("There is no such parameter. ")


def test_a_parameter_that_is_misspelt_is_told_the_right_one(as_olga, seven):
    body = problem(as_olga.get("/api/v1/tenants", {"phas": "Pending"}), 400, "KN-INVALID")
    assert body["errors"][0]["detail"] == "There is no such parameter. Did you mean phase?"


def test_a_parameter_given_twice_is_refused(as_olga, seven):
    problem(as_olga.get("/api/v1/tenants?phase=Pending&phase=Error"), 400, "KN-INVALID")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_parameters_of_lists_are_none_of_single_objects(as_olga, seven, method):
    args = () if method in {"get", "delete"} else ({},)
    problem(getattr(as_olga, method)("/api/v1/tenants/t-1?limit=3", *args), 400, "KN-INVALID")
