"""`docs/fields.md`: every field with what enforces it, and every kind of restriction. Pure."""

import json
from collections.abc import Iterator, Sequence

from tenancy.rules.fields import PROJECT, TENANT, Field, Means
from tenancy.rules.kind import RuleKind
from tenancy.rules.kinds import KINDS

_HEAD = """# What enforces each field

A field that a cluster cannot enforce is refused with 422, with what was found, what is needed and
which clusters could serve it. On plain Kubernetes the adapter is `tenancy.native`, with Capsule
`tenancy.capsule`; *as native* means that the same objects do it. A capability in brackets is needed
beside the adapter's own; after *else* stands what older versions of Capsule have in its place.
*Policy* is the validating admission policy of the same restriction, in the namespaces of projects.
"""
_RESTRICTIONS = """
## Restrictions

Each is a key of a tenant's `restrictions`. One that is absent restricts nothing; an empty list
allows nothing. Where several values hold at once the stricter counts: of what is allowed only what
all allow, of what is denied what any denies, the smaller number.

On the cluster they stand in the ConfigMap `kubenova-rules` of each namespace, one entry a line, and
the policy `kubenova-<kind>` reads them there. Without that ConfigMap nothing can be made. What
breaks a rule already can be deleted, labelled and scaled (into what `replicas` allows), and cannot
be made worse. What is of the namespace itself, `namespaces` and `pod_security`, is no parameter.

The rules of policy sets are of the same kinds. What they enforce is merged with the tenant's own,
what they warn of or audit stands in `kubenova-rules-warn` and `kubenova-rules-audit` (capability
`baseline.5`), which are there only where there is anything to say. Capsule's Tenant has none of it.
"""


def page() -> str:
    """Return the page, to be written to `docs/fields.md`."""
    parts = [
        _HEAD,
        *_table("Tenants", TENANT),
        *_table("Projects", PROJECT),
        _RESTRICTIONS,
        *(line for kind in KINDS.values() for line in _kind(kind)),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(title: str, fields: Sequence[Field]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| Field | Plain Kubernetes | Capsule |"
    yield "| --- | --- | --- |"
    for field in fields:
        capsule = _means(field.capsule) if field.capsule else "as native"
        yield f"| `{field.path}` | {_means(field.native)} | {capsule} |"
    yield ""


def _means(means: Means) -> str:
    needed = f" (`{means.capability}`)" if means.capability else ""
    older = f", else {means.older}" if means.older else ""
    return f"{means.by}{needed}{older}"


def _kind(kind: RuleKind) -> Iterator[str]:
    yield f"### `{kind.name}`\n"
    yield f"{kind.title}. {kind.summary}\n"
    yield f"Example: `{json.dumps({kind.name: kind.example})}`\n"
    yield "```json"
    yield json.dumps(kind.schema, indent=2)
    yield "```\n"
