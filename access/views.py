"""Pages of kubeconfigs: issued and shown once, listed, revoked."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from access.asking import grant_for
from access.audit import describe
from access.forms import AskForm
from access.issuing import Issued, issue
from access.models import KubeconfigGrant
from access.preparing import prepared_for
from reconcile.pages.finding import PageRequest, find, page, sent
from reconcile.pages.lists import page_of
from reconcile.pages.polling import Poll, fragment
from reconcile.pages.writing import show_form
from reconcile.refusals import Refusal
from reconcile.values import JSON
from tenancy.models import Project, Tenant

_ASK = require_http_methods(["GET", "HEAD", "POST"])
_TICKETS = "used-tickets"
_KEPT_TICKETS = 20


@require_safe
@page
def grants(request: PageRequest) -> HttpResponse:
    """The caller's kubeconfigs, and on demand all that the caller may end."""
    return render(request, "access/grants.html", _grants(request))


@require_safe
@page
def grants_fragment(request: PageRequest) -> HttpResponse:
    """The list alone, for as long as something in it is unsettled."""
    context = _grants(request)
    return fragment(request, "access/_grants.html", context, context["poll"])


def _grants(request: PageRequest) -> JSON:
    rows = KubeconfigGrant.objects.visible_to(request.user)
    everybody, ended = (request.GET.get(name) == "yes" for name in ("everybody", "ended"))
    others = rows.exclude(subject=request.user).exists()
    if not everybody:
        rows = rows.filter(subject=request.user)
    if not ended:
        rows = rows.filter(pk__in=KubeconfigGrant.objects.live())
    rows = rows.select_related("tenant", "project__tenant", "subject")
    shown = page_of(request, rows)
    moving = [row for row in shown if row.closed_at is None]
    poll = Poll.of(request, reverse("grants-list"), moving)
    return {
        "page": shown,
        "everybody": everybody,
        "ended": ended,
        "others": others,
        "poll": poll,
    }


@_ASK
@page
def grant_revoke(request: PageRequest, grant: str) -> HttpResponse:
    """Asks, then ends a grant now, on every cluster."""
    row = find(KubeconfigGrant.objects.all(), request, "revoke", name=grant)
    if request.method != "POST":
        return render(request, "access/revoke.html", {"grant": row})
    describe(request, grant=row.name, tenant=row.tenant.name)
    ended = row.revoke(request.user.get_username())
    messages.success(request, f"{row} was revoked." if ended else f"{row} had ended already.")
    return redirect("grants")


@_ASK
@page
def issue_tenant(request: PageRequest, tenant: str) -> HttpResponse:
    """A kubeconfig for all of a tenant."""
    return _issue(request, find(Tenant.objects.all(), request, name=tenant))


@_ASK
@page
def issue_project(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """A kubeconfig for one project."""
    rows = Project.objects.select_related("tenant")
    return _issue(request, find(rows, request, tenant__name=tenant, name=project))


def _issue(request: PageRequest, above: Tenant | Project) -> HttpResponse:
    initial = prepared_for(request.user, above)
    form = AskForm(sent(request), user=request.user, above=above, initial=initial)
    if form.is_bound and request.POST.get("ticket") in request.session.get(_TICKETS, []):
        messages.info(request, "This kubeconfig was shown already, and is shown only once.")
        return redirect("grants")
    if form.is_valid() and (issued := _issued(request, form, above)):
        return _shown_once(request, issued)
    project = above if isinstance(above, Project) else None
    context = {"above": above, "project": project, "tenant": project.tenant if project else above}
    return show_form(request, "access/issue.html", form, context)


def _issued(request: PageRequest, form: AskForm, above: Tenant | Project) -> Issued | None:
    """Return the kubeconfig; None when the form now says why there is none."""
    try:
        grant = grant_for(request.user, above, **form.wanted())
        describe(request, grant=grant.name, tenant=grant.tenant.name)
        issued = issue(grant)
    except Refusal as refusal:
        form.show(refusal)
        return None
    used = request.session.get(_TICKETS, [])
    request.session[_TICKETS] = [*used, form.cleaned_data["ticket"]][-_KEPT_TICKETS:]
    return issued


def _shown_once(request: PageRequest, issued: Issued) -> HttpResponse:
    context = {
        "grant": issued.grant,
        "expires_at": issued.expires_at,
        "kubeconfig": issued.kubeconfig,
        "filename": f"{issued.grant.above()}".split()[-1].replace("/", "-") + ".kubeconfig",
    }
    response = render(request, "access/issued.html", context)
    response["Cache-Control"] = "no-store"
    return response
