"""The ledger and the use of a quota over HTTP and on pages, and how use is written down."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
import time_machine
from django.apps import apps
from django.utils import timezone

from clusters.kinds import RESOURCE_QUOTA
from kubenova.schedules import wanted
from reconcile.values import Ref
from tenancy.models import Project, ProjectPlacement, QuotaEntry, Tenant, UsageSample
from tenancy.rules.trends import Reading, Trend
from tenancy.tasks import SCHEDULES, sample, tidy
from tests.api.conftest import problem, signed_in
from tests.clusters.steps import settle
from tests.fleet import fleet
from tests.people import make_acme, make_globex, person

__all__ = ["fleet"]
pytestmark = pytest.mark.django_db

CPU = "requests.cpu"
ACME = "/api/v1/tenants/acme"


@pytest.fixture
def acme(fleet, olga) -> Tenant:
    """acme with ten CPUs on two clusters: six for shop, the rest for blog; shop uses one."""
    for name in ("prod-a", "prod-b"):
        fleet.register(name)
    tenant = make_acme(
        placement={"clusters": ["prod-a", "prod-b"]},
        quota={CPU: "10"},
        quota_floors={"prod-a": {CPU: "4"}},
    )
    Project(tenant=tenant, name="shop", quota={CPU: "6"}).declare(by="alice")
    Project(tenant=tenant, name="blog").declare(by="alice")
    settle()
    hard = QuotaEntry.objects.get(project__name="shop", cluster__name="prod-a").granted
    ref = Ref(RESOURCE_QUOTA, "acme--shop", "kubenova")
    fleet["prod-a"].set_status(ref, {"hard": {CPU: hard}, "used": {CPU: "1"}})
    ProjectPlacement.objects.get(project__name="shop", cluster__name="prod-a").mark()
    settle()
    return tenant


def get(user: str, path: str) -> dict:
    answer = signed_in(person(user)).get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()


def shown(client, user: str, path: str) -> str:
    client.force_login(person(user))
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


# --- The ledger.


def test_the_ledger_tells_each_resource_by_project_and_cluster(acme):
    body = get("carol", f"{ACME}/quota")
    assert (body["division"], body["moving"]) == ("even", [])
    (line,) = body["resources"]
    told = [line[name] for name in ("total", "promised", "granted", "held", "used", "available")]
    assert told == ["10", "6", "10", "10", "1", "4"]
    assert line["projects"] == [
        {"name": "blog", "promised": "", "granted": "4", "used": "0"},
        {"name": "shop", "promised": "6", "granted": "6", "used": "1"},
    ]
    assert line["clusters"] == [
        {"name": "prod-a", "promised": "4", "granted": "7", "used": "1"},
        {"name": "prod-b", "promised": "", "granted": "3", "used": "0"},
    ]


def test_what_moves_is_told_with_the_reason(acme):
    QuotaEntry.objects.filter(project__name="blog", cluster__name="prod-b").update(granted="0")
    (part,) = get("alice", f"{ACME}/quota")["moving"]
    assert (part["project"], part["cluster"], part["namespace"]) == ("blog", "prod-b", "acme--blog")
    assert part["why"] == "prod-b was told 0 and may still allow 1200m."


def test_entries_are_listed_in_pages_and_narrowed(acme):
    first = get("carol", f"{ACME}/quota/entries?limit=3")
    rest = get("carol", first["next"].removeprefix("http://testserver"))
    assert (len(first["items"]), len(rest["items"])) == (3, 1)
    found = get("carol", f"{ACME}/quota/entries?cluster=prod-a&project=shop&resource={CPU}")
    (entry,) = found["items"]
    assert (entry["granted"], entry["target"], entry["held"]) == ("4200m", "4200m", "4200m")


@pytest.mark.parametrize("path", ["/api/v1/projects/shop/quota", f"{ACME}/projects/shop/quota"])
def test_a_project_tells_its_part_and_nothing_of_its_siblings(acme, path):
    body = get("bob", path)
    assert {part["project"] for part in body["parts"]} == {"shop"}
    assert [part["cluster"] for part in body["parts"]] == ["prod-a", "prod-b"]
    assert [line["total"] for line in body["resources"]] == ["6"]


@pytest.mark.parametrize("below", ["quota", "quota/entries", "usage", "projects/shop/quota"])
def test_strangers_find_nothing(acme, below):
    make_globex()
    answer = signed_in(person("charlie")).get(f"{ACME}/{below}")
    problem(answer, 404, "KN-NOT-FOUND")


def test_a_ledger_costs_so_many_queries_however_large_it_is(
    acme, django_assert_max_num_queries, django_assert_num_queries
):
    client = signed_in(person("carol"))
    client.get(f"{ACME}/quota")
    with django_assert_max_num_queries(12) as first:
        client.get(f"{ACME}/quota")
    for name in ("cart", "wiki"):
        Project(tenant=acme, name=name).declare(by="alice")
    settle()
    with django_assert_num_queries(len(first.captured_queries)):
        client.get(f"{ACME}/quota")


def test_the_eleventh_cpu_is_refused_with_the_numbers(acme):
    client = signed_in(person("alice"))
    body = {"name": "wiki", "quota": {CPU: "5"}}
    found = problem(client.post(f"{ACME}/projects", body, format="json"), 422, "KN-QUOTA")
    assert found["ledger"] == [
        {
            "resource": CPU,
            "total": "10",
            "promised": [
                {"project": "shop", "amount": "6"},
                {"cluster": "prod-a", "amount": "4"},
            ],
            "available": "4",
        }
    ]
    assert [each["pointer"] for each in found["errors"]] == [f"/quota/{CPU}"]
    assert not Project.objects.filter(name="wiki").exists()


def test_a_plan_of_too_much_is_refused_as_well(acme):
    body = {"quota": {CPU: "5"}}
    answer = signed_in(person("olga")).patch(f"{ACME}?dryRun=plan", body, format="json")
    problem(answer, 422, "KN-QUOTA")
    assert Tenant.objects.get().quota == {CPU: "10"}


# --- Use over time.


def test_what_is_used_is_written_down_once_a_minute(acme):
    with time_machine.travel(datetime(2030, 1, 1, 12, 0, 20, tzinfo=UTC), tick=False) as clock:
        assert sample() == 2
        clock.shift(20)
        sample()
        assert UsageSample.objects.count() == 2
        clock.shift(60)
        sample()
    rows = UsageSample.objects.filter(cluster__name="prod-a").values_list("used", "hard")
    assert list(rows) == [("1", "7"), ("1", "7")]


def test_it_samples_only_tenants_with_a_quota(acme):
    make_globex()
    sample()
    assert set(UsageSample.objects.values_list("tenant__name", flat=True)) == {"acme"}


def test_what_was_written_down_goes_after_so_many_days(acme, settings):
    settings.USAGE_DAYS = 3
    sample()
    UsageSample.objects.filter(cluster__name="prod-a").update(at=timezone.now() - timedelta(days=4))
    assert tidy() == 1
    assert UsageSample.objects.get().cluster.name == "prod-b"


def test_the_queue_samples_and_tidies():
    assert set(SCHEDULES) <= set(wanted().items())


def test_usage_is_listed_newest_first_and_narrowed(acme):
    now = timezone.now().replace(microsecond=0)
    for hours in (3, 2, 1):
        with time_machine.travel(now - timedelta(hours=hours), tick=False):
            sample()
    since = (now - timedelta(hours=2, minutes=30)).isoformat().replace("+00:00", "Z")
    body = get("carol", f"{ACME}/usage?cluster=prod-a&resource={CPU}&since={since}")
    assert [each["used"] for each in body["items"]] == ["1", "1"]
    times = [each["at"] for each in body["items"]]
    assert times == sorted(times, reverse=True)


def test_a_time_that_is_none_is_refused(acme):
    answer = signed_in(person("carol")).get(f"{ACME}/usage?since=yesterday")
    assert problem(answer, 400, "KN-INVALID")["errors"][0]["parameter"] == "since"


def test_a_trend_is_a_line_and_words():
    found = Trend(
        "prod-a", CPU, [Reading(0, "0", "4"), Reading(60, "2", "4"), Reading(120, "1", "4")]
    )
    assert found.points == "0.0,40.0 120.0,20.0 240.0,30.0"
    assert found.text == "requests.cpu on prod-a: 1 of 4 used now, between 0 and 2 before."
    assert (found.now, found.peak) == ("1 of 4", "2")


def test_a_long_trend_is_thinned_and_an_empty_one_is_told():
    long = Trend("prod-a", "pods", [Reading(at, "1", "4") for at in range(1000)])
    assert len(long.points.split()) <= 121
    assert long.points.endswith("240.0,30.0")
    empty = Trend("prod-a", "pods", [])
    assert (empty.points, empty.now) == ("", "")
    assert "nothing was counted" in empty.text


# --- Pages.


def test_the_page_of_a_tenant_shows_the_ledger(acme, client):
    page = shown(client, "carol", "/tenants/acme")
    assert "1 of 10" in page
    assert "The total over all clusters is 10. 4 can be promised to projects" in page


def test_the_page_says_what_moves(acme, client):
    QuotaEntry.objects.filter(project__name="blog", cluster__name="prod-b").update(granted="0")
    assert "prod-b was told 0 and may still allow 1200m." in shown(client, "bob", "/tenants/acme")


def test_the_page_of_a_project_shows_its_part(acme, client):
    page = shown(client, "carol", "/tenants/acme/projects/shop")
    assert "The project's own total over all its clusters is 6." in page
    assert "blog" not in page.partition('id="ledger"')[2].partition("On the move")[0]


def test_the_page_of_usage_draws_without_scripts_or_styles(acme, client):
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        sample()
    sample()
    page = shown(client, "carol", "/tenants/acme/usage")
    assert page.count("<polyline") == 2
    assert "requests.cpu on prod-a: 1 of 7 used now, between 1 and 1 before." in page
    assert "style=" not in page.partition('id="main"')[2]


def test_the_page_of_usage_is_empty_at_first_and_closed_to_strangers(acme, client):
    assert "Nothing has been counted yet" in shown(client, "bob", "/tenants/acme/usage?period=ages")
    make_globex()
    client.force_login(person("charlie"))
    assert client.get("/tenants/acme/usage").status_code == 404


@pytest.mark.parametrize("kind", ["quotaentry", "usagesample"])
def test_operators_read_it_in_the_admin(acme, client, kind):
    sample()
    assert CPU in shown(client, "olga", f"/admin/tenancy/{kind}/")
    assert client.get(f"/admin/tenancy/{kind}/add/").status_code == 403


# --- Where there was no ledger.


def test_what_was_told_before_there_was_a_ledger_begins_it(acme):
    QuotaEntry.objects.all().delete()
    begin = import_module("tenancy.migrations.0005_ledger_entries").begin
    begin(apps, None)
    assert set(QuotaEntry.objects.values_list("held", flat=True)) == {"5000m"}
    settle()
    assert sum(row.amount("held") for row in QuotaEntry.objects.all()) == 10_000
