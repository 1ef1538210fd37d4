"""Apps on KubeVela: one Application each (`core.oam.dev/v1beta1`), which KubeVela rolls out.

Types, properties and traits are KubeVela's own already. An Application is rolled out when its
annotation `app.oam.dev/publishVersion` has a value that it never had before, and only then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from clusters.adapters.kubevela import APPLICATION, DEPLOYER
from delivery.adapters.kubevela_health import assessed
from delivery.adapters.kubevela_traits import RUN_PATH, traits_of
from delivery.adapters.native import NativeApps, as_planned
from delivery.intents import AppIntent, Component
from delivery.rules.applications import ACCOUNT
from delivery.rules.headroom import defaults_of, demand_of, headroom
from delivery.rules.problems import component_problems
from delivery.rules.types import TRAIT_TYPES
from reconcile.planning.values import Headroom
from reconcile.values import APP, JSON, PROJECT, TENANT, Assessment, Kind, Live, Ref, digest

PUBLISHED = "app.oam.dev/publishVersion"
# KubeVela makes labels of `<application>-v<number>`, which hold 63 characters.
_LONGEST, _KEPT, _DIGITS = 52, 43, 8
_UNSAID = frozenset({"securitycontext"})  # says nothing of what pods ask of a quota


def application_name(app: str) -> str:
    """Return the name of an app's Application: the app's own, shortened where it is long."""
    return app if len(app) <= _LONGEST else f"{app[:_KEPT]}-{digest(app)[:_DIGITS]}"


def spec_of(intent: AppIntent) -> JSON:
    """Return the spec of the Application: whatever changes here has to be published anew."""
    components = [_component(intent, component) for component in intent.components]
    policies = [*_policies(intent)]
    return {"components": components, **({"policies": policies} if policies else {})}


class KubeVelaApps:
    """The account that it names, and its rights, belong to the project that all apps share."""

    name = "delivery.kubevela"
    kinds: Sequence[Kind] = (APPLICATION,)

    def render(self, intent: AppIntent) -> list[JSON]:
        """One Application, which bears the version that is to run; none before there is one."""
        if not intent.components:
            return []  # its wave has yet to come
        labels = {TENANT: intent.tenant, PROJECT: intent.project, APP: intent.name}
        meta: JSON = {
            "name": application_name(intent.name),
            "namespace": intent.namespace,
            "labels": {**intent.labels, **labels},
            "annotations": {PUBLISHED: version_of(intent), ACCOUNT: DEPLOYER},
        }
        return [
            {
                "apiVersion": APPLICATION.api_version,
                "kind": APPLICATION.name,
                "metadata": meta,
                "spec": spec_of(intent),
            }
        ]

    def assess(self, intent: AppIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """As KubeVela's status tells, once it is about the version that is to run."""
        live = seen.get(_ref(intent))
        return assessed(intent, live, version_of(intent))

    def types(self, intent: AppIntent) -> Iterator[tuple[str, str]]:
        """Yield the capabilities that a cluster's KubeVela has to have, each with who needs it."""
        for component in intent.components:
            field = f"components.{component.name}"
            yield f"{self.name}.component.{component.type}", field
            for trait in traits_of(intent, component):
                yield f"{self.name}.trait.{trait['type']}", field

    def beside(self, intent: AppIntent) -> list[Ref]:
        """As on plain Kubernetes."""
        return NativeApps().beside(intent)

    def headroom(
        self, intent: AppIntent, seen: Mapping[Ref, Live], wanted: Mapping[Ref, JSON]
    ) -> list[Headroom]:
        """As on plain Kubernetes, by what the Application says now and will say.

        On how many nodes a daemon runs is not told there: it counts as one pod. What published
        types bring up does not count.
        """
        quota, limits = (as_planned(ref, seen, wanted) for ref in self.beside(intent))
        defaults = defaults_of(limits)
        known = tuple(_components_in(seen.get(_ref(intent))))
        before, after = (
            demand_of(NativeApps().render(_ours(each)), defaults)
            for each in (replace(intent, components=known), intent)
        )
        return headroom(intent.namespace, quota, before, after)


def _ours(intent: AppIntent) -> AppIntent:
    """Without what only published definitions know how to bring up."""
    found = [each for each in intent.components if not each.published]
    return replace(intent, components=tuple(found))


def version_of(intent: AppIntent) -> str:
    """Return the value of the annotation."""
    return intent.publication or f"r{intent.revision}"


def _ref(intent: AppIntent) -> Ref:
    return Ref(APPLICATION, intent.namespace, application_name(intent.name))


def _component(intent: AppIntent, component: Component) -> JSON:
    found: JSON = {
        "name": component.name,
        "type": component.type,
        "properties": dict(component.properties),
        "traits": traits_of(intent, component),
    }
    return found | ({"dependsOn": list(component.depends_on)} if component.depends_on else {})


def _policies(intent: AppIntent) -> Iterator[JSON]:
    """Replicas are an autoscaler's from its first act on (kubevela#3840), a changed task runs anew.

    What is no longer wanted KubeVela deletes unasked, once the rest has been rolled out.
    """
    scaled = [each.name for each in intent.components if "hpa" in each.traits]
    if scaled:
        selector = {"componentNames": scaled, "resourceTypes": ["Deployment", "StatefulSet"]}
        strategy = {"path": ["spec.replicas"], "affect": "always"}
        rules = [{"selector": selector, "strategy": strategy}]
        yield _policy("autoscaled", "apply-once", {"enable": True, "rules": rules})
    tasks = [each.name for each in intent.components if each.type == "task"]
    if tasks:
        anew = {"recreateFields": [RUN_PATH]}
        rules = [
            {
                "selector": {"componentNames": tasks, "resourceTypes": ["Job"]},
                "strategy": {"op": "patch", **anew},
            }
        ]
        yield _policy("tasks", "resource-update", {"rules": rules})


def _policy(name: str, type_: str, properties: JSON) -> JSON:
    return {"name": f"kubenova-{name}", "type": type_, "properties": properties}


def _components_in(live: Live | None) -> Iterator[Component]:
    """The components of an Application as somebody could declare them; anything else is left out.

    Whoever else writes Applications may have written anything.
    """
    spec = live.body.get("spec") if live else None
    listed = spec.get("components") if isinstance(spec, dict) else None
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict):
            continue
        declared = {key: each[key] for key in ("name", "type", "properties") if key in each}
        declared["traits"] = [*_declared_traits(each.get("traits"))]
        if not component_problems([declared]):
            yield Component.of(declared)


def _declared_traits(traits: object) -> Iterator[JSON]:
    for each in traits if isinstance(traits, list) else ():
        type_ = each.get("type") if isinstance(each, dict) else None
        if isinstance(type_, str) and type_ in TRAIT_TYPES and type_ not in _UNSAID:
            yield each
