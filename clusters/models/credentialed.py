"""The columns that hold a cluster's credentials, sealed, and the verbs that renew them."""

from datetime import datetime, timedelta
from typing import TypeAlias

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from clusters import metrics
from clusters.credentials import Given, Scoped, dump, load
from clusters.kubeconfig import Credential
from reconcile.models import Lease
from vault.fields import SealedTextField
from vault.sealed import Secret

SealedColumn: TypeAlias = "models.Field[Secret | str | None, Secret | None]"


class Credentialed(models.Model):
    """How to reach a cluster and as whom.

    `bootstrap` is what an operator gave last, kept until KubeNova's own `scoped` credential works;
    `scoped_previous` is the one before it, kept until the newer one has worked.
    """

    server = models.CharField(max_length=500, editable=False)
    credential_digest = models.CharField(max_length=64, editable=False)
    credential_generation = models.PositiveIntegerField(default=0, editable=False)
    bootstrap: "SealedColumn" = SealedTextField()
    scoped: "SealedColumn" = SealedTextField()
    scoped_previous: "SealedColumn" = SealedTextField()
    scoped_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    deletion_requested_at: datetime | None

    class Meta:
        abstract = True

    @property
    def given(self) -> Given:
        """The credential that an operator gave last, known by its digest alone once it is dropped.

        Giving one again that has been dropped renews it: the baseline is bootstrapped anew.
        """
        return Given(self.credential_digest, self.bootstrap_credential)

    @given.setter
    def given(self, given: Given) -> None:
        known = given.digest == self.credential_digest
        if given.credential is None or (known and self.bootstrap):
            return
        self.bootstrap = dump(given.credential)
        self.server, self.credential_digest = given.credential.server, given.digest
        self.credential_generation += 1

    @property
    def bootstrap_credential(self) -> Credential | None:
        """What the operator gave, as long as it is needed. Raises SealError."""
        return load(self.bootstrap.reveal()) if self.bootstrap else None

    @property
    def own_credentials(self) -> list[Credential]:
        """KubeNova's own, the newest first. Raises SealError."""
        return [load(sealed.reveal()) for sealed in (self.scoped, self.scoped_previous) if sealed]

    @property
    def rotation_due(self) -> bool:
        """Whether KubeNova's own credential is to be renewed."""
        age = timedelta(seconds=settings.CLUSTER_ROTATE_SECONDS)
        return self.rotated_at is None or timezone.now() - self.rotated_at >= age

    def keep(self, scoped: Scoped, lease: Lease, *, used: int) -> None:
        """Store KubeNova's new credential, which has worked, and drop the operator's.

        `used` is the generation of the one that was in use: a newer one is not dropped, nor one
        that a deletion can make use of. Raises Stale without the lease.
        """
        with transaction.atomic():
            row = self._held(lease)
            row.scoped_previous = row.scoped.reveal() if row.scoped else None
            row.scoped = dump(scoped.credential)
            row.scoped_expires_at, row.rotated_at = scoped.expires, timezone.now()
            if row.credential_generation == used and row.deletion_requested_at is None:
                row.bootstrap = None
            row.save(
                update_fields=[
                    "bootstrap",
                    "scoped",
                    "scoped_previous",
                    "scoped_expires_at",
                    "rotated_at",
                ]
            )
        self.refresh_from_db()
        metrics.CREDENTIAL_EXPIRES.labels(str(self)).set(scoped.expires.timestamp())

    def drop_previous(self, lease: Lease) -> None:
        """Forget the credential before the one that has worked now."""
        if not self.scoped_previous:
            return
        with transaction.atomic():
            row = self._held(lease)
            row.scoped_previous = None
            row.save(update_fields=["scoped_previous"])
        self.scoped_previous = None

    def _held(self, lease: Lease) -> "Credentialed":
        """Return the row as it is now, held until the transaction ends."""
        rows = type(self)._default_manager.select_for_update(no_key=True)
        row: Credentialed = rows.get(pk=self.pk)
        lease.hold()
        return row
