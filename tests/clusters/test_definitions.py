"""Which types of components and traits a KubeVela is found to know."""

import pytest

from clusters.adapters.kubevela import (
    COMPONENT_DEFINITION,
    COMPONENT_TYPES,
    DEFINITIONS_NAMESPACE,
    STEP_DEFINITION,
    TRAIT_DEFINITION,
    TRAIT_TYPES,
)
from clusters.probe import probe
from delivery.rules import types
from reconcile.errors import Forbidden
from reconcile.values import Kind, Ref
from tests.clusters import platforms as vela
from tests.memory_cluster import MemoryCluster


@pytest.fixture
def live() -> MemoryCluster:
    cluster = MemoryCluster()
    vela.kubevela(cluster)
    for kind in (COMPONENT_DEFINITION, TRAIT_DEFINITION):
        cluster.serve(kind)
    return cluster


def define(live: MemoryCluster, kind: Kind, *names: str, space: str = DEFINITIONS_NAMESPACE):
    for name in names:
        vela.put(live, Ref(kind, space, name))


def found(live: MemoryCluster) -> dict[str, bool]:
    words = ("component.", "trait.")
    known = {each.name.removeprefix("delivery.kubevela."): each for each in probe(live).abilities}
    return {name: each.served for name, each in known.items() if name.startswith(words)}


def test_a_type_that_is_missing_is_told_with_its_reason(live):
    define(live, COMPONENT_DEFINITION, *(set(COMPONENT_TYPES) - {"daemon"}))
    assert found(live) == {f"component.{name}": name != "daemon" for name in COMPONENT_TYPES}
    (daemon,) = (each for each in probe(live).abilities if each.name.endswith(".daemon"))
    assert daemon.reason == "KubeVela has no ComponentDefinition daemon there."


def test_traits_are_told_by_themselves(live):
    define(live, TRAIT_DEFINITION, "scaler", "somebody-elses")
    assert [name for name, served in found(live).items() if served] == ["trait.scaler"]


def test_steps_are_looked_at_only_when_somebody_asks(live):
    live.serve(STEP_DEFINITION)
    define(live, STEP_DEFINITION, "deploy", "canary")

    def steps(**asked: list[str]) -> dict[str, bool]:
        known = probe(live, asked).abilities
        return {each.name: each.served for each in known if ".step." in each.name}

    assert steps() == {}, "KubeNova's own workflows need none"
    assert steps(step=["canary", "gone"]) == {
        "delivery.kubevela.step.canary": True,
        "delivery.kubevela.step.gone": False,
    }


def test_definitions_of_projects_are_not_the_platforms(live):
    define(live, COMPONENT_DEFINITION, "webservice", space="acme--shop")
    assert found(live) == {}


def test_nothing_found_says_nothing(live):
    assert found(live) == {}
    live.unserve(TRAIT_DEFINITION)
    assert found(live) == {}


def test_an_older_baseline_may_not_look(live):
    define(live, COMPONENT_DEFINITION, *COMPONENT_TYPES)
    live.fail_on("list_page", None, Forbidden("not by this role"))
    assert found(live) == {}


def test_they_are_the_types_that_apps_can_use():
    assert sorted(COMPONENT_TYPES) == sorted(types.COMPONENT_TYPES)
    assert sorted(TRAIT_TYPES) == sorted(types.TRAIT_TYPES)
