"""One page of a simulation: objects of a kind in one namespace, tried or judged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clusters.answers import Expired
from clusters.kinds import NAMESPACE, POD
from clusters.reachable import Reachable
from delivery.models import AppPlacement
from policies.models.simulation import Simulation, SimulationFinding, Source, Verdict
from policies.rules import foreseeing, profiles
from policies.rules.replaying import (
    NEXT_REVISIONS,
    Subject,
    alone,
    broken_in,
    concerns,
    planned,
    subjects,
)
from policies.rules.values import Broken
from reconcile.errors import Missing, Refused
from reconcile.lanes import parallel
from reconcile.models import Lease
from reconcile.values import JSON, Kind, Live, Ref
from tenancy.models import ProjectPlacement
from tenancy.rules.profiles import STRICTEST

_PAGE = 50
Tried = tuple[list[SimulationFinding], int, str]  # found, how many were tried, how to go on


@dataclass(frozen=True)
class Page:
    """What is looked at in one step, and whose it is; copies are tried without the database."""

    api: Reachable
    cluster: str
    simulation: Simulation
    place: ProjectPlacement
    kind: Kind

    def tried(self, lease: Lease, token: str) -> Tried:
        """Try the page that `token` stands for, the first one where it is empty."""
        if self.kind == NAMESPACE:
            return list(self._ask(lease)), 1, ""
        if self.kind == NEXT_REVISIONS:
            return self._revisions(lease)
        return self._live(lease, token)

    # --- What is there.

    def _live(self, lease: Lease, token: str) -> Tried:
        where = self.place.namespace
        try:
            page = self.api.list_page(self.kind, namespace=where, limit=_PAGE, token=token)
        except Expired:
            page = self.api.list_page(self.kind, namespace=where, limit=_PAGE)
        except Missing:
            return [], 0, ""
        except Refused as error:
            whole = self._finding("Namespace", where, Verdict.UNJUDGED)
            whole.message = f"Its {self.kind.plural} cannot be read: {error.message}"[:1000]
            return [whole], 0, ""
        lease.check()
        if self.kind in foreseeing.KINDS:
            found = [one for each in page.items for one in self._foresee(each)]
            return found, len(page.items), page.token
        tried = list(subjects(page.items))
        each_found = parallel(lambda subject: list(self._try(subject)), tried)
        return [one for each in each_found for one in each], len(tried), page.token

    def _foresee(self, live: Live) -> Iterator[SimulationFinding]:
        """What no copy could tell, as its namespace matters: it is computed."""
        tenant = self.place.project.tenant.name
        for broken in foreseeing.foreseen(self.simulation.rules, live, tenant):
            kind, name = live.ref.kind.name, live.ref.name
            yield from self._broken(kind, name, broken, Verdict.PREDICTED)

    def _try(self, subject: Subject) -> Iterator[SimulationFinding]:
        try:
            warnings = self.api.apply(subject.ref, subject.manifest, dry_run=True).warnings
        except Refused as error:
            row = self._finding(subject.kind, subject.name, Verdict.UNJUDGED)
            row.message = error.message[:1000]
            yield row
            return
        for broken in broken_in(warnings):
            if broken.rule not in self.simulation.rules:
                continue  # of an earlier simulation, and about to be forgotten
            if concerns(broken.rule, subject.tried):  # else it is of what it was copied as
                yield from self._broken(subject.kind, subject.name, broken)

    def _ask(self, lease: Lease) -> Iterator[SimulationFinding]:
        """Ask the namespace itself which of its pods break the profile."""
        lease.check()
        if (live := self.api.get(Ref(NAMESPACE, "", self.place.namespace))) is None:
            return
        profile = str(self.simulation.rules[profiles.RULE])
        answer = self.api.apply(live.ref, profiles.asking(live, profile), dry_run=True)
        named = profiles.breaking(answer.warnings)
        counted = profile == STRICTEST and any(each.others for each in named)
        apart = self._alone(lease, named) if counted else {}
        for name, told in profiles.telling(named, apart):
            yield from self._broken("Pod", name, Broken(profiles.RULE, told))

    def _alone(self, lease: Lease, named: Iterable[profiles.Alike]) -> dict[str, str]:
        """Why pods that a namespace has only counted break the profile, by their names."""
        names, token = {each.name for each in named}, ""
        found: dict[str, str] = {}
        while True:
            page = self.api.list_page(POD, namespace=self.place.namespace, token=token)
            lease.check()
            tried = alone(page.items, names)
            told = parallel(self._reasons, tried)
            found |= {each.name: text for each, text in zip(tried, told, strict=True) if text}
            if not (token := page.token):
                return found

    def _reasons(self, subject: Subject) -> str:
        """What the cluster does not take stays one of those that are counted."""
        try:
            answer = self.api.apply(subject.ref, subject.manifest, dry_run=True)
        except Refused:
            return ""
        return profiles.reasons(answer.warnings)

    # --- What is about to be there.

    def _revisions(self, lease: Lease) -> Tried:
        """Try the newest revision of each app that is not there yet, whatever keeps it back."""
        if self.simulation.routine:
            return [], 0, ""  # which looks for what runs
        rows = AppPlacement.objects.filter(app__project=self.place.project_id)
        rows = rows.filter(cluster=self.place.cluster_id, deletion_requested_at=None)
        coming = [
            (row, row.with_kubevela, planned(self.simulation.rules, row.upcoming()))
            for row in rows.select_related("app__project__tenant", "cluster").order_by("pk")
        ]
        lease.check()
        found = [
            self._coming(finding, row, guessed=guessed)
            for row, guessed, tried in coming
            for each in parallel(lambda subject: list(self._try(subject)), tried)
            for finding in each
        ]
        return found, sum(len(tried) for _, _, tried in coming), ""

    @staticmethod
    def _coming(found: SimulationFinding, row: AppPlacement, *, guessed: bool) -> SimulationFinding:
        """What KubeVela will make of an app is not known for sure: that is predicted."""
        found.source, found.app = Source.NEXT_REVISION, row.app.name
        found.revision = row.app.revision
        if guessed and found.verdict == Verdict.DENIED:
            found.verdict = Verdict.PREDICTED
        return found

    # --- Findings.

    def _broken(
        self, kind: str, name: str, broken: Broken, verdict: Verdict = Verdict.DENIED
    ) -> Iterator[SimulationFinding]:
        project = self.place.project
        if not self.simulation.spares(project.tenant.name, project.name, broken.rule):
            row = self._finding(kind, name, verdict)
            row.rule, row.message = broken.rule, broken.message[:1000]
            yield row

    def _finding(self, kind: str, name: str, verdict: Verdict) -> SimulationFinding:
        project = self.place.project
        columns: JSON = {
            **{"tenant": project.tenant.name, "project": project.name},
            **{"cluster": self.cluster, "namespace": self.place.namespace},
        }
        return SimulationFinding(
            simulation=self.simulation, kind=kind, name=name, verdict=verdict, **columns
        )
