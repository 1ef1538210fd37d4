"""Which platform serves a row on its cluster: chosen once, then remembered."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from django.apps import apps
from django.db import models
from django.db.models import Exists

from clusters.models.projected import Projected
from reconcile.locks import one_writer
from reconcile.loop import Adapter
from reconcile.models import Lease
from reconcile.models.convergent import Wait
from reconcile.models.leases import held
from reconcile.prepared import Prepared


class Chosen(Projected):
    """A placement whose adapter is chosen by what its cluster can do when it is new.

    A running one is never moved to another platform. While its platform is not served it is in
    error and is left as it is.
    """

    chosen_adapter = models.CharField(max_length=63, blank=True, default="", editable=False)

    adapters: ClassVar[Mapping[str, Adapter[Any]]]
    plain: ClassVar[str]  # the one of rows that were there before there was a choice

    class Meta:
        abstract = True

    @property
    def choice(self) -> str:
        """The name of its adapter: the one remembered, else the one it would get now."""
        if self.chosen_adapter:
            return self.chosen_adapter
        return self.plain if self.observed_generation else self.likely()

    def likely(self) -> str:
        """What serves it best on its cluster, reading the keys of what that depends on."""
        raise NotImplementedError(f"{self.label} has no choice")

    def adapter(self) -> Adapter[Any]:
        """The one of its choice."""
        return self.adapters[self.choice]

    def watched_intent(self, lease: Lease) -> Any:
        """As for any row; its choice is remembered. Raises CapabilityLost when it does not hold."""
        self._choose(lease)
        return super().watched_intent(lease)

    def needs(self, intent: Any) -> Iterable[str]:
        """Its choice."""
        return (self.choice,)

    def waits_for(self) -> Sequence[Wait]:
        """As for any row; what has lost its platform says so instead of waiting."""
        if not self.deleting and self.chosen_adapter and self.cluster.lacking([self.choice]):
            return ()
        return super().waits_for()

    def _choose(self, lease: Lease) -> None:
        if self.chosen_adapter:
            return
        choice = self.choice
        statement = _choosing(self.label)
        with one_writer():
            chosen = statement.update(
                pk=self.pk, work=lease.work.pk, token=lease.token, choice=choice
            )
        if chosen:
            self.chosen_adapter = choice


@cache
def _choosing(label: str) -> Prepared:
    rows = apps.get_model(label)._default_manager.order_by()
    return Prepared(
        lambda pk, work, token, choice: (
            rows.filter(Exists(held(work, token)), pk=pk),
            {"chosen_adapter": choice},
        ),
        pk=int,
        work=int,
        token=uuid.UUID,
        choice=str,
    )
