"""Plays the Deployment controller of the clusters in memory, and what is done around it."""

import pytest
from django.core.exceptions import ValidationError

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, AppPlacement
from reconcile.values import JSON, Ref
from tests.clusters.steps import settle
from tests.fleet import Fleet
from tests.memory_cluster import MemoryCluster


def roll_out(fleet: Fleet, *names: str) -> None:
    """Take what steps there are; let the Deployments on these clusters come up; look again."""
    settle()
    for name in names or ("prod-a",):
        for ref in fleet[name].refs(DEPLOYMENT):
            become_ready(fleet[name], ref)
    look()


def become_ready(cluster: MemoryCluster, ref: Ref) -> None:
    """All replicas of the Deployment are up to date and available."""
    replicas = cluster.body(ref)["spec"]["replicas"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
    report(cluster, ref, **counts, conditions=[])


def report(cluster: MemoryCluster, ref: Ref, **status: object) -> None:
    """The controller writes this status for the current generation."""
    generation = cluster.body(ref)["metadata"]["generation"]
    cluster.set_status(ref, {"observedGeneration": generation, **status})


def look() -> None:
    """Look at every app on every cluster, as after a change that the watcher saw."""
    for placement in AppPlacement.objects.all():
        placement.mark()
    settle()


def deployment(cluster: MemoryCluster, name: str = "web", namespace: str = "acme--shop") -> JSON:
    """The Deployment as it is on the cluster."""
    return cluster.body(Ref(DEPLOYMENT, namespace, name))


def errors_of(app: App) -> dict[str, list[tuple]]:
    """What is wrong with an app that bob declares: by column, code and path of each error."""
    with pytest.raises(ValidationError) as caught:
        app.declare(by="bob")
    return {
        column: [(error.code, (error.params or {}).get("path")) for error in errors]
        for column, errors in caught.value.error_dict.items()
    }
