"""Rows with sealed columns, as clusters have them."""

from uuid import uuid4

from django.db import models

from vault.fields import SealedTextField


class Locker(models.Model):
    """A row with two secrets and something that is none."""

    uid = models.UUIDField(default=uuid4, unique=True, editable=False)
    name = models.CharField(max_length=60, blank=True)
    secret = SealedTextField(blank=True)
    spare = SealedTextField(blank=True)

    def __str__(self) -> str:
        return self.name
