"""An app on a cluster: what is wanted there, and how each of its components fares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import ClassVar, cast

from django.db import models
from django.utils import timezone

from delivery.adapters.native import NativeApps
from delivery.intents import AppIntent, Component
from delivery.models.app import App
from delivery.models.overrides import clash_at, components_at
from delivery.models.publishing import Publishing
from delivery.models.secret_placement import versions_on
from delivery.rules.published_types import unknown_types
from delivery.rules.secrets import names_used
from reconcile.loop import Outcome
from reconcile.models.convergent import Wait
from reconcile.models.rows import read
from reconcile.models.statements import put
from reconcile.models.work import Lease, marking
from reconcile.plan import Task
from reconcile.prepared import Document
from reconcile.values import JSON, Health, Live, Part, Phase, Ref, RepairMode
from tenancy.models import ProjectPlacement

_PHASES = {
    Health.READY: Phase.DEPLOYED,
    Health.PROGRESSING: Phase.APPLYING,
    Health.FAILED: Phase.ERROR,
}
_CLASH_LOOK = 300.0
_TURN = Wait("WaitingForWave", "It waits for its wave of the rollout.", look_in=300.0)
_STEP = Wait("WaitingForWorkflow", "It waits for a step of its workflow.", look_in=300.0)
_FOREIGN = Wait(
    "WaitingForType",
    "It uses types that operators have published for KubeVela, and plain Kubernetes serves here.",
    look_in=300.0,
)
_PROGRESS = ("ready", "wanted", "message")  # what moves while a component comes up


class AppPlacement(Publishing):
    """An app on a cluster: it is to run the revision `target`.

    `revision` is the one that its plan last put there, 0 for none.
    """

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="placements")
    target = models.PositiveIntegerField(default=0, editable=False)
    revision = models.PositiveIntegerField(default=0, editable=False)
    components = models.JSONField(default=list, blank=True, editable=False)

    parent_field: ClassVar[str] = "app"

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(fields=["app", "cluster"], name="app_once_per_cluster")
        ]

    @property
    def repair_mode(self) -> RepairMode:
        """The app's own, else its tenant's."""
        tenant = self.app.project.tenant
        read(self.app.key)
        read(tenant.key)
        return RepairMode(self.app.repair_mode or tenant.repair_mode)

    @property
    def namespace(self) -> str:
        """The namespace of its project on this cluster."""
        home = self.home()
        return home.namespace if home else self.app.project.namespace

    def home(self) -> ProjectPlacement | None:
        """Its project on this cluster."""
        found = cast(ProjectPlacement | None, self.app.project.placed_on(self.cluster_id))
        if found:
            found.project, found.cluster = self.app.project, self.cluster
        return found

    def intent(self) -> AppIntent:
        """The components of its target revision, in the namespace of the project."""
        found = self.numbered(self.intent_at(self.app.spec_of(self.target)))
        if self.with_kubevela:
            return found
        ours = [each for each in found.components if not each.published]  # it waits for the rest
        return replace(found, components=tuple(ours))

    def intent_at(self, spec: JSON) -> AppIntent:
        """The components of a revision's spec, not published yet."""
        app, project = self.app, self.app.project
        tenant = project.tenant
        read(tenant.key)
        components = components_at(spec, self.cluster)
        return AppIntent(
            tenant=tenant.name,
            project=project.name,
            name=app.name,
            namespace=self.namespace,
            revision=self.target,
            components=tuple(Component.of(declared) for declared in components),
            labels=app.labels,
            health_deadline=app.health_deadline,
            node_selector=project.in_force(self.cluster_name).get("node_selector", {}),
            secrets=versions_on(self.cluster_id, project, names_used(components)),
            overdue=frozenset(self._overdue()),
        )

    def upcoming(self) -> list[JSON]:
        """Return what the newest revision would bring here, where it is not there yet.

        Whatever keeps it back, a wave, a pause or a freeze. Of an app that KubeVela rolls out it is
        what plain Kubernetes would have: KubeVela makes the like of the same types.
        """
        app = self.app
        if not app.revision or app.deleting or self.revision == app.revision:
            return []
        spec = app.spec_of(app.revision)
        if clash_at(spec, self.cluster):
            return []
        intent = replace(self.intent_at(spec), revision=app.revision)
        ours = tuple(each for each in intent.components if not each.published)
        return NativeApps().render(replace(intent, components=ours))

    def _overdue(self) -> Iterator[str]:
        """Name the components of the target that came no further for as long as they may.

        Whoever has failed stays so until it is ready, or another revision is on its way.
        """
        limit = timezone.now() - timedelta(seconds=self.app.health_deadline)
        for each in self.components:
            moved = datetime.fromisoformat(each.get("moved", each["since"]))
            slow = each["phase"] == Phase.APPLYING and moved <= limit
            if each["revision"] == self.target and (slow or each["phase"] == Phase.ERROR):
                yield each["name"]

    def waits_for(self) -> Sequence[Wait]:
        """As for any row; labels of clusters may bring overrides together that do not match."""
        if found := super().waits_for():
            return found
        if not (self.target or self.deleting):
            return (self._turn(),)
        if self.deleting:
            return ()
        spec = self.app.spec_of(self.target)
        if not self.with_kubevela and unknown_types(components_at(spec, self.cluster)):
            return (_FOREIGN,)
        if not (text := clash_at(spec, self.cluster)):
            return ()
        message = f"Overrides that apply here do not go together: {text}"
        return (Wait("WaitingForOverrides", message, look_in=_CLASH_LOOK),)

    def _turn(self) -> Wait:
        """What it waits for as long as nothing is to run there."""
        read(self.app.project.tenant.key)
        if found := self.app.held():
            return Wait(found.reason, found.message, look_in=_TURN.look_in)
        return _STEP if self.app.rolling() else _TURN

    def record_success(
        self, task: Task, seen: Mapping[Ref, Live], generation: int, lease: Lease
    ) -> Outcome:
        """Note which revision is there and since when each component is as it is."""
        intent = cast(AppIntent, task.intent)
        parts = self.adapter().assess(intent, seen).parts
        status = {
            "revision": intent.revision,
            "components": [self._told(part, intent.revision) for part in parts],
        }
        with marking(lease):
            if self.revision != intent.revision and not self.app.sums_up_at_once:
                self.app.mark_to_sum_up()  # a wave may wait for that and nothing else
            if any(getattr(self, name) != value for name, value in status.items()):
                self.revision, self.components = intent.revision, status["components"]
                there = Document(self.components)
                put(self.label, self.pk, lease, revision=self.revision, components=there)
            return super().record_success(task, seen, generation, lease)

    def progress_look(self) -> float:
        """As for any row; not later than a component has come up too slowly."""
        limit = timedelta(seconds=self.app.health_deadline)
        waits = [
            (datetime.fromisoformat(each["moved"]) + limit - timezone.now()).total_seconds()
            for each in self.components
            if each["phase"] == Phase.APPLYING
        ]
        return min([super().progress_look(), *(max(wait, 0.5) for wait in waits)])

    def _told(self, part: Part, revision: int) -> JSON:
        told = {**asdict(part), "revision": revision, "phase": _PHASES[part.health]}
        del told["health"]
        before: JSON = next((each for each in self.components if each["name"] == part.name), {})
        same = all(before.get(key) == told[key] for key in ("revision", "phase"))
        still = same and all(before.get(key) == told[key] for key in _PROGRESS)
        now = timezone.now().isoformat(timespec="seconds").replace("+00:00", "Z")
        since = before["since"] if same else now
        return {**told, "since": since, "moved": before.get("moved", since) if still else now}

    def rollout(self) -> list[JSON]:
        """Tell how each component fares: name, revision, phase, ready, wanted, message, since.

        `revision` is the one that is there, None for none. Until it is the target, or while the
        plan does not take, the phase tells of the change and not of what still runs.
        """
        known = {each["name"]: each for each in self.components}
        found = components_at(self.app.spec_of(self.target or self.app.revision), self.cluster)
        declared = (Component.of(item) for item in found)
        return [self._row(component, known.get(component.name, {})) for component in declared]

    def _row(self, component: Component, seen: JSON) -> JSON:
        row = {
            "name": component.name,
            "revision": None,
            "phase": self.phase,
            "ready": 0,
            "message": "",
            "since": self.created_at,
            "wanted": component.replicas,
        } | seen
        synced: JSON = next((each for each in self.conditions if each["type"] == "Synced"), {})
        if synced.get("status") != "True":
            since = synced.get("last_transition", self.created_at)
            return row | {"phase": self.phase, "message": synced.get("message", ""), "since": since}
        if row["revision"] != self.target:
            return row | {"phase": Phase.APPLYING, "wanted": component.replicas}
        return row
