"""Apps over HTTP."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as ModelError
from rest_framework.response import Response

from delivery.api.serializers import AppSerializer, RollbackSerializer
from delivery.models import App
from reconcile.api import lookup
from reconcile.api.objects import ObjectView
from reconcile.api.problems import model_faults
from reconcile.api.verbs import verb
from reconcile.models.declared import Declared
from reconcile.refusals import Fault, Invalid

SCOPE = {"tenant": "project__tenant__name", "project": "project__name"}


class AppView(ObjectView):
    """Apps: whoever delivers for the tenant does anything with them."""

    model: ClassVar[type[Declared]] = App
    collection = "apps"
    serializer_class = AppSerializer
    scope = SCOPE
    create_action = "deliver"
    prefetch = ("placements__cluster", "project__tenant")

    def find_parent(self) -> Any:
        """Return the project. A PUT that creates names its tenant as well. Raises Invalid."""
        if self.request.method == "PUT" and "tenant" not in self.names():
            raise lookup.missing("tenant")
        return super().find_parent()

    @verb("rollback", body=RollbackSerializer, plans=True)
    def rollback(self, row: App, data: Mapping[str, Any]) -> Response | None:
        """Go back to an earlier revision by making a new one; 200 when that is what runs."""
        by = self.user.get_username()
        try:
            changed = row.rollback(data.get("revision"), by=by, message=data.get("message", ""))
        except ModelError as error:
            raise not_coming_back(error) from None
        return None if changed else self.show(row)


def not_coming_back(error: ModelError) -> Invalid:
    """Return the refusal of a revision that the app may no longer hold."""
    found = [Fault(fault.code, fault.detail, "/revision") for fault in model_faults(error)]
    return Invalid("This revision cannot come back.", errors=found)
