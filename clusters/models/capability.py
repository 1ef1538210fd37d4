"""What a cluster was found to be able to do."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import QuerySet

from clusters.intents import BASELINE
from clusters.probe import Ability
from clusters.rule_names import PREFIX
from reconcile.models import Event, marking, touch
from reconcile.prepared import Prepared

if TYPE_CHECKING:
    from clusters.models.cluster import Cluster

_BASELINES = "baseline."
_VERSION_LENGTH, _REASON_LENGTH = 63, 300


class CapabilityQuerySet(QuerySet["Capability"]):
    """Reading and writing verbs."""

    def record(self, cluster: "Cluster", abilities: Iterable[Ability]) -> list[str]:
        """Note what a probe of `cluster` found; return the names of what changed.

        A change marks every row whose intent depends on it.
        """
        found = {ability.name: ability for ability in abilities}
        probed = self.filter(cluster=cluster).exclude(name__startswith=_BASELINES)
        known = {row.name: row.ability for row in probed}
        changed = sorted(name for name in {*found, *known} if found.get(name) != known.get(name))
        if changed:
            with marking():
                probed.filter(name__in=set(known) - set(found)).delete()
                for name in set(changed) & set(found):
                    self._keep(cluster, found[name])
                self._tell(cluster, changed)
        return changed

    def record_baseline(self, cluster: "Cluster") -> None:
        """Note that the current baseline stands on `cluster`."""
        ability = Ability(f"{_BASELINES}{BASELINE}", True, str(BASELINE))
        if self.filter(cluster=cluster, name=ability.name, served=True).exists():
            return
        with marking():
            self._keep(cluster, ability)
            self._tell(cluster, [ability.name])

    def lacking(self, cluster: "Cluster", names: Iterable[str]) -> list[Ability]:
        """Return those of `names` that `cluster` is known not to serve.

        A newer baseline serves what an older one did; what was not observed cannot be judged, but
        for rules of operators: where they are not known they are not.
        """
        wanted, known = sorted(set(names)), self.known(cluster)
        newest = max((_number(name) for name, each in known.items() if each.served), default=0)
        return [
            found
            for name in wanted
            if (
                found := _outdated(name, newest)
                if name.startswith(_BASELINES)
                else known.get(name) or _unpublished(name, newest)
            )
            and not found.served
        ]

    def known(self, cluster: "Cluster") -> dict[str, Ability]:
        """Return all that was found out about `cluster`, by name."""
        return {row[0]: Ability(*row) for row in _known().rows(cluster=cluster.pk)}

    def serve(self, cluster: "Cluster", name: str) -> bool:
        """Whether `cluster` serves it; a newer baseline serves what an older one did."""
        if not name.startswith(_BASELINES):
            return _served().exists(cluster=cluster.pk, name=name)
        rows = self.filter(cluster=cluster, served=True, name__startswith=_BASELINES)
        return any(_number(each) >= _number(name) for each in rows.values_list("name", flat=True))

    def able(self, name: str) -> list[str]:
        """Name the clusters that serve it."""
        rows = self.filter(served=True).select_related("cluster")
        if name.startswith(_BASELINES):
            found = [row for row in rows if _number(row.name) >= _number(name)]
        else:
            found = list(rows.filter(name=name))
        return sorted({row.cluster.name for row in found})

    def _keep(self, cluster: "Cluster", ability: Ability) -> None:
        values = {
            "served": ability.served,
            "version": ability.version,
            "reason": ability.reason,
        }
        self.update_or_create(cluster=cluster, name=ability.name, defaults=values)

    @staticmethod
    def _tell(cluster: "Cluster", changed: list[str]) -> None:
        message = f"{cluster} changed what it can do: {', '.join(changed)}."
        Event.record(cluster, "CapabilitiesChanged", message, data={"capabilities": changed})
        touch(cluster.capabilities_key)


@cache
def _known() -> Prepared:
    columns = ("name", "served", "version", "reason")
    rows = Capability.objects.order_by().values_list(*columns)
    return Prepared(lambda cluster: (rows.filter(cluster_id=cluster), {}), cluster=int)


@cache
def _served() -> Prepared:
    rows = Capability.objects.filter(served=True).order_by().values_list("pk")
    return Prepared(
        lambda cluster, name: (rows.filter(cluster_id=cluster, name=name), {}),
        cluster=int,
        name=str,
    )


def _number(name: str) -> int:
    """The version of a baseline, 0 for any other capability."""
    number = name.removeprefix(_BASELINES)
    return int(number) if number != name and number.isdecimal() else 0


def _unpublished(name: str, newest: int) -> Ability | None:
    if not newest or not name.startswith(PREFIX):
        return None
    return Ability(name, False, "", "The rule is not published there.")


def _outdated(name: str, newest: int) -> Ability | None:
    if not newest or newest >= _number(name):
        return None
    reason = "Its baseline is older: give the cluster a fresh credential."
    return Ability(name, False, str(newest), reason)


class Capability(models.Model):
    """One discovered ability, for example `tenancy.native`. `reason` says why it is not served."""

    cluster = models.ForeignKey(
        "clusters.Cluster", on_delete=models.CASCADE, related_name="capabilities"
    )
    name = models.CharField(max_length=100)  # the longest name that a definition can have, and ours
    served = models.BooleanField(default=False)
    version = models.CharField(max_length=_VERSION_LENGTH, blank=True, default="")
    reason = models.CharField(max_length=_REASON_LENGTH, blank=True, default="")
    observed_at = models.DateTimeField(auto_now=True)

    objects = CapabilityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "capabilities"
        ordering = ["cluster", "name"]
        constraints = [models.UniqueConstraint(fields=["cluster", "name"], name="capability_once")]

    def __str__(self) -> str:
        return f"{self.name} on {self.cluster.name}"

    @property
    def ability(self) -> Ability:
        """The part that a probe finds."""
        return Ability(self.name, self.served, self.version, self.reason)
