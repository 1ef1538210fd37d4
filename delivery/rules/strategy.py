"""The strategy of an app: in which waves a revision comes to its clusters. Pure.

A cluster belongs to the first wave that names it or whose selector it carries, as a placement
selects; those that no wave selects form the last one. Without waves all of them are one.
"""

from collections.abc import Iterable, Mapping, Sequence

from delivery.rules.schema import Path, Problem, schema_problems, within
from delivery.rules.shapes import BOOLEAN, LABEL, PAIRS, listed, obj, whole
from reconcile.spelling import label_faults, sentence
from reconcile.values import JSON

MAX_WAVES = 20
MAX_SOAK = 604_800  # a week, in seconds
_CLUSTERS = 200
STRATEGY = obj(
    waves=listed(
        obj(
            clusters=listed(LABEL, _CLUSTERS),
            selector=PAIRS,
            approval=BOOLEAN,
            soak=whole(0, MAX_SOAK),
            max_unavailable=whole(1, 1_000),
        ),
        MAX_WAVES,
        1,
    )
)


def strategy_problems(strategy: object) -> list[Problem]:
    """Return everything that is wrong with an app's `strategy`; empty when nothing is."""
    if found := list(schema_problems(strategy, STRATEGY)):
        return found
    waves = waves_of(strategy)
    named: dict[str, int] = {}
    for index, wave in enumerate(waves):
        found += within(("waves", index), _wave(wave))
        found += _named_again(index, wave, named)
    return found


def waves_of(strategy: object) -> list[JSON]:
    """Return the waves as they are declared."""
    waves: list[JSON] = strategy.get("waves", []) if isinstance(strategy, Mapping) else []
    return waves


def _wave(wave: JSON) -> Iterable[Problem]:
    if not wave.get("clusters") and not wave.get("selector"):
        yield Problem((), "required", "Say which clusters: by name, by a selector, or both.")
    for key, fault in label_faults(wave.get("selector", {})).items():
        path: Path = ("selector", key) if key else ("selector",)
        yield Problem(path, "labels", sentence(key, fault))


def _named_again(index: int, wave: JSON, named: dict[str, int]) -> Iterable[Problem]:
    """Find the clusters that are named for a second time; `named` holds the wave of each."""
    for place, name in enumerate(wave.get("clusters", ())):
        if name in named:
            text = f"Wave {named[name] + 1} names this cluster already."
            yield Problem(("waves", index, "clusters", place), "twice", text)
        named.setdefault(name, index)


def foreign_clusters(strategy: object, known: Iterable[str]) -> list[Problem]:
    """Point at the clusters that a wave names and that are not among the known ones."""
    there = set(known)
    text = "The project is not placed on this cluster."
    return [
        Problem(("waves", index, "clusters", place), "unknown", text)
        for index, wave in enumerate(waves_of(strategy))
        for place, name in enumerate(wave.get("clusters", ()))
        if name not in there
    ]


def names_in(strategy: object) -> set[str]:
    """Return the clusters that the waves name."""
    return {name for wave in waves_of(strategy) for name in wave.get("clusters", ())}


def divided(strategy: object, clusters: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """Divide clusters, given with their labels, among the waves and the last one, each sorted."""
    waves = waves_of(strategy)
    found: list[list[str]] = [[] for _ in range(len(waves) + 1)]
    for name in sorted(clusters):
        found[_wave_of(waves, name, clusters[name])].append(name)
    return found


def _wave_of(waves: Sequence[JSON], name: str, labels: Mapping[str, str]) -> int:
    for index, wave in enumerate(waves):
        selector = wave.get("selector", {})
        carried = bool(selector) and selector.items() <= labels.items()
        if carried or name in wave.get("clusters", ()):
            return index
    return len(waves)
