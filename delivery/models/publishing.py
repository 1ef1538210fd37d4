"""The part of an app on a cluster that is about KubeVela: whether it serves, and what is published.

KubeVela rolls out what bears a version that the Application never had before. So each change of
what is to run there is counted here, before anything is written: also one that is no revision, as
of a secret, of the tenant's nodes, of a decision about drift.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import ClassVar

from django.db import models

from clusters.adapters.kubevela import DEPLOYER, DEPLOYER_RIGHTS
from clusters.kinds import SERVICE_ACCOUNT
from clusters.models.chosen import Chosen
from clusters.models.cluster import ALL_LABELS
from delivery.adapters import APPS, KUBEVELA, NATIVE
from delivery.adapters.kubevela import KubeVelaApps, spec_of
from delivery.intents import AppIntent
from reconcile.locks import one_writer
from reconcile.models import AppliedObject, Decision, Lease, drifting
from reconcile.models.convergent import Convergent, Wait
from reconcile.models.rows import read
from reconcile.models.statements import put
from reconcile.prepared import Built, Prepared
from reconcile.values import digest
from tenancy.rules.needs import Need

DELIVERY_LABEL = "delivery"  # of a cluster: `native` lets new apps there go without KubeVela


class Publishing(Chosen):
    """`publications` counts what was to run, `published` is the digest of the last of it."""

    publications = models.PositiveIntegerField(default=0, editable=False)
    published = models.CharField(max_length=32, blank=True, default="", editable=False)

    adapters: ClassVar = APPS
    plain: ClassVar[str] = NATIVE
    content = ""  # in the step under way: the digest of what is to run

    class Meta:
        abstract = True

    def likely(self) -> str:
        """KubeVela where it serves, unless operators have labelled the cluster otherwise."""
        read(ALL_LABELS)
        if self.cluster.labels.get(DELIVERY_LABEL) == "native":
            return NATIVE
        return KUBEVELA if self.cluster.serves(KUBEVELA) else NATIVE

    @property
    def with_kubevela(self) -> bool:
        """Whether KubeVela rolls it out."""
        return self.choice == KUBEVELA

    @property
    def through(self) -> str | None:
        """`kubevela` or `native`, whichever rolls it out; None before that is chosen."""
        chosen = self.chosen_adapter or (self.plain if self.observed_generation else "")
        return chosen.rpartition(".")[2] or None

    def needs(self, intent: AppIntent) -> Iterable[str]:
        """Its choice; of KubeVela also the types in use, and the account that it acts by."""
        return [need.capability for need in self.needed(intent)]

    def needed(self, intent: AppIntent) -> list[Need]:
        """As `needs`, each with the first component that needs it."""
        found = {self.choice: ""}
        adapter = self.adapter()
        if isinstance(adapter, KubeVelaApps):
            found[DEPLOYER_RIGHTS] = ""
            for capability, field in adapter.types(intent):
                found.setdefault(capability, field)
        return [Need(capability, field) for capability, field in found.items()]

    # --- What is published.

    def numbered(self, intent: AppIntent) -> AppIntent:
        """Return the intent with the version that it is published as; writes nothing."""
        if not self.with_kubevela:
            return intent
        self.content = digest([spec_of(intent), intent.revision, self._accepted()])
        number = self.publications + (self.content != self.published)
        version = f"r{intent.revision}-{number}-{self.content[:8]}"
        return replace(intent, publication=version)

    def _accepted(self) -> list[object]:
        """What people want to stay as they have found it: KubeVela has to roll that out, too."""
        return [
            [made.object_kind, made.object_name, made.path, made.value]
            for made in drifting.decisions_on(self)
            if made.verb == Decision.Verb.ACCEPT and made.parent_uid == self.parent.uid
        ]

    def watched_intent(self, lease: Lease) -> AppIntent:
        """As for any row; what is to run is counted before it is written."""
        intent: AppIntent = super().watched_intent(lease)
        if self.with_kubevela and self.content != self.published:
            count = self.publications + 1
            with one_writer():
                written = put(
                    self.label, self.pk, lease, publications=count, published=self.content
                )
            if written:
                self.publications, self.published = count, self.content
        return intent

    # --- What has to be there first.

    def waits_for(self) -> Sequence[Wait]:
        """As for any row; the account that KubeVela acts by has to be there."""
        found = super().waits_for()
        if found or self.deleting or not self.with_kubevela:
            return found
        home = self.home()
        if home is None or _has_account(home):
            return ()
        if self.cluster.lacking([self.choice, DEPLOYER_RIGHTS]):
            return ()  # which is told instead
        return (Wait("WaitingForProject", f"{home} has no account for KubeVela yet."),)

    def home(self) -> Convergent | None:
        """The placement of its project on this cluster."""
        raise NotImplementedError(f"{self.label} has no home")


def _has_account(home: Convergent) -> bool:
    read(home.key)
    return _accounts_of().exists(kind=home.label, object_id=home.pk)


@cache
def _accounts_of() -> Prepared:
    rows = AppliedObject.objects.filter(kind=SERVICE_ACCOUNT.name, name=DEPLOYER)

    def build(kind: str, object_id: int) -> Built:
        return rows.filter(work__kind=kind, work__object_id=object_id), {}

    return Prepared(build, kind=str, object_id=int)
