"""Looks at which types of components and traits KubeVela knows on a cluster. Only reads.

KubeVela's own are objects in its namespace; its chart installs them, and operators may take some
away. Where nothing is found, or not everything can be seen, nothing is said about any.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

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
from reconcile.values import Kind, Live, digest

_MOST = 500
_NONE: Mapping[str, Collection[str]] = {}
_LONGEST = 63  # of the name of an ability
_KINDS: tuple[tuple[str, Kind, Sequence[str]], ...] = (
    ("component", COMPONENT_DEFINITION, COMPONENT_TYPES),
    ("trait", TRAIT_DEFINITION, (*TRAIT_TYPES, *PATCH_TYPES)),
)


# Who else wants to know of types: each returns names by their word.
EXPECTED: list[Callable[[], Mapping[str, Collection[str]]]] = []


def expected() -> dict[str, set[str]]:
    """Return the types that somebody wants to know of, by word."""
    found: dict[str, set[str]] = {}
    for source in EXPECTED:
        for word, names in source().items():
            found.setdefault(word, set()).update(names)
    return found


def ability_of(word: str, type_: str) -> str:
    """Name the ability to serve a type of `component` or `trait`."""
    return f"delivery.kubevela.{word}.{type_}"


def mark_of(live: Live) -> str:
    """Return what changes when somebody changes a definition; its metadata is KubeVela's."""
    return digest(live.body.get("spec"))


def definitions(
    cluster: Reachable, served: Served, also: Mapping[str, Collection[str]] = _NONE
) -> Iterator[Ability]:
    """Yield an ability per type that apps need, such as `delivery.kubevela.component.webservice`.

    Of the types `also` asked for, by word, the version is what they look like (`mark_of`).
    Raises ClusterError when the cluster does not answer.
    """
    for word, kind, types in _KINDS:
        if (kind.api_version, kind.plural) not in served:
            continue
        known = _marks(cluster, kind)
        more = set(also.get(word, ()))
        for type_ in sorted({*types, *more}) if known else ():
            found = type_ in known
            reason = "" if found else f"KubeVela has no {kind.name} {type_} there."
            mark = known.get(type_, "") if type_ in more else ""
            name = ability_of(word, type_)
            if len(name) <= _LONGEST:
                yield Ability(name, found, mark, reason)


def _marks(cluster: Reachable, kind: Kind) -> dict[str, str]:
    """KubeVela's own objects of a kind, by name; none where they cannot all be seen."""
    try:
        page = cluster.list_page(kind, namespace=DEFINITIONS_NAMESPACE, limit=_MOST)
    except Forbidden:
        return {}  # by a baseline that is older
    return {} if page.token else {live.ref.name: mark_of(live) for live in page.items}
