"""The page of the audit log: who did, or tried to do, what."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from access.models import AuditRecord
from reconcile.pages.finding import PageRequest, page
from reconcile.pages.lists import newest_first
from tenancy.models import Tenant

_FILTERS = ("tenant", "actor", "source", "grant")
_CHOICES = 200


@require_safe
@page
def audit(request: PageRequest) -> HttpResponse:
    """What the caller may read of the log, newest first; `?denied=yes`: only what was refused."""
    chosen = {name: request.GET.get(name, "").strip()[:150] for name in _FILTERS}
    rows = AuditRecord.objects.visible_to(request.user)
    rows = rows.filter(**{name: value for name, value in chosen.items() if value})
    denied = request.GET.get("denied") == "yes"
    if denied:
        rows = rows.filter(status__gte=400)
    names = Tenant.objects.visible_to(request.user).values_list("name", flat=True)
    context = {
        "events": newest_first(request, rows),
        "chosen": chosen,
        "denied": denied,
        "tenants": names[:_CHOICES],
        "sources": AuditRecord.Source.values,
    }
    return render(request, "access/audit.html", context)
