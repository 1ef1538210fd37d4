"""Which page shows an object, whatever its kind."""

from django.urls import reverse

from access.models import KubeconfigGrant
from clusters.models import Cluster
from delivery.models import App, Workflow
from policies.models import Attachment, PolicySet
from reconcile.models.convergent import Convergent
from reconcile.models.rows import Row
from tenancy.models import Project, Tenant


def page_of(row: Row) -> str:
    """Return the path of the page that shows a row; a placement is shown by its parent's."""
    if isinstance(row, Convergent):
        return page_of(row.parent)
    match row:
        case Tenant():
            return reverse("tenant", args=[row.name])
        case Project():
            return reverse("project", args=[row.tenant.name, row.name])
        case App() | Workflow():
            names = [row.project.tenant.name, row.project.name, row.name]
            return reverse("app" if isinstance(row, App) else "workflow", args=names)
        case KubeconfigGrant():
            return reverse("grants")
        case Cluster():
            return reverse("cluster", args=[row.name])
        case PolicySet() | Attachment():
            policy_set = row.policy_set if isinstance(row, Attachment) else row
            return reverse("policy", args=[policy_set.name])
        case _:
            raise LookupError(f"No page shows a {row.label}.")
