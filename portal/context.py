"""What every page of the portal needs: the menu, and where in it one is."""

from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from reconcile.values import JSON
from tenancy.drift import drift_for

# (title, icon, path by name, names of the pages below it that do not begin alike)
_MENU = (
    ("Home", "home", "home", ()),
    ("Tenants", "user-group", "tenants", ("tenant", "project", "member")),
    ("Apps", "cube", "apps", ("app",)),
    ("Definitions", "puzzle-piece", "definitions", ("definition", "published")),
    ("Policies", "scale", "policies", ("policy", "celrule", "celrules", "findings")),
    ("Drift", "arrows-right-left", "drift", ()),
    ("Activity", "clock", "activity", ("timeline",)),
    ("Kubeconfigs", "key", "grants", ("grant", "issue")),
    ("Audit", "shield-check", "audit-log", ()),
)
_MOST_COUNTED = 99
_OPERATORS = (("Clusters", "server-stack", "clusters", ("cluster",)),)


def portal(request: HttpRequest) -> JSON:
    """Return the menu of whoever has signed in, and the version."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"version": settings.VERSION}
    return {"version": settings.VERSION, "menu": list(_menu(request, operator=user.is_staff))}


def open_drift(request: HttpRequest) -> str:
    """Say how much differs now of what the person may see; empty for nothing. One bounded query."""
    found = drift_for(request.user).open().order_by()[: _MOST_COUNTED + 1].count()
    return f"{_MOST_COUNTED}+" if found > _MOST_COUNTED else str(found or "")


def _menu(request: HttpRequest, *, operator: bool) -> Iterator[JSON]:
    match = request.resolver_match
    here = (match.url_name or "") if match else ""
    for title, icon, name, below in (*_MENU, *(_OPERATORS if operator else ())):
        current = here == name or here.split("-")[0] in below
        entry = {"title": title, "icon": icon, "url": reverse(name), "current": current}
        yield entry | ({"count": lambda: open_drift(request)} if name == "drift" else {})
    if operator:
        yield {"title": "Admin", "icon": "wrench-screwdriver", "url": reverse("admin:index")}
