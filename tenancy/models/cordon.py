"""What runs in the namespaces of a cordoned tenant is neither made, changed nor deleted.

The clusters hold it against everybody but KubeNova: here it is held against who asks KubeNova to.
"""

from django.db import models

from reconcile.models.decisions import above
from reconcile.models.declared import Declared
from reconcile.refusals import Conflicting


class Cordonable(Declared):
    """A row below a tenant."""

    class Meta:
        abstract = True

    def request_deletion(self, by: str) -> None:
        """As for any row. Raises Conflicting in a cordoned tenant, unless that goes itself."""
        if not self.deleting:
            self.refuse_cordoned()
        super().request_deletion(by)

    def refuse_cordoned(self) -> None:
        """Raise Conflicting where the tenant is cordoned and nothing above is being deleted."""
        _, *parents = above(self)
        if any(parent.deleting for parent in parents):
            return
        tenant = parents[-1]
        if _cordoned(tenant):
            raise Conflicting(
                f"{tenant} is cordoned: nothing in it can be made, changed or deleted before an "
                "operator sets `cordoned` to false."
            )


def _cordoned(tenant: models.Model) -> bool:
    """As it is now: the row may have been read before."""
    return type(tenant)._default_manager.filter(pk=tenant.pk, cordoned=True).exists()
