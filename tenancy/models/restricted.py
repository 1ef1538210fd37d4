"""What a tenant's people may do on clusters: restrictions, network rules, cordon."""

from django.db import models

from reconcile.grammar import validate_annotations, validate_labels
from reconcile.models.declared import Declared
from reconcile.refusals import Refusal
from tenancy.intents import Isolation
from tenancy.models.validators import validate_network, validate_restrictions


class Protected(Refusal):
    """Somebody has protected it from being deleted."""

    code = "KN-PROTECTED"
    title = "The object is protected from deletion"


class Restricted(Declared):
    """The part of a tenant that its clusters enforce."""

    labels = models.JSONField(default=dict, blank=True, validators=[validate_labels])
    annotations = models.JSONField(default=dict, blank=True, validators=[validate_annotations])
    isolation = models.CharField(
        max_length=20,
        choices=[(preset, preset) for preset in Isolation],
        default=Isolation.ISOLATED,
    )
    network = models.JSONField(default=list, blank=True, validators=[validate_network])
    restrictions = models.JSONField(default=dict, blank=True, validators=[validate_restrictions])
    cordoned = models.BooleanField(default=False)
    deletion_protection = models.BooleanField(default=False)

    class Meta:
        abstract = True

    def request_deletion(self, by: str) -> None:
        """As for any row. Raises Protected, with the way out."""
        if self.deletion_protection and not self.deleting:
            raise Protected(
                f"{self} is protected from deletion. An operator takes that off first: set "
                "`deletion_protection` to false."
            )
        super().request_deletion(by)
