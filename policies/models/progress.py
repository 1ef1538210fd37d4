"""How far tenants have come with what binds them."""

from typing import Any

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from policies.models.policyset import governs, tenants_of
from reconcile.models import Work
from reconcile.models.summing import AT_REST
from tenancy.models import Tenant

# What has to be at rest, and how it leads to its tenant.
_FOLLOWING = (
    ("policies.imposition", "tenant"),
    ("tenancy.tenantplacement", "tenant"),
    ("tenancy.projectplacement", "project__tenant"),
)


def restless(tenants: "QuerySet[Tenant]") -> set[int]:
    """Return the keys of those of the tenants of which anything is still under way, or fails."""
    busy = Q(due_at__lte=Now()) | Q(lease_until__gt=Now()) | Q(failures__gt=0)
    found: set[int] = set()
    for label, path in _FOLLOWING:
        rows: QuerySet[Any] = apps.get_model(label)._default_manager.order_by()
        due = Work.objects.filter(busy, kind=label).order_by().values("object_id")
        moving = Q(pk__in=due) | ~Q(phase__in=AT_REST)
        inside = rows.filter(moving, **{f"{path}__in": tenants.values("pk")})
        found |= set(inside.values_list(path, flat=True))
    return found


def progress(user: User | AnonymousUser) -> dict[int, tuple[int, int]]:
    """Return for each set, by its key, how many tenants it binds and how many have settled.

    Only tenants count that the user belongs to, or all for who writes policy sets.
    """
    tenants = Tenant.objects.order_by() if governs(user) else tenants_of(user)
    pairs = apps.get_model("policies.imposition")._default_manager.filter(tenant__in=tenants)
    moving = restless(tenants)
    bound: dict[int, set[int]] = {}
    for policy_set, tenant in pairs.order_by().values_list("attachments__policy_set", "tenant"):
        bound.setdefault(policy_set, set()).add(tenant)
    return {key: (len(found), len(found - moving)) for key, found in bound.items()}
