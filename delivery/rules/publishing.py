"""Definitions for KubeVela that operators publish: what they are, what is wrong with one. Pure.

A template (CUE) is a text here: bounded, stored and sent. Nothing in KubeNova evaluates it.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from clusters.adapters.kubevela import DEFINITIONS_NAMESPACE, GROUP
from clusters.bundles import ABSENT
from delivery.rules.schema import Path, Problem, within
from delivery.rules.storable import unsafe
from reconcile.spelling import name_fault
from reconcile.values import JSON

MAX_TEMPLATE = 65_536
_DESCRIPTION = "definition.oam.dev/description"


class PublishedKind(StrEnum):
    """What a definition is of, as the API names it."""

    COMPONENT = "components"
    TRAIT = "traits"
    STEP = "workflow-steps"


# What the rest calls these, of those that apps are made of.
WORDS: Mapping[str, str] = {PublishedKind.COMPONENT: "component", PublishedKind.TRAIT: "trait"}
# What clusters are asked for: those, and steps.
ASKED: Mapping[str, str] = {**WORDS, PublishedKind.STEP: "step"}
KINDS: Mapping[str, str] = {
    PublishedKind.COMPONENT: "ComponentDefinition",
    PublishedKind.TRAIT: "TraitDefinition",
    PublishedKind.STEP: "WorkflowStepDefinition",
}
# Names of KubeVela's own (1.10, 1.11): its chart installs them, and its next release overwrites.
BUILT_IN: Mapping[str, frozenset[str]] = {
    PublishedKind.COMPONENT: frozenset(
        {
            *("cron-task", "daemon", "k8s-objects", "raw", "ref-objects", "statefulset"),
            *("task", "webservice", "worker"),
        }
    ),
    PublishedKind.TRAIT: frozenset(
        {
            *("affinity", "annotations", "command", "container-image", "container-ports"),
            *("cpuscaler", "env", "expose", "gateway", "hostalias", "hpa", "init-container"),
            *("json-merge-patch", "json-patch", "k8s-update-strategy", "labels", "lifecycle"),
            *("nocalhost", "podsecuritycontext", "pure-ingress", "resource", "scaler"),
            *("securitycontext", "service-account", "service-binding", "sidecar"),
            *("startup-probe", "storage", "topologyspreadconstraints"),
        }
    ),
    PublishedKind.STEP: frozenset(
        {
            *("addon-operation", "apply-app", "apply-application"),
            *("apply-application-in-parallel", "apply-component", "apply-deployment"),
            *("apply-object", "apply-remaining", "apply-terraform-config"),
            *("apply-terraform-provider", "build-push-image", "check-metrics", "clean-jobs"),
            *("collect-service-endpoints", "create-config", "delete-config", "depends-on-app"),
            *("deploy", "deploy-cloud-resource", "export-data", "export-service"),
            *("export2config", "export2secret", "generate-jdbc-connection", "list-config"),
            *("notification", "print-message-in-status", "read-app", "read-config"),
            *("read-object", "request", "restart-workflow", "share-cloud-resource"),
            *("step-group", "suspend", "vela-cli", "webhook"),
        }
    ),
}


def definition_problems(kind: str, name: str, spec: object, *, shadows: bool) -> Iterator[Problem]:
    """Yield what is wrong with a definition, each at its field: `name` or inside of `spec`.

    `shadows` says that it is meant to stand in for one of KubeVela's own.
    """
    if fault := name_fault(name):
        yield Problem(("name",), "name", f"The name {fault}.")
    if name in BUILT_IN[kind] and not shadows:
        text = (
            f"KubeVela has a definition {name} of its own. Say `shadows` if this is to replace it."
        )
        yield Problem(("name",), "built_in", text)
    yield from within(("spec",), _spec_problems(spec))


def _spec_problems(spec: object) -> Iterator[Problem]:
    if not isinstance(spec, dict):
        yield Problem((), "object", "Use an object.")
        return
    if danger := unsafe([spec]):
        texts = {"depth": "It is nested too deeply.", "too_large": "It is too large."}
        yield Problem(danger.path[1:], danger.code, texts.get(danger.code, danger.text))
        return
    schematic = spec.get("schematic")
    cue = schematic.get("cue") if isinstance(schematic, dict) and len(schematic) == 1 else None
    template = cue.get("template") if isinstance(cue, dict) and len(cue) == 1 else None
    place: Path = ("schematic", "cue", "template")
    if not isinstance(template, str) or not template.strip():
        text = "Give the template in CUE, here and nowhere else: no other schematic is published."
        yield Problem(place, "required", text)
    elif len(template) > MAX_TEMPLATE:
        yield Problem(place, "too_large", f"It may hold at most {MAX_TEMPLATE} characters.")


def manifest(kind: str, name: str, description: str, spec: JSON) -> JSON:
    """Return the object as it lies beside KubeVela's own."""
    meta: JSON = {"name": name, "namespace": DEFINITIONS_NAMESPACE}
    if description:
        meta["annotations"] = {_DESCRIPTION: description}
    return {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": KINDS[kind],
        "metadata": meta,
        "spec": spec,
    }


def absence(kind: str, name: str) -> JSON:
    """Return what a bundle says to have the object taken away."""
    found = manifest(kind, name, "", {})
    found["metadata"]["annotations"] = {ABSENT: "true"}
    return found
