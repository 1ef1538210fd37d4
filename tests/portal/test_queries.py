"""Lists cost the same number of queries for few rows and for many."""

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from delivery.models import App, Workflow, WorkflowRun
from policies.models import PolicySet
from reconcile.models import Decision, Event
from tenancy.models import Project, Tenant
from tests.delivery.flows import step
from tests.delivery.samples import component
from tests.policies.conftest import attach, make_set
from tests.portal.conftest import As
from tests.tenancy.differences import differing

PATHS = {
    "home": "/",
    "tenants": "/tenants",
    "tenant": "/tenants/acme",
    "members": "/tenants/acme/members",
    "tenant-activity": "/tenants/acme/activity",
    "project": "/tenants/acme/projects/shop",
    "apps": "/apps",
    "app": "/tenants/acme/projects/shop/apps/site",
    "workflows": "/tenants/acme/projects/shop/workflows",
    "workflow": "/tenants/acme/projects/shop/workflows/flow",
    "policies": "/policies",
    "policy": "/policies/first",
    "revisions": "/tenants/acme/projects/shop/apps/site/revisions",
    "activity": "/activity",
    "drift": "/drift",
    "definitions": "/definitions",
    "search": "/search?q=e",
    "clusters": "/clusters",
    "grants": "/grants",
    "audit": "/audit",
}


def test_more_rows_cost_no_more_queries(site, acme, prod, fleet, as_: As) -> None:
    client = as_("olga")
    flow(site, "flow").run("bob")
    make_set("first")
    make(acme, site, 1)
    few = {name: queries_of(client, path) for name, path in PATHS.items()}
    make(acme, site, 4)
    fleet.register("prod-b")
    assert {name: queries_of(client, path) for name, path in PATHS.items()} == few


def flow(site: App, name: str) -> Workflow:
    """A workflow of its project that waits for an approval."""
    row = Workflow(project=site.project, name=name, steps=[step("approve", "suspend")])
    row.declare(by="bob")
    return row


def queries_of(client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def make(acme: Tenant, site: App, count: int) -> None:
    """So many tenants, projects, apps, revisions and events more."""
    for number in range(count):
        word = f"{count}e{number}"
        Tenant(name=word, placement={"clusters": ["prod-a"]}).declare(by="olga")
        Project(tenant=acme, name=word).declare(by="alice")
        App(project=site.project, name=word, components=[component(f"c{word}")]).declare(by="bob")
        Event.record(site.placements.get(), "Noted", "…")
        differing(site.placements.get(), f".spec.x{word}")
        differing(site.placements.get(), ".spec.x", name=word)
        differing(site.placements.get(), ".spec.x", resolution="repaired", resolved_at=now())
        Decision.ignore(site, "bob", reason="…", pointer=f"/spec/{word}")
        flow(site, word).run("bob")
        WorkflowRun.objects.get(workflow__name="flow", finished_at=None).terminate("bob")
        Workflow.objects.get(name="flow").run("bob")
        attach(make_set(word))
        attach(PolicySet.objects.get(name="first"), word, tenants=[word])
        row = App.objects.get(pk=site.pk)
        row.components = [component(image=f"nginx:{word}")]
        row.declare(by="bob")
