"""The sealed field as the database, another process and a serializer see it."""

from django.db import models
from django.db.models.functions import Substr
from rest_framework.serializers import ModelSerializer

from tests.vault.models import Locker
from vault.keys import KeyFile

CANARY = "canary-7f3a✓"


def fresh(locker: Locker) -> Locker:
    """Return the row as another process loads it."""
    return Locker.objects.get(pk=locker.pk)


def all_fields(row: Locker) -> ModelSerializer:
    """Return a serializer of every field of the row, made as carelessly as possible."""
    meta = type("Meta", (), {"model": Locker, "fields": "__all__"})
    return type("Everything", (ModelSerializer,), {"Meta": meta})(row)


def column(locker: Locker, name: str = "secret") -> str:
    """Return the text in the column of one row."""
    text = models.ExpressionWrapper(models.F(name), output_field=models.TextField())
    return Locker.objects.annotate(text=text).values_list("text", flat=True).get(pk=locker.pk)


def overwrite(locker: Locker, text: str, name: str = "secret") -> None:
    """Write into the column past the field, as someone with database access could."""
    value = models.Value(text, output_field=models.TextField())
    Locker.objects.filter(pk=locker.pk).update(**{name: value})


def payloads() -> list[str]:
    """Return what comes after the head, of all rows."""
    text = models.ExpressionWrapper(models.F("secret"), output_field=models.TextField())
    rest = Locker.objects.order_by("pk").annotate(rest=Substr(text, 95))
    return list(rest.values_list("rest", flat=True))


def secrets() -> list[str]:
    """Return every row's secret, opened."""
    return [locker.secret.reveal() for locker in Locker.objects.order_by("pk")]


class DyingKeyFile(KeyFile):
    """The real key file, in a process that ends at the n-th wrapping of a data key."""

    def __init__(self, path, lives):
        super().__init__(path)
        self.lives = lives

    def wrap(self, data_key, associated):
        if self.lives == 0:
            raise KeyboardInterrupt
        self.lives -= 1
        return super().wrap(data_key, associated)
