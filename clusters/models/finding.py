"""What was found to be wrong with the platforms of a cluster, and what an operator has accepted."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import QuerySet
from django.utils import timezone

from clusters.preflight import Found, Severity, Stage
from reconcile.models import Event, marking, touch
from reconcile.prepared import Prepared
from reconcile.refusals import Fault, Invalid, Unsafe

if TYPE_CHECKING:
    from clusters.models.cluster import Cluster

_REASON_LENGTH = 500


class FindingQuerySet(QuerySet["Finding"]):
    """Reading and writing verbs."""

    def blocking(self) -> Self:
        """Those that keep new tenants away until somebody accepts them."""
        return self.filter(severity=Severity.CRITICAL, accepted_at=None)

    def blocking_on(self, cluster_pk: int) -> "list[Finding]":
        """Those of one cluster that keep new tenants away from it."""
        return _blocking().rows(cluster=cluster_pk)

    def record(self, cluster: "Cluster", found: Iterable[Found]) -> None:
        """Note what a look at `cluster` told; what is not found any more is over.

        An acceptance holds for what was accepted: where a finding says something else now, it has
        to be accepted anew.
        """
        known = {row.code: row for row in self.filter(cluster=cluster)}
        now = {each.code: each for each in found}
        if not (known or now):
            return
        with marking():
            changed = [self._over(row) for code, row in known.items() if code not in now]
            changed += [
                self._seen(cluster, known.get(code), each)
                for code, each in now.items()
                if code not in known or known[code].value != each
            ]
            self.filter(cluster=cluster).update(last_seen=timezone.now())
            if changed:
                touch(cluster.findings_key)

    def _over(self, row: "Finding") -> str:
        self.filter(pk=row.pk).delete()
        Event.record(row.cluster, "FindingOver", f"{row} is over: {row.message}")
        return row.code

    def _seen(self, cluster: "Cluster", known: "Finding | None", found: Found) -> str:
        values: dict[str, object] = {
            "step": found.step,
            "severity": found.severity,
            "fix": found.fix,
        }
        values |= {"message": found.message}
        if known is None or known.message != found.message:
            values |= _NOT_ACCEPTED
            warning = found.severity is not Severity.INFO
            message = f"Finding {found.code} on {cluster}: {found.message}"
            data = {"code": found.code, "severity": found.severity, "fix": found.fix}
            Event.record(cluster, "FindingSeen", message, warning=warning, data=data)
        self.update_or_create(cluster=cluster, code=found.code, defaults=values)
        return found.code


@cache
def _blocking() -> Prepared:
    rows = Finding.objects.blocking()
    return Prepared(lambda cluster: (rows.filter(cluster_id=cluster), {}), cluster=int)


class Finding(models.Model):
    """One thing that an operator should know of a cluster before tenants are placed on it."""

    cluster = models.ForeignKey(
        "clusters.Cluster", on_delete=models.CASCADE, related_name="findings"
    )
    code = models.CharField(max_length=63)
    step = models.CharField(max_length=30, choices=[(each, each) for each in Stage])
    severity = models.CharField(max_length=8, choices=[(each, each) for each in Severity])
    message = models.TextField()
    fix = models.TextField(blank=True, default="")
    first_seen = models.DateTimeField(default=timezone.now, editable=False)
    last_seen = models.DateTimeField(default=timezone.now, editable=False)
    accepted_by = models.CharField(max_length=150, blank=True, default="", editable=False)
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_reason = models.CharField(max_length=_REASON_LENGTH, blank=True, default="")

    objects = FindingQuerySet.as_manager()

    class Meta:
        ordering = ["cluster__name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "code"], name="finding_once"),
        ]

    def __str__(self) -> str:
        return f"Finding {self.code} on {self.cluster}"

    @property
    def value(self) -> Found:
        """The part that a look at the cluster tells."""
        step, severity = Stage(self.step), Severity(self.severity)
        return Found(self.code, step, severity, self.message, self.fix)

    @property
    def blocks(self) -> bool:
        """Whether it keeps new tenants away."""
        return self.severity == Severity.CRITICAL and self.accepted_at is None

    def accept(self, reason: str, by: str) -> bool:
        """Let tenants be placed in spite of it; False when the same was accepted already.

        Raises Invalid without a reason.
        """
        reason = reason.strip()
        if len(reason) > _REASON_LENGTH:
            raise _wrong(f"Say it in at most {_REASON_LENGTH} characters.")
        if not reason:
            raise _wrong("Say why it may stay as it is.")
        if self.accepted_at and self.accepted_reason == reason:
            return False
        self.accepted_by, self.accepted_at, self.accepted_reason = by, timezone.now(), reason
        self._decided("FindingAccepted", f"{by} accepted {self}: {reason}", by)
        return True

    def revoke(self, by: str) -> bool:
        """Take the acceptance back; False when there was none. What runs there goes on."""
        if self.accepted_at is None:
            return False
        for name, value in _NOT_ACCEPTED.items():
            setattr(self, name, value)
        self._decided("FindingRevoked", f"{by} no longer accepts {self}.", by)
        return True

    def _decided(self, reason: str, message: str, by: str) -> None:
        with marking():
            self.save(update_fields=[*_NOT_ACCEPTED])
            data = {"code": self.code, "severity": self.severity}
            Event.record(self.cluster, reason, message, actor=by, data=data)
            touch(self.cluster.findings_key)


_NOT_ACCEPTED: dict[str, object] = {"accepted_by": "", "accepted_at": None, "accepted_reason": ""}


def refuse_unaccepted(clusters: "Iterable[Cluster]") -> None:
    """Refuse new placements where a critical finding is not accepted. Raises Unsafe naming each."""
    rows = Finding.objects.blocking().filter(cluster__in=list(clusters)).select_related("cluster")
    found = list(rows.order_by("cluster__name", "pk"))
    if not found:
        return
    told = " ".join(f"{row.cluster.name}: {row.message} Run: {row.fix}." for row in found)
    findings = [
        {
            "cluster": row.cluster.name,
            "code": row.code,
            "message": row.message,
            "fix": row.fix,
            "accept": f"POST /api/v1/clusters/{row.cluster.name}/findings/{row.code}:accept",
        }
        for row in found
    ]
    raise Unsafe(f"{told} Mend it, or have an operator accept it.", findings=findings)


def _wrong(detail: str) -> Invalid:
    fault = Fault("reason", detail, "/reason")
    return Invalid("Parts of the request are wrong.", errors=[fault])
