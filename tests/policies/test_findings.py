"""Findings: what attachments that only warn or audit let pass is found, shown and resolved."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from prometheus_client import REGISTRY

from policies import watching
from policies.models import Finding, Simulation
from policies.tasks import look, tidy
from reconcile.errors import Unreachable
from reconcile.models import Event, Work
from tenancy.models import Project
from tests.api.conftest import problem
from tests.clusters.steps import hurry, settle
from tests.delivery.conftest import deployed, site
from tests.delivery.samples import component
from tests.people import make_globex
from tests.policies.conftest import attach, make_set
from tests.policies.simulated import HUB, deployment, service

__all__ = ["deployed", "site"]

pytestmark = pytest.mark.django_db


def look_round() -> None:
    """Begin what is due, let it come to its end, and take over what it has found."""
    look()
    for _ in range(6):
        settle()
        hurry()
    look()


def later() -> None:
    """It was looked for an hour ago, and what is there now is found."""
    hour = timedelta(minutes=61)
    Simulation.objects.update(created_at=timezone.now() - hour)
    Finding.objects.update(first_seen=F("first_seen") - hour, last_seen=F("last_seen") - hour)
    look_round()


def found(**which: object) -> list[tuple[str, str, str, bool]]:
    rows = Finding.objects.filter(**which).order_by("name", "rule")
    return [(row.name, row.rule, row.mode, row.resolved_at is None) for row in rows]


@pytest.fixture
def bound(fleet, shop):
    """A set that audits images of the hub, and a Deployment that has one."""
    deployment(fleet, "bad", "nginx:1")
    deployment(fleet, "good", "r.example.org/web:1")
    row = attach(make_set(**HUB), mode="audit")
    settle()
    return row


def test_what_is_let_pass_is_found_with_its_place(bound):
    look_round()
    (row,) = Finding.objects.all()
    assert (row.tenant.name, row.project.name, row.cluster) == ("acme", "shop", "prod-a")
    assert (row.kind, row.name, row.rule, row.mode) == (
        *("Deployment", "bad", "image_registries", "audit"),
    )
    assert (row.policyset_name, row.attachment_name, row.version) == ("strict", "everyone", 1)
    assert row.message == "The image nginx:1 is not allowed here."
    assert row.resolved_at is None and row.first_seen == row.last_seen


def test_it_is_found_once_and_seen_again_after_a_while(bound):
    look_round()
    first = Finding.objects.get()
    assert look() == 0, "it was looked for just now"
    later()
    again = Finding.objects.get()
    assert again.pk == first.pk
    assert again.last_seen - again.first_seen > timedelta(hours=1)
    assert Simulation.objects.count() == 1, "earlier routines go"


def test_what_is_mended_is_resolved_and_comes_back_as_the_same(bound, fleet):
    look_round()
    deployment(fleet, "bad", "r.example.org/nginx:1")
    later()
    assert found() == [("bad", "image_registries", "audit", False)]
    deployment(fleet, "bad", "nginx:2")
    later()
    assert found() == [("bad", "image_registries", "audit", True)]
    assert Finding.objects.get().message == "The image nginx:2 is not allowed here."


def test_a_new_version_is_looked_for_at_once(bound, fleet):
    look_round()
    service(fleet, "open", "NodePort")
    bound.policy_set.refresh_from_db()
    bound.policy_set.rules = {"service_types": ["ClusterIP"]}
    bound.policy_set.declare(by="olga")
    look_round()
    assert found() == [
        ("bad", "image_registries", "audit", False),
        ("open", "service_types", "audit", True),
    ]


def test_what_is_enforced_or_detached_is_found_no_more(bound):
    look_round()
    bound.refresh_from_db()
    bound.promote("olga")
    look()
    assert found() == [("bad", "image_registries", "audit", True)], "warn lets it pass as well"
    bound.promote("olga")
    look()
    assert found() == [("bad", "image_registries", "audit", False)]
    bound.request_deletion(by="olga")
    for _ in range(3):
        settle()
        hurry()
    assert Finding.objects.get().attachment is None, "it outlives the attachment"


def test_what_cannot_be_looked_at_stays_as_it_was(bound, fleet):
    look_round()
    fleet["prod-a"].always(Unreachable("down"))
    past = timezone.now() - timedelta(hours=2)
    Simulation.objects.update(created_at=past)
    look()
    settle()
    Simulation.objects.update(created_at=past)
    hurry()
    assert Simulation.objects.get().state == "failed"
    look()
    assert found() == [("bad", "image_registries", "audit", True)]


def test_an_exception_ends_a_finding(bound):
    look_round()
    bound.make_exception(
        "olga",
        **{"tenant": "acme", "project": "shop", "kind": "image_registries"},
        reason="It moves",
        expires_at=timezone.now() + timedelta(days=9),
    )
    later()
    assert found() == [("bad", "image_registries", "audit", False)]


def test_a_routine_is_silent_and_lets_others_go_first(bound, as_):
    look()
    (routine,) = Simulation.objects.all()
    asked = as_("olga").post("/api/v1/policysets/strict:simulate", {"tenants": ["acme"]})
    assert asked.status_code == 202
    for _ in range(8):
        hurry()
    first = Simulation.objects.get(routine=False).runs.get()
    assert first.finished_at < routine.runs.get().finished_at
    shown = as_("olga").get("/api/v1/policysets/strict/simulations").json()["items"]
    assert [each["uid"] for each in shown] == [asked.json()["uid"]]
    assert Event.objects.filter(reason="SimulationStarted").count() == 1
    assert not Work.objects.filter(kind="policies.simulationrun").exists()
    assert Event.objects.filter(reason="SimulationEnded").count() == 1


def test_few_go_on_at_once_and_who_waits_longest_is_next(shop):
    nobody = {"mode": "audit", "tenant_selector": "stage=none"}
    for name in ("x", "y"):
        attach(make_set(name, **HUB), **nobody)
    for name in ("a", "b", "c"):
        attach(make_set(name, **HUB), mode="audit")
    settle()
    assert (look(), look()) == (watching.AT_ONCE, 0)
    look_round()
    assert [row.policy_set.name for row in Simulation.objects.all()] == ["c", "b", "a"]


def test_what_no_dry_run_tells_is_found_as_well(shop):
    attach(make_set(namespaces={"count": 1}), mode="audit")
    Project(tenant=shop.tenant, name="blog").declare(by="olga")
    settle()
    look_round()
    assert found() == [("acme", "namespaces", "audit", True)]
    assert Finding.objects.get().project is None


def test_a_revision_that_came_in_a_freeze_is_found_until_another_one_comes(shop, deployed):
    always = {"from": "00:00", "until": "23:59", "reason": "By day"}
    night = {"from": "23:58", "until": "00:01", "reason": "By night"}
    attach(make_set(freeze=[always, night]), mode="audit")
    settle()
    look_round()
    assert found() == [], "what came before it was attached is not meant"
    deployed.refresh_from_db()
    deployed.components = [component(image="nginx:2")]
    deployed.declare(by="bob")
    later()
    assert found() == [("site", "freeze", "audit", True)]
    assert "Revision 2 by bob came in a freeze" in Finding.objects.get().message


def test_what_is_over_goes_after_a_while(bound):
    look_round()
    Finding.objects.update(resolved_at=timezone.now() - timedelta(days=91))
    Finding.objects.bulk_create(
        [Finding(**{**_columns(Finding.objects.get()), "key": "other", "resolved_at": None})]
    )
    tidy()
    assert [row.key for row in Finding.objects.all()] == ["other"]


def _columns(row: Finding) -> dict[str, object]:
    names = (field.attname for field in row._meta.concrete_fields)
    return {name: getattr(row, name) for name in names if name not in {"id", "uid"}}


def test_the_metrics_tell_how_many_are_open_by_set_and_mode(bound):
    look_round()

    def told(mode: str) -> float | None:
        labels = {"policyset": "strict", "mode": mode}
        return REGISTRY.get_sample_value("kubenova_policy_findings", labels)

    assert (told("audit"), told("warn")) == (1, 0)
    Finding.objects.update(resolved_at=timezone.now())
    look()
    assert told("audit") == 0


# --- Who sees them.


@pytest.fixture
def both(bound, fleet):
    """A finding of acme and one of globex, on the same cluster."""
    globex = make_globex(placement={"clusters": ["prod-a"]})
    Project(tenant=globex, name="lab").declare(by="olga")
    settle()
    deployment(fleet, "theirs", "nginx:1", namespace="globex--lab")
    bound.refresh_from_db()
    bound.tenants = ["acme", "globex"]
    bound.declare(by="olga")
    settle()
    look_round()


@pytest.mark.parametrize("path", ["/findings", "/policysets/strict/findings"])
def test_each_sees_those_of_their_own_tenants(both, as_, path):
    def names(who: str) -> list[str]:
        return sorted(each["name"] for each in as_(who).get(f"/api/v1{path}").json()["items"])

    assert {who: names(who) for who in ("olga", "alice", "bob", "carol", "charlie")} == {
        "olga": ["bad", "theirs"],
        **{name: ["bad"] for name in ("alice", "bob", "carol")},
        "charlie": ["theirs"],
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("tenant=globex", ["theirs"]),
        ("tenant=acme&project=shop&cluster=prod-a&kind=Deployment", ["bad"]),
        ("mode=warn", []),
        ("mode=audit&rule=image_registries&policyset=strict", ["bad", "theirs"]),
        ("state=resolved", []),
        ("rule=service_types", []),
    ],
)
def test_they_are_narrowed(both, as_, query, names):
    body = as_("olga").get(f"/api/v1/findings?{query}").json()
    assert sorted(each["name"] for each in body["items"]) == names


def test_they_come_in_pages_and_as_a_whole_object(both, as_):
    body = as_("olga").get("/api/v1/findings?limit=1").json()
    assert len(body["items"]) == 1 and body["next"]
    (first,) = as_("alice").get("/api/v1/findings").json()["items"]
    assert {key: first[key] for key in ("tenant", "project", "policyset", "mode")} == {
        **{"tenant": "acme", "project": "shop", "policyset": "strict", "mode": "audit"},
    }
    assert first["resolved_at"] is None


def test_what_is_asked_wrongly_is_told(both, as_):
    problem(as_("olga").get("/api/v1/findings?mode=enforce"), 400, "KN-INVALID")
    problem(as_("olga").get("/api/v1/findings?colour=red"), 400, "KN-INVALID")
    problem(as_("olga").get("/api/v1/policysets/none/findings"), 404, "KN-NOT-FOUND")


def test_who_promotes_is_told_how_many_there_were(both, as_, client, people):
    where = "/api/v1/policysets/strict/attachments/everyone"
    assert as_("olga").get(where).json()["status"]["violations"] == {"open": 2, "total": 2}
    client.force_login(people["olga"])
    page = client.get("/policies/strict/attachments/everyone/promote").content.decode()
    assert "2 violations" in page


def test_the_pages_show_them_and_say_when_there_are_none(both, client, people):
    client.force_login(people["alice"])
    for path in ("/findings", "/policies/strict/findings"):
        page = client.get(path).content.decode()
        assert "The image nginx:1 is not allowed here." in page and "theirs" not in page
        assert "Nothing found" in client.get(f"{path}?state=resolved").content.decode()
        assert "Nothing found" in client.get(f"{path}?mode=nonsense").content.decode()
    assert "/policies/strict/findings" in client.get("/policies/strict").content.decode()


def test_operators_read_them_in_the_admin(both, admin_client):
    assert "bad" in admin_client.get("/admin/policies/finding/").content.decode()
    row = Finding.objects.first()
    page = admin_client.get(f"/admin/policies/finding/{row.pk}/change/")
    assert page.status_code == 200 and 'name="_save"' not in page.content.decode()
