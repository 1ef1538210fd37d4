"""Restrictions as the texts of a ConfigMap, and how admission policies take them apart. Pure.

A list is one entry a line: no entry may hold a line break or be empty (`tenancy.rules.kinds`), so
no two lists look alike. An absent key restricts nothing; an empty text allows nothing.
"""

from collections.abc import Mapping

from reconcile.values import JSON
from tenancy.rules.images import folded

PARAMETERS = "kubenova-rules"  # the ConfigMap, in each namespace of a project
CORDONED = "cordoned"
_TRUE = "true"
# Kinds that no cluster is told of: KubeNova makes every namespace and rolls out every revision.
KEPT_HERE = frozenset({"namespaces", "freeze"})


def encoded(restrictions: Mapping[str, object], *, cordoned: bool = False) -> dict[str, str]:
    """Return the data of a project's ConfigMap for restrictions that have no problems."""
    data = {CORDONED: _TRUE} if cordoned else {}
    for kind, value in sorted(restrictions.items()):
        if kind in KEPT_HERE:
            continue
        if kind == "node_selector":
            data[kind] = _lines(f"{key}={text}" for key, text in sorted(_map(value).items()))
        elif isinstance(value, Mapping):
            sides = sorted(value.items())
            data |= {f"{kind}.{side}": _lines(map(folded, texts)) for side, texts in sides}
        elif isinstance(value, list | tuple):
            data[kind] = _lines(value)
    return data


def _map(value: object) -> JSON:
    return dict(value) if isinstance(value, Mapping) else {}


def _lines(texts: object) -> str:
    return "\n".join(texts)  # type: ignore[arg-type]
