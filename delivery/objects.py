"""Pages of what an app has on its clusters, and of one component with what happened to it."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from delivery.happenings import happenings_of
from delivery.logs import Wanted
from delivery.models import App
from delivery.topology import Branch, ClusterTree, topology, tree_on
from delivery.views import app_frame, find_app
from reconcile.pages.finding import PageRequest, page
from reconcile.refusals import Refusal
from reconcile.values import JSON


@require_safe
@page
def app_objects(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """Cluster by cluster and component by component, which objects there are."""
    row = find_app(request, "view", tenant, project, app)
    context = {**app_frame(request, row, "objects"), "trees": topology(row)}
    return render(request, "delivery/app_objects.html", context)


@require_safe
@page
def app_component(
    request: PageRequest, tenant: str, project: str, app: str, cluster: str, component: str
) -> HttpResponse:
    """A component on a cluster. Its events are asked for once the page is there."""
    row = find_app(request, "view", tenant, project, app)
    tree, branch = _found(row, cluster, component)
    context = {**app_frame(request, row, "objects"), "tree": tree, "branch": branch}
    return render(request, "delivery/app_component.html", context)


@require_safe
@page
def component_events(
    request: PageRequest, tenant: str, project: str, app: str, cluster: str, component: str
) -> HttpResponse:
    """What the cluster says of a component: a fragment, since a cluster may take its time."""
    row = find_app(request, "view", tenant, project, app)
    _found(row, cluster, component)
    context: JSON = {"told": None, "fault": ""}
    try:
        context["told"] = happenings_of(row, Wanted(component=component, cluster=cluster))
    except Refusal as refusal:
        context["fault"] = refusal.detail
    return render(request, "delivery/_happenings.html", context)


def _found(row: App, cluster: str, component: str) -> tuple[ClusterTree, Branch]:
    for placement in row.placements.all():
        if placement.cluster.name == cluster:
            tree = tree_on(placement)
            for branch in tree.components:
                if branch.state["name"] == component:
                    return tree, branch
    raise Http404
