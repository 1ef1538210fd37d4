"""A project on Capsule: a namespace of its Tenant that holds what any project's namespace holds.

KubeNova's own objects are there from the moment the namespace is made, while Capsule's come some
seconds later, and they bind while Capsule's webhooks are down.
"""

from collections.abc import Mapping

from clusters.adapters.capsule import TENANT_KIND, TENANT_LABEL
from reconcile.values import JSON, Assessment, Health, Live, Ref
from tenancy.adapters.native import NODE_SELECTOR, NativeProjects
from tenancy.adapters.objects import NAMESPACE
from tenancy.intents import ProjectIntent


class CapsuleProjects(NativeProjects):
    """As on plain Kubernetes, with the label by which Capsule takes the namespace in."""

    name = "tenancy.capsule"

    def render(self, intent: ProjectIntent) -> list[JSON]:
        """What is native; the annotation of nodes is Capsule's to write."""
        bodies = super().render(intent)
        for body in bodies:
            if body["kind"] == NAMESPACE.name:
                meta = body["metadata"]
                meta["labels"] = {**meta["labels"], TENANT_LABEL: intent.tenant}
                annotations = {**meta.pop("annotations", {})}
                annotations.pop(NODE_SELECTOR, None)
                if annotations:
                    meta["annotations"] = annotations
        return bodies

    def assess(self, intent: ProjectIntent, seen: Mapping[Ref, Live]) -> Assessment:
        """Ready when the namespace is, and Capsule has made it the tenant's."""
        found = super().assess(intent, seen)
        live = seen.get(Ref(NAMESPACE, "", intent.namespace))
        if found.health is not Health.READY or (live and _belongs(live, intent.tenant)):
            return found
        told = "Capsule has not taken the namespace into the tenant yet."
        return Assessment(Health.PROGRESSING, "NamespacePending", told, facts=found.facts)


def _belongs(live: Live, tenant: str) -> bool:
    """Whether the namespace is owned by the Tenant: the label alone means nothing to Capsule."""
    owners = live.body["metadata"].get("ownerReferences") or []
    return any(
        (each.get("kind"), each.get("name")) == (TENANT_KIND.name, tenant) for each in owners
    )
