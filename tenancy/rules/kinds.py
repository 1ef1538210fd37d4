"""The kinds of restrictions: what each value looks like, and what is wrong with one. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from tenancy.rules import freezing, merging, named, network_bounds, values
from tenancy.rules.kind import LABELS, RuleKind, choice, list_of, names_of, parts_of
from tenancy.rules.kinds_workloads import WORKLOADS
from tenancy.rules.values import (
    IMAGE_REFERENCES,
    MOST_ENTRIES,
    MOST_NAMESPACES,
    PULL_POLICIES,
    SERVICE_TYPES,
    Problems,
)


def restriction_problems(value: object) -> Problems:
    """Yield (path, what is wrong) for restrictions: a map of kinds to their values."""
    if not isinstance(value, Mapping):
        yield "", 'Restrictions are a map such as {"service_types": ["ClusterIP"]}.'
        return
    for name, each in value.items():
        kind = KINDS.get(name) if isinstance(name, str) else None
        if kind is None:
            yield str(name), f"There is no such restriction: use {', '.join(sorted(KINDS))}."
            continue
        for path, text in kind.problems(each):
            yield f"{name}/{path}" if path else name, text


def merged(given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the strictest of several restrictions, kind by kind. Raises Contradiction."""
    named = {name for each in given for name in each}
    return {
        name: KINDS[name].merge([each[name] for each in given if name in each])
        for name in sorted(named)
    }


_ALL = (
    RuleKind(
        "image_registries",
        "Image registries",
        "Where images may come from; an entry covers all below its path. deny wins.",
        parts_of(**{side: list_of(maxLength=253) for side in ("allow", "deny")}),
        {"allow": ["registry.example.org/acme"]},
        values.registries,
        merging.registries,
    ),
    choice(
        "image_references",
        "Image references",
        "Whether images may be named by tags, or by digests alone, which never mean another image.",
        IMAGE_REFERENCES,
        "digest",
    ),
    choice(
        "image_pull_policies",
        "Image pull policies",
        "Which pull policies containers may have.",
        PULL_POLICIES,
        "Always",
    ),
    choice(
        "service_types",
        "Service types",
        "Which types of Services may be made.",
        SERVICE_TYPES,
        "ClusterIP",
    ),
    names_of(
        "ingress_classes",
        "Ingress classes",
        "Which classes Ingresses may name; each has to name one.",
        "public",
    ),
    RuleKind(
        "ingress_hosts",
        "Ingress host names",
        "Which host names Ingresses may serve, one in each rule; *.example.org covers one label.",
        list_of(maxLength=253),
        ["*.acme.example.org"],
        values.hosts,
        merging.hosts,
    ),
    names_of(
        "storage_classes",
        "Storage classes",
        "Which classes claims of storage may name; each has to name one.",
        "standard",
    ),
    names_of(
        "priority_classes",
        "Priority classes",
        "Which priority classes pods may name; the cluster gives its default one to the others.",
        "batch",
    ),
    names_of(
        "runtime_classes",
        "Runtime classes",
        "Which runtime classes pods may name; who names none gets the cluster's own runtime.",
        "sandboxed",
    ),
    RuleKind(
        "node_selector",
        "Nodes",
        "Labels of the nodes that pods may run on; every pod has to select them.",
        {**LABELS, "maxProperties": MOST_ENTRIES},
        {"pool": "acme"},
        values.node_selector,
        merging.selectors,
    ),
    RuleKind(
        "namespaces",
        "Namespaces",
        "How many projects there may be, and which labels they must or must not have.",
        parts_of(
            count={"type": "integer", "minimum": 1, "maximum": MOST_NAMESPACES},
            required_labels=LABELS,
            forbidden_labels=list_of(maxLength=317),
        ),
        {"count": 5},
        values.namespaces,
        merging.namespaces,
    ),
    RuleKind(
        freezing.FREEZE,
        "Freezes",
        "When no new revision is rolled out, such as fri 16:00 - mon 07:00 Europe/Berlin: Weekend.",
        freezing.SCHEMA,
        [{"from": "fri 16:00", "until": "mon 07:00", "reason": "Nobody is there"}],
        freezing.windows,
        freezing.together,
        freezing.written,
        freezing.read,
    ),
    RuleKind(
        named.NAMED,
        "Rules of operators",
        "Which rules in CEL hold that operators have published on the clusters, by name.",
        parts_of(rules={**list_of(maxLength=named.LONGEST), "minItems": 1}),
        {"rules": ["has-an-owner"]},
        named.problems,
        merging.named,
    ),
)
KINDS: Mapping[str, RuleKind] = {
    kind.name: kind for kind in (*_ALL, *WORKLOADS, network_bounds.KIND)
}
