"""Why a cluster may not be written to, and how an operator lets it go on."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from clusters import metrics
from clusters.epoch import proofs
from clusters.intents import GRANTS_NAMESPACE
from clusters.kinds import NAMESPACE, SECRET, SERVICE_ACCOUNT
from reconcile.cluster import Cluster
from reconcile.guard import REPORT_ONLY, Epoch, Reason
from reconcile.models import Event, InferredDeletion, Work, marking
from reconcile.models.declared import Declared
from reconcile.prepared import Prepared
from reconcile.refusals import Conflicting
from reconcile.values import JSON, MANAGED_BY, MANAGER, OWNER, Live

_COLUMNS = (
    "kube_system_uid",
    "report_only",
    "report_only_message",
    "report_only_since",
    "report_only_facts",
    "revoking",
    "epoch",
    "epoch_stamp",
    "epoch_at",
)
_MOST_UNKNOWN = 5000
_SAID = {
    Reason.IDENTITY: "Another cluster answers where {name} used to (its kube-system has another "
    "uid). Nothing is written to it until an operator confirms that it takes the place of the one "
    "before.",
    Reason.EPOCH: "KubeNova's database is older than what was written to {name}: it was restored "
    "from a backup, or another one writes here. Nothing is written until an operator confirms.",
    Reason.DELETIONS: "More deletions follow from changes than anybody is likely to have meant. "
    "They wait until an operator confirms them; everything else on {name} goes on.",
}
_DONE = {
    Reason.IDENTITY: "this is {name} from now on, what was known of the one before is forgotten",
    Reason.EPOCH: "this database goes on, and ends the grants that it does not know",
    Reason.DELETIONS: "the deletions that waited may go on",
}


@cache
def _guard_of(label: str, seconds: int) -> Prepared:
    """The columns of the guard, and whether the epoch began in so many seconds."""
    since = Now() - timedelta(seconds=seconds)
    told = ExpressionWrapper(Q(epoch_at__gt=since), output_field=BooleanField())
    rows = apps.get_model(label)._default_manager.annotate(told=told).order_by()
    return Prepared(
        lambda pk: (rows.filter(pk=pk).values_list(*_COLUMNS, "told"), {}),
        pk=int,
    )


class Confirmable(Declared):
    """Why nothing may be written to a cluster until an operator confirms, and its epoch.

    `report_only_facts` holds what was found: the other `uid`, or the `epoch` and `stamp` and what
    is `unknown` there. `revoking` are objects of unknown grants that were confirmed to go.
    """

    report_only = models.CharField(
        max_length=30,
        choices=[(reason.value, reason.value) for reason in Reason],
        blank=True,
        default="",
        editable=False,
        db_index=True,
    )
    report_only_message = models.TextField(blank=True, default="", editable=False)
    report_only_since = models.DateTimeField(null=True, blank=True, editable=False)
    report_only_facts = models.JSONField(default=dict, blank=True, editable=False)
    revoking = models.JSONField(default=list, blank=True, editable=False)
    epoch = models.PositiveBigIntegerField(default=0, editable=False)
    epoch_stamp = models.CharField(max_length=32, blank=True, default="", editable=False)
    epoch_at = models.DateTimeField(null=True, blank=True, editable=False)
    kube_system_uid = models.CharField(max_length=64, blank=True, default="", editable=False)

    class Meta:
        abstract = True

    @property
    def stopped(self) -> str:
        """Why nothing at all may be written; empty while it may."""
        return self.report_only_message if self.report_only in REPORT_ONLY else ""

    @property
    def stamped(self) -> Epoch:
        """How often we have begun to write to it."""
        return Epoch(self.epoch, self.epoch_stamp)

    @property
    def unknown(self) -> list[str]:
        """What it was found to have that this database does not know, as text."""
        return [
            "{kind} {where}".format(where="/".join(filter(None, (namespace, name))), kind=kind)
            for kind, namespace, name, _ in self.report_only_facts.get("unknown", ())
        ]

    @property
    def waiting(self) -> "models.QuerySet[InferredDeletion]":
        """The deletions that an operator is asked about."""
        return InferredDeletion.objects.on(self.pk).waiting()

    def _read_guard(self) -> bool:
        """Read the columns anew; return whether the epoch began lately, by the database's clock."""
        guard = _guard_of(self.label, settings.CLUSTER_EPOCH_SECONDS).rows(pk=self.pk)
        if not guard:
            raise type(self).DoesNotExist(f"{self} is gone.")
        *values, lately = guard[0]
        for column, value in zip(_COLUMNS, values, strict=True):
            setattr(self, column, value)
        return bool(lately)

    def _row(self) -> "models.QuerySet[Confirmable]":
        return type(self)._default_manager.filter(pk=self.pk)

    # --- Held, and confirmed.

    def hold(self, reason: Reason, **facts: object) -> None:
        """Hold the cluster until an operator confirms, unless a graver reason does already."""
        with marking():
            type(self).locked().get(pk=self.pk)
            self._read_guard()
            graver = list(Reason)[: list(Reason).index(reason)]
            if self.report_only in graver:
                return
            if self.report_only == reason:
                self._row().exclude(report_only_facts=facts).update(report_only_facts=facts)
            else:
                said = self._said(reason)
                held = {"report_only_message": said, "report_only_since": Now()}
                self._row().update(report_only=reason, report_only_facts=facts, **held)
                Event.record(self, reason, said, warning=True, data=facts)
                Work.objects.filter(cluster_id=self.pk).mark()
        self._read_guard()
        self.gauge()

    def _said(self, reason: Reason) -> str:
        way = f"POST /api/v1/clusters/{self.cluster_name}:confirm."
        return f"{_SAID[reason].format(name=self.cluster_name)} To confirm: {way}"

    def gauge(self) -> None:
        """Tell the metrics which guard holds the cluster, if any."""
        for reason in Reason:
            held = float(self.report_only == reason)
            metrics.REPORT_ONLY.labels(self.cluster_name, reason.value).set(held)

    def confirm(self, reason: str, by: str, uid: str = "") -> bool:
        """Let the cluster be written to again; False when nothing held it.

        A given `uid` is the one of the cluster that takes the place of the one before. Raises
        Conflicting when something else holds it than what is confirmed.
        """
        with marking():
            type(self).locked().get(pk=self.pk)
            self._read_guard()
            if not self.report_only:
                return False
            if self.report_only != reason:
                why = f"{self} is held for {self.report_only}, which is not what was confirmed."
                raise Conflicting(why, report_only=self.report_only)
            self._refuse_another(uid)
            changes = _CONSEQUENCES[Reason(reason)](self, by)
            done = _DONE[Reason(reason)].format(name=self.cluster_name)
            self._row().update(**_NOT_HELD | changes)
            Event.record(self, "Confirmed", f"{by} confirmed {reason}: {done}.", actor=by)
            Work.objects.filter(cluster_id=self.pk).revive()
        self.refresh_from_db()
        self.gauge()
        return True

    def _refuse_another(self, uid: str) -> None:
        found = self.report_only_facts.get("uid", "")
        if uid and uid != found:
            why = f"By now the cluster that answers has the uid {found or 'of before'}: look again."
            raise Conflicting(why, report_only=self.report_only, uid=found)

    def _succeeded(self, by: str) -> JSON:
        """Whatever answers when it is looked at next, if it is this one or the one before."""
        proofs.drop(self.pk)
        return {"report_only_facts": {"confirmed": self.report_only_facts["uid"]}}

    def _caught_up(self, by: str) -> JSON:
        """Go on from where the cluster is; grants that nobody knows are ended."""
        facts = self.report_only_facts
        going = [each for each in facts.get("unknown", ()) if each[1] == GRANTS_NAMESPACE]
        return {
            "epoch": facts["epoch"],
            "epoch_stamp": facts["stamp"],
            "epoch_at": None,
            "revoking": going,
        }

    def _let_go(self, by: str) -> JSON:
        InferredDeletion.objects.confirm(self.pk)
        return {}

    def forget(self) -> None:
        """As for any row; what waited for an operator is forgotten with it."""
        with marking():
            InferredDeletion.objects.on(self.pk).delete()
            super().forget()

    # --- What is there that a restored database does not know.

    def look_around(self, api: Cluster) -> None:
        """Note the namespaces and grants of owners that are not known, while the epoch holds it."""
        ours = {MANAGED_BY: MANAGER}
        found = api.owned(NAMESPACE, ours)
        for kind in (SECRET, SERVICE_ACCOUNT):
            found += api.owned(kind, ours, namespace=GRANTS_NAMESPACE)
        owners = {live.labels.get(OWNER, "") for live in found}
        known = set(Work.objects.filter(owner__in=owners).values_list("owner", flat=True))
        unknown = [_told(live) for live in found if live.labels.get(OWNER, "") not in known]
        facts = self.report_only_facts | {"unknown": unknown[:_MOST_UNKNOWN]}
        self.hold(Reason.EPOCH, **facts)

    def revoked(self) -> None:
        """Note that the unknown grants are ended."""
        message = f"{len(self.revoking)} objects of unknown grants were removed from {self}."
        Event.record(self, "UnknownGrantsRevoked", message, data={"objects": self.revoking})
        self._row().update(revoking=[])
        self.revoking = []


def _told(live: Live) -> list[str]:
    return [live.ref.kind.name, live.ref.namespace, live.ref.name, live.uid]


_NOT_HELD: JSON = {
    "report_only": "",
    "report_only_message": "",
    "report_only_since": None,
    "report_only_facts": {},
}
_CONSEQUENCES: dict[Reason, Callable[[Confirmable, str], JSON]] = {
    Reason.IDENTITY: Confirmable._succeeded,
    Reason.EPOCH: Confirmable._caught_up,
    Reason.DELETIONS: Confirmable._let_go,
}
