"""Apps on plain Kubernetes: a workload per component, with what its traits add to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set

from clusters.kinds import (
    CONFIG_MAP,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    INGRESS,
    JOB,
    LIMIT_RANGE,
    PERSISTENT_VOLUME_CLAIM,
    RESOURCE_QUOTA,
    SERVICE,
    STATEFUL_SET,
)
from delivery.adapters.native_health import part_of, summed_up
from delivery.adapters.native_network import autoscalers_of, ingresses_of, services_of
from delivery.adapters.native_pods import REVISION
from delivery.adapters.native_storage import claims_of, config_maps_of
from delivery.adapters.native_workloads import workload_of
from delivery.intents import AppIntent, Component
from delivery.rules.headroom import defaults_of, demand_of, headroom
from reconcile.planning.values import Headroom
from reconcile.values import JSON, Assessment, Health, Kind, Live, Part, Ref, ref_of

__all__ = ["DEPLOYMENT", "LIMIT_RANGE", "RESOURCE_QUOTA", "SERVICE", "NativeApps"]

_OF_PROJECT = "kubenova"


def _workloads_of(intent: AppIntent, component: Component) -> Iterator[JSON]:
    yield workload_of(intent, component)


# What a component is made of, in the order in which it is rendered.
_MADE: tuple[Callable[[AppIntent, Component], Iterator[JSON]], ...] = (
    *(config_maps_of, claims_of, _workloads_of),
    *(services_of, autoscalers_of, ingresses_of),
)


class NativeApps:
    """Names of objects are those of the components, as with KubeVela; Jobs add a hash."""

    name = "delivery.native"
    kinds: Sequence[Kind] = (
        *(CONFIG_MAP, PERSISTENT_VOLUME_CLAIM),
        *(DEPLOYMENT, STATEFUL_SET, DAEMON_SET, JOB, CRON_JOB),
        *(SERVICE, HORIZONTAL_POD_AUTOSCALER, INGRESS),
    )

    def render(self, intent: AppIntent) -> list[JSON]:
        """All objects, part by part, in the order of the components."""
        return [
            body
            for make in _MADE
            for component in intent.components
            for body in make(intent, component)
        ]

    def holds(
        self, intent: AppIntent, seen: Mapping[Ref, Live], changing: Set[Ref]
    ) -> frozenset[Ref]:
        """Return what is not to be written yet: `changing` is what a plan would create or change.

        A component waits for those that it depends on: until they are as declared, and ready.
        """
        refs = {component.name: self._refs(intent, component) for component in intent.components}
        parts = {part.name: part for part in self.assess(intent, seen).parts}
        ready = {
            name
            for name, part in parts.items()
            if part.health is Health.READY and not changing & refs[name]
        }
        waiting = (each for each in intent.components if not ready.issuperset(each.depends_on))
        return frozenset(ref for component in waiting for ref in refs[component.name])

    def assess(self, intent: AppIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """As healthy as the worst component, judged by the status of its objects."""
        parts: dict[str, Part] = {}
        for component in intent.components:
            parts[component.name] = self._part(intent, component, seen)
        for component in intent.components:
            if _left_behind(component, self._workload(intent, component, seen), intent.revision):
                part = parts[component.name]
                text = f"It waits for {', '.join(sorted(component.depends_on))}."
                health = Health.PROGRESSING
                parts[component.name] = Part(part.name, health, part.ready, part.wanted, text)
        return summed_up(tuple(parts.values()))

    def _part(self, intent: AppIntent, component: Component, seen: Mapping[Ref, Live]) -> Part:
        refs = self._refs(intent, component)
        beside = [seen[ref] for ref in sorted(refs, key=str) if ref in seen]
        live = self._workload(intent, component, seen)
        others = [each for each in beside if each is not live]
        return part_of(component, live, others, overdue=component.name in intent.overdue)

    def _workload(
        self, intent: AppIntent, component: Component, seen: Mapping[Ref, Live]
    ) -> Live | None:
        return seen.get(ref_of(workload_of(intent, component), self.kinds))

    def _refs(self, intent: AppIntent, component: Component) -> frozenset[Ref]:
        bodies = (body for make in _MADE for body in make(intent, component))
        return frozenset(ref_of(body, self.kinds) for body in bodies)

    def beside(self, intent: AppIntent) -> list[Ref]:
        """What a plan looks at besides: the quota of the project and its defaults."""
        return [Ref(kind, intent.namespace, _OF_PROJECT) for kind in (RESOURCE_QUOTA, LIMIT_RANGE)]

    def headroom(
        self, intent: AppIntent, seen: Mapping[Ref, Live], wanted: Mapping[Ref, JSON]
    ) -> list[Headroom]:
        """Compare what the app asks for anew with what the project's quota leaves.

        `wanted` is all that the same plan wants on the cluster: it may change the quota, too.
        """
        quota, limits = (as_planned(ref, seen, wanted) for ref in self.beside(intent))
        defaults = defaults_of(limits)
        now = {ref: live.body for ref, live in seen.items() if ref.kind in self.kinds}
        rendered = {ref_of(body, self.kinds): body for body in self.render(intent)}
        # How many nodes there are is known from what runs on them.
        then = [
            {"status": now.get(ref, {}).get("status"), **body} for ref, body in rendered.items()
        ]
        before, after = (demand_of(bodies, defaults) for bodies in (list(now.values()), then))
        return headroom(intent.namespace, quota, before, after)


def _left_behind(component: Component, live: Live | None, revision: int) -> bool:
    """Whether what runs is not what is wanted, since something else was not ready in time."""
    if not component.depends_on:
        return False
    noted = (live.body["metadata"].get("annotations") or {}).get(REVISION) if live else None
    return noted != str(revision)


def as_planned(ref: Ref, seen: Mapping[Ref, Live], wanted: Mapping[Ref, JSON]) -> JSON:
    """An object as it is, with the spec that it will have; empty when there is none."""
    live = seen[ref].body if ref in seen else {}
    return {**live, "spec": wanted[ref]["spec"]} if ref in wanted else live
