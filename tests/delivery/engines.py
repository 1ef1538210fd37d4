"""A cluster with KubeVela's engine, a published type of steps, and workflows that use it."""

from collections.abc import Iterator

import pytest

from delivery.models import ProjectObject, PublishedDefinition, TypeList
from delivery.rules.workflow_types import STEP_TYPES
from reconcile.values import JSON
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.flows import step
from tests.delivery.test_choosing import look_at_clusters
from tests.kubevela import carry_out, install, install_engine
from tests.memory_cluster import MemoryCluster
from tests.people import make_acme

SCHEMA: JSON = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "times": {"type": "integer", "minimum": 1}},
    "required": ["to"],
    "additionalProperties": False,
}
TEMPLATE: JSON = {"schematic": {"cue": {"template": "parameter: {to: string}\n"}}}


def publish(name: str = "announce", schema: JSON | None = SCHEMA) -> PublishedDefinition:
    """Olga keeps a type of steps."""
    row, _ = PublishedDefinition.put(
        "workflow-steps",
        name,
        by="olga",
        spec=TEMPLATE,
        description="",
        shadows=False,
        parameters=schema,
    )
    return row


def allow(project: Project, *types: str) -> None:
    """Olga lets the tenant of a project use these types of steps beside all of ours."""
    TypeList.allow(project.tenant, by="olga", workflow_steps=[*STEP_TYPES, *types])


def announce(name: str = "announce", to: object = "team", **rest: object) -> JSON:
    """A step of the published type."""
    return step(name, "announce", properties={"to": to}, **rest)


def play(*lives: MemoryCluster, state: str = "succeeded", message: str = "") -> None:
    """The engines come to a state, and the watcher tells of it."""
    for live in lives:
        carry_out(live, state, message)
    for row in ProjectObject.objects.all():
        for placement in row.placements.all():
            placement.mark()
    settle()


@pytest.fixture
def engine(prod, fleet) -> Iterator[MemoryCluster]:
    """The cluster prod-a, with KubeVela, its engine, and the type `announce`."""
    live = install(fleet["prod-a"])
    install_engine(live, "announce")
    publish()
    look_at_clusters()
    yield live


@pytest.fixture
def shop(engine, people) -> Project:
    """A project there, whose tenant may use the type."""
    project = Project(tenant=make_acme(placement={"clusters": ["prod-a"]}), name="shop")
    project.declare(by="alice")
    settle()
    allow(project, "announce")
    return project
