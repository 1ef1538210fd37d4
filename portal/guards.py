"""The page on which an operator lets a cluster go on that a guard has stopped."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from clusters.models import Cluster
from reconcile.pages.finding import PageRequest, find, page, sent
from reconcile.pages.forms import ConfirmNameForm
from reconcile.pages.writing import show_form
from reconcile.refusals import Refusal

_LISTED = 200


@require_http_methods(["GET", "HEAD", "POST"])
@page
def confirm(request: PageRequest, name: str) -> HttpResponse:
    """Show what holds the cluster and what follows; confirm that very reason by its name, typed."""
    cluster = find(Cluster.objects.all(), request, "change", name=name)
    form = ConfirmNameForm(sent(request), expected=name)
    if form.is_valid():
        _confirm(request, cluster)
        return redirect(reverse("clusters"))
    waiting = [str(each) for each in cluster.waiting[:_LISTED]]
    context = {"cluster": cluster, "waiting": waiting, "unknown": cluster.unknown[:_LISTED]}
    return show_form(request, "portal/confirm.html", form, context)


def _confirm(request: PageRequest, cluster: Cluster) -> None:
    try:
        done = cluster.confirm(
            request.POST.get("reason", ""),
            by=request.user.get_username(),
            uid=request.POST.get("uid", ""),
        )
    except Refusal as refusal:
        messages.error(request, refusal.detail)
        return
    said = f"{cluster} goes on." if done else f"Nothing held {cluster}."
    messages.success(request, said)
