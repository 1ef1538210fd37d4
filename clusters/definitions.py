"""Looks at which types of components and traits KubeVela knows on a cluster. Only reads.

KubeVela's own are objects in its namespace; its chart installs them, and operators may take some
away. Where nothing is found, or not everything can be seen, nothing is said about any.
"""

from collections.abc import Iterator, Sequence

from clusters.adapters.kubevela import (
    COMPONENT_DEFINITION,
    COMPONENT_TYPES,
    DEFINITIONS_NAMESPACE,
    PATCH_TYPES,
    TRAIT_DEFINITION,
    TRAIT_TYPES,
)
from clusters.discovery import Served
from clusters.platforms import Ability
from clusters.reachable import Reachable
from reconcile.errors import Forbidden
from reconcile.values import Kind

_MOST = 500
_KINDS: tuple[tuple[str, Kind, Sequence[str]], ...] = (
    ("component", COMPONENT_DEFINITION, COMPONENT_TYPES),
    ("trait", TRAIT_DEFINITION, (*TRAIT_TYPES, *PATCH_TYPES)),
)


def definitions(cluster: Reachable, served: Served) -> Iterator[Ability]:
    """Yield an ability per type that apps need, such as `delivery.kubevela.component.webservice`.

    Raises ClusterError when the cluster does not answer.
    """
    for word, kind, types in _KINDS:
        if (kind.api_version, kind.plural) not in served:
            continue
        known = _names(cluster, kind)
        for type_ in types if known else ():
            found = type_ in known
            reason = "" if found else f"KubeVela has no {kind.name} {type_} there."
            yield Ability(f"delivery.kubevela.{word}.{type_}", found, reason=reason)


def _names(cluster: Reachable, kind: Kind) -> set[str]:
    """The names of KubeVela's own objects of a kind; none where they cannot all be seen."""
    try:
        page = cluster.list_page(kind, namespace=DEFINITIONS_NAMESPACE, limit=_MOST)
    except Forbidden:
        return set()  # by a baseline that is older
    return set() if page.token else {live.ref.name for live in page.items}
