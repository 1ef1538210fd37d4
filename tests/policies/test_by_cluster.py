"""Attachments that hold on some clusters alone: from their names and labels to the ConfigMaps."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Capability, Cluster
from delivery.models import App, AppPlacement
from policies.models import Attachment, Imposition, PolicySet
from policies.tasks import look
from reconcile.models import Event, Work
from reconcile.refusals import Conflicting
from tenancy.models import Project, Tenant, TenantPlacement
from tests.api.conftest import pointers, problem
from tests.clusters.steps import hurry, settle
from tests.delivery.samples import component
from tests.people import make_globex
from tests.policies.conftest import SETS, attach, make_set, parameters
from tests.policies.simulated import HUB, deployment
from tests.policies.test_findings import found, later, look_round

pytestmark = pytest.mark.django_db
INSIDE = {"service_types": "ClusterIP"}
RULES = {"service_types": ["ClusterIP"]}
FREEZE = [{"from": "fri 16:00", "until": "mon 07:00", "reason": "Nobody is there."}]


@pytest.fixture
def pair(fleet, shop, acme):
    """acme and its shop on two clusters, of which prod-b is in the EU."""
    fleet.register("prod-b", labels={"region": "eu"})
    acme.refresh_from_db()
    acme.placement = {"clusters": ["prod-a", "prod-b"]}
    acme.declare(by="olga")
    settle()
    return acme


def rest() -> None:
    settle()
    hurry()
    settle()


def told(fleet, mode: str = "", namespace: str = "acme--shop") -> tuple:
    return tuple(parameters(fleet, mode, namespace, name) for name in ("prod-a", "prod-b"))


def relabel(name: str, **labels: str) -> None:
    row = Cluster.objects.get(name=name)
    row.labels = labels
    row.declare(by="olga")


def test_one_set_audits_on_one_cluster_and_is_enforced_on_the_other(fleet, pair):
    strict = make_set(**RULES)
    hard = attach(strict, "hard", clusters=["prod-a"])
    soft = attach(strict, "soft", mode="audit", cluster_selector="region=eu")
    rest()
    assert told(fleet) == (INSIDE, {})
    assert told(fleet, "audit") == (None, INSIDE)
    assert {Attachment.objects.get(pk=row.pk).phase for row in (hard, soft)} == {"Deployed"}

    hard.request_deletion(by="olga")
    soft.request_deletion(by="olga")
    rest()
    assert told(fleet) == ({}, {}) and told(fleet, "audit") == (None, None)
    assert not Attachment.objects.exists()
    pair.refresh_from_db()
    assert (pair.imposed, pair.imposed_on) == ({}, {})


def test_a_label_of_a_cluster_takes_it_over(fleet, pair):
    attach(make_set(**RULES), cluster_selector="region=eu")
    rest()
    assert told(fleet) == ({}, INSIDE)
    relabel("prod-a", region="eu")
    relabel("prod-b", region="us")
    rest()
    assert told(fleet) == (INSIDE, {})


def test_who_is_on_none_of_its_clusters_is_bound_once_a_label_brings_one(fleet, shop, acme):
    row = attach(make_set(**RULES), cluster_selector="region=eu")
    rest()
    assert not row.impositions.exists() and parameters(fleet) == {}
    relabel("prod-a", region="eu")
    rest()
    assert row.impositions.get().tenant == acme and parameters(fleet) == INSIDE
    relabel("prod-a")
    rest()
    assert not row.impositions.exists() and parameters(fleet) == {}


def test_each_of_two_tenants_is_bound_where_its_own_attachment_says(fleet, pair):
    globex = make_globex(placement={"clusters": ["prod-a", "prod-b"]})
    Project(tenant=globex, name="site").declare(by="charlie")
    strict = make_set(**RULES)
    attach(strict, "acmes", clusters=["prod-a"])
    attach(strict, "others", tenants=["globex"], clusters=["prod-b"])
    rest()
    assert told(fleet) == (INSIDE, {})
    assert told(fleet, namespace="globex--site") == ({}, INSIDE)


def test_a_project_by_name_and_its_sibling_differ_on_that_cluster_alone(fleet, pair):
    Project(tenant=pair, name="blog").declare(by="alice")
    attach(make_set(**RULES), projects=["acme/blog"], clusters=["prod-b"])
    rest()
    assert told(fleet) == ({}, {})
    assert told(fleet, namespace="acme--blog") == ({}, INSIDE)


def test_the_tenant_itself_and_its_apps_are_told_by_cluster(fleet, pair):
    rules = {**RULES, "node_selector": {"pool": "eu"}}
    spared = attach(make_set(**rules), clusters=["prod-b"])
    App(project=Project.objects.get(), name="site", components=[component()]).declare(by="alice")
    rest()
    tenants = {row.cluster.name: row.intent().restrictions for row in TenantPlacement.objects.all()}
    assert tenants == {"prod-a": {}, "prod-b": rules}
    apps = {row.cluster.name: row.intent().node_selector for row in AppPlacement.objects.all()}
    assert apps == {"prod-a": {}, "prod-b": {"pool": "eu"}}

    spared.make_exception(
        "olga",
        tenant="acme",
        project="shop",
        kind="service_types",
        reason="An old load balancer.",
        expires_at=timezone.now() + timedelta(hours=1),
    )
    rest()
    pair.refresh_from_db()
    assert pair.in_force("prod-b") == rules
    assert pair.everywhere("prod-b") == {"node_selector": {"pool": "eu"}}
    assert told(fleet) == ({}, {"node_selector": "pool=eu"})


def test_nothing_comes_to_a_cluster_before_what_binds_it_there(fleet, shop, acme):
    attach(make_set(**RULES), clusters=["prod-a"], cluster_selector="region=eu", tenants=["acme"])
    acme.refresh_from_db()
    acme.placement = {"clusters": ["prod-a"], "selector": {"region": "eu"}}
    acme.declare(by="olga")
    rest()
    fleet.declare("prod-b", labels={"region": "eu"})
    settle_only(acme)
    acme.refresh_from_db()
    assert acme.in_force("prod-b") == RULES, "known in the transaction that places it there"
    rest()
    assert told(fleet) == (INSIDE, INSIDE)


def settle_only(row: Tenant) -> None:
    """One step of a row, and of no other."""
    lease = Work.objects.claim(row.enlist().pk)
    Tenant.objects.get(pk=row.pk).step(lease)


def test_a_tenant_that_leaves_the_cluster_is_bound_no_more(fleet, pair):
    row = attach(make_set(**RULES), clusters=["prod-b"])
    rest()
    pair.refresh_from_db()
    pair.placement = {"clusters": ["prod-a"]}
    pair.declare(by="olga")
    rest()
    pair.refresh_from_db()
    assert pair.imposed_on == {} and not row.impositions.exists()


def test_what_holds_on_one_cluster_is_written_there_alone(fleet, pair):
    rest()
    for name in ("prod-a", "prod-b"):
        fleet[name].writes.clear()
    attach(make_set(**RULES), clusters=["prod-b"])
    rest()
    assert fleet["prod-a"].writes == []
    assert [ref.name for _, ref in fleet["prod-b"].writes] == ["kubenova-rules"]
    (event,) = Event.objects.filter(reason="PoliciesChanged")
    assert event.message == "Policies bind Tenant acme: on prod-b enforce service_types."


def test_attachments_without_clusters_write_nothing_more(fleet, pair):
    """As after an upgrade: all that was resolved before resolves to the same."""
    attach(make_set(**RULES), every_tenant=True)
    rest()
    pair.refresh_from_db()
    assert (pair.imposed, pair.imposed_on) == ({"enforce": RULES}, {})
    for name in ("prod-a", "prod-b"):
        fleet[name].writes.clear()
    Work.objects.all().mark()
    rest()
    assert fleet["prod-a"].writes == fleet["prod-b"].writes == []
    assert Project.objects.get().imposed_on == {}


# --- What is refused.


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"clusters": ["nowhere"]}, "/clusters", id="no such cluster"),
        pytest.param({"clusters": "prod-a"}, "/clusters", id="no list"),
        pytest.param({"clusters": ["prod-a", "prod-a"]}, "/clusters", id="twice"),
        pytest.param({"clusters": ["Bad_Name"]}, "/clusters/0", id="no name"),
        pytest.param({"cluster_selector": "a b"}, "/cluster_selector", id="no selector"),
        pytest.param({"cluster": ["prod-a"]}, "/cluster", id="no such field"),
    ],
)
def test_what_is_wrong_with_clusters_is_pointed_at(as_, acme, body, pointer):
    make_set()
    answer = as_("olga").post(
        f"{SETS}/strict/attachments", {"name": "x", "tenants": ["acme"], **body}
    )
    assert pointers(problem(answer, 400, "KN-INVALID")) == [pointer]


@pytest.mark.parametrize(
    ("rules", "where", "pointer"),
    [
        pytest.param({"freeze": FREEZE}, {"clusters": ["prod-a"]}, "/clusters", id="freeze"),
        pytest.param(
            {"namespaces": {"count": 3}},
            {"cluster_selector": "region=eu"},
            "/cluster_selector",
            id="namespaces",
        ),
    ],
)
def test_kinds_that_hold_on_every_cluster_are_refused_beside_some(as_, acme, rules, where, pointer):
    make_set(**rules)
    body = {"name": "x", "mode": "audit", "tenants": ["acme"], **where}
    found = problem(as_("olga").post(f"{SETS}/strict/attachments", body), 400, "KN-INVALID")
    assert pointers(found) == [pointer]
    assert f"The rule {next(iter(rules))} cannot hold on some clusters alone" in found["detail"]
    assert not Attachment.objects.exists()


def test_a_set_that_is_attached_to_some_clusters_takes_no_such_kind_later(as_, acme):
    attach(make_set(), clusters=["prod-a"])
    answer = as_("olga").patch(f"{SETS}/strict", {"rules": {"freeze": FREEZE}})
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/rules/freeze"]
    assert PolicySet.objects.get().version == 1


def test_a_cluster_that_is_named_may_go_and_its_name_stays(fleet, acme):
    fleet.register("prod-b")
    row = attach(make_set(), clusters=["prod-b"])
    Cluster.objects.get(name="prod-b").abandon("olga")
    row.refresh_from_db()
    row.mode = "warn"
    assert row.declare("olga")


def test_a_contradiction_counts_only_where_both_hold(fleet, pair):
    attach(make_set("one", node_selector={"pool": "a"}), clusters=["prod-a"])
    two = make_set("two", node_selector={"pool": "b"})
    attach(two, clusters=["prod-b"])
    with pytest.raises(Conflicting, match="set one"):
        attach(two, "again", clusters=["prod-a"])
    pair.refresh_from_db()
    pair.restrictions = {"node_selector": {"pool": "c"}}
    with pytest.raises(Conflicting, match="Tenant acme and policy set"):
        pair.declare("olga")


def test_a_cluster_that_cannot_warn_refuses_only_what_would_hold_there(as_, fleet, pair):
    old = Cluster.objects.get(name="prod-b")
    Capability.objects.filter(name__startswith="baseline.", cluster=old).delete()
    Capability.objects.create(cluster=old, name="baseline.4", served=True, version="4")
    make_set()
    where = f"{SETS}/strict/attachments"
    body = {"name": "soft", "mode": "warn", "tenants": ["acme"]}
    for places in ({}, {"clusters": ["prod-b"]}, {"cluster_selector": "region=eu"}):
        found = problem(as_("olga").post(where, {**body, **places}), 422, "KN-CAPABILITY")
        assert [each["cluster"] for each in found["unmet"]] == ["prod-b"]
    assert as_("olga").post(where, {**body, "clusters": ["prod-a"]}).status_code == 201


def test_a_network_rule_is_judged_by_what_holds_on_each_cluster(as_, fleet, pair):
    attach(make_set(network={"egress_cidrs": ["10.0.0.0/8"]}), clusters=["prod-b"])
    rest()
    wide = [{"direction": "egress", "peers": [{"cidr": "11.0.0.0/8"}]}]
    answer = as_("olga").patch("/api/v1/tenants/acme/projects/shop", {"network": wide})
    found = problem(answer, 409, "KN-CONFLICT")
    assert "policy set strict, version 1" in found["detail"]
    assert pointers(found) == ["/network/0"]


# --- Who sees what of it.


def test_its_people_learn_of_their_own_clusters_alone(as_, fleet, pair):
    fleet.register("hidden", labels={"region": "eu"})
    row = attach(make_set(), clusters=["hidden", "prod-a"])
    rest()
    for name in ("alice", "bob"):
        for path in ("/policies", "/projects/shop/policies"):
            answer = as_(name).get(f"/api/v1/tenants/acme{path}")
            assert answer.status_code == 200
            assert "hidden" not in answer.content.decode()
            found = answer.json()
            assert found["enforce"] == []
            (there,) = found["elsewhere"]
            assert (there["clusters"], there["enforce"][0]["kind"]) == (
                *(["prod-a"], "service_types"),
            )
            assert found["attachments"][0]["clusters"] == ["prod-a"]
    shown = as_("olga").get(f"{SETS}/strict/attachments/{row.name}").json()
    assert (shown["clusters"], shown["cluster_selector"]) == (["hidden", "prod-a"], "")
    assert as_("charlie").get(f"{SETS}/strict/attachments/{row.name}").status_code == 404


# --- What a plan shows.


def test_a_plan_shows_what_would_change_on_its_clusters_alone(as_, fleet, pair):
    make_set()
    body = {"name": "eu", "mode": "enforce", "tenants": ["acme"], "cluster_selector": "region=eu"}
    plan = as_("olga").post(f"{SETS}/strict/attachments?dryRun=plan", body).json()
    changed = {each["cluster"]: each["objects"] for each in plan["clusters"] if each["objects"]}
    assert list(changed) == ["prod-b"]
    assert [each["kind"] for each in changed["prod-b"]] == ["ConfigMap"]
    rest()
    pair.refresh_from_db()
    assert not Attachment.objects.exists() and pair.imposed_on == {}


# --- What simulations and findings look at.


def test_it_is_simulated_and_looked_for_where_it_holds(as_, fleet, pair):
    attach(make_set(), "soft", mode="audit", clusters=["prod-b"])
    rest()
    body = {"attachment": "soft"}
    begun = as_("olga").post(f"{SETS}/strict:simulate", body)
    assert begun.status_code == 202, begun.content
    assert [each["cluster"] for each in begun.json()["clusters"]] == ["prod-b"]
    assert look() == 1
    runs = PolicySet.objects.get().simulations.get(routine=True).runs.all()
    assert [run.cluster.name for run in runs] == ["prod-b"]


def test_what_it_let_pass_is_over_once_it_holds_there_no_more(fleet, pair):
    deployment(fleet, "bad", "nginx:1")
    relabel("prod-a", stage="test")
    attach(make_set(**HUB), mode="audit", cluster_selector="stage=test")
    rest()
    look_round()
    assert found() == [("bad", "image_registries", "audit", True)]
    relabel("prod-a")
    later()
    assert found() == [("bad", "image_registries", "audit", False)]


def test_nobody_on_its_clusters_is_nobody_to_simulate_it_for(as_, fleet, acme):
    fleet.register("prod-b")
    attach(make_set(), "soft", mode="audit", clusters=["prod-b"])
    answer = as_("olga").post(f"{SETS}/strict:simulate", {"attachment": "soft"})
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/tenants"]
    assert not Imposition.objects.filter(attachments__isnull=False).exists()
