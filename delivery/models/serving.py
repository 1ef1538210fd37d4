"""Whether clusters can serve an app, through what rolls it out there, or a step of a workflow."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from clusters.adapters.kubevela import RUN_RIGHTS
from clusters.definitions import ability_of
from clusters.models import Capability, Cluster
from delivery.intents import AppIntent
from delivery.rules.engine_steps import by_engine
from delivery.rules.schema import Path
from delivery.rules.workflow_types import CAPABILITY
from delivery.rules.workflows import each_step
from reconcile.refusals import Fault, Invalid
from reconcile.values import JSON
from tenancy.models.serving import Unmet, refuse, unmet_on
from tenancy.rules.needs import Need

if TYPE_CHECKING:
    from delivery.models.app import App
    from delivery.models.placement import AppPlacement
    from delivery.models.workflow import Workflow


def refuse_unserved(app: "App", clusters: Sequence[Cluster]) -> None:
    """Raise Unserved with all that a cluster is known to lack for what is declared.

    Each is asked about what its placement needs there, once it has the current revision.
    """
    rows = {row.cluster_id: row for row in app.placements.filter(cluster__in=clusters)}
    unmet: list[Unmet] = []
    for cluster in clusters:
        if row := rows.get(cluster.pk):
            row.app, row.cluster = app, cluster
            intent = row.intent_at(app.revised())
            found = list(_foreign(row, intent))
            told = {each.need.capability for each in found}
            needed = [need for need in row.needed(intent) if need.capability not in told]
            unmet += [*found, *unmet_on([cluster], needed)]
    refuse(unmet)


def _foreign(row: "AppPlacement", intent: AppIntent) -> Iterator[Unmet]:
    """Yield the published types that the cluster does not serve, as far as was seen by now."""
    for component in intent.components:
        for type_, word in component.foreign.items():
            name = ability_of(word, type_)
            if row.with_kubevela and row.cluster.serves(name):
                continue
            lacks = f"KubeVela has no {word} type {type_} there. Have it published there."
            plain = f"Plain Kubernetes knows no {word} type {type_}: KubeVela alone brings it up."
            need = Need(name, f"components.{component.name}")
            reason = lacks if row.with_kubevela else plain
            able = Capability.objects.able(name)
            yield Unmet(row.cluster.name, need, "none", reason, able)


# --- Steps that the engine of a cluster carries out.


Placed = tuple[Path, JSON]  # a step, and where it stands


def refuse_unserved_steps(workflow: "Workflow") -> None:
    """Raise Unserved with all that a cluster lacks of what a step of a published type needs there.

    What was not seen there by now it lacks: nothing is sent to an engine that may not be. Raises
    Invalid where a step names a cluster that its project is not placed on.
    """
    steps = [placed for placed in each_step(workflow.steps) if by_engine(placed[1]["type"])]
    if not steps:
        return
    clusters = clusters_of(workflow)
    _refuse_foreign(steps, clusters)
    unmet: list[Unmet] = []
    faults: list[Fault] = []
    for path, step in steps:
        where = step.get("clusters") or sorted(clusters)
        if found := [
            each for name in where for each in unmet_by(clusters[name], step["type"], step["name"])
        ]:
            unmet += found
            told = " ".join(map(str, found))[:1000]
            faults.append(Fault("unserved", told, _pointer(path, "type")))
    refuse(unmet, faults)


def _refuse_foreign(steps: Sequence[Placed], known: Collection[str]) -> None:
    text = "The project is not placed on this cluster."
    faults = [
        Fault("unknown", text, _pointer(path, "clusters", index))
        for path, step in steps
        for index, name in enumerate(step.get("clusters", ()))
        if name not in known
    ]
    if faults:
        raise Invalid("Parts of the request are wrong.", errors=faults)


def step_needs(type_: str) -> dict[str, str]:
    """Name what a cluster has to have for steps of a published type; each with why it may lack."""
    return {
        CAPABILITY: "No engine of KubeVela's carries out WorkflowRuns there.",
        RUN_RIGHTS: "Its baseline is older: give the cluster a fresh credential.",
        ability_of("step", type_): f"KubeVela has no step type {type_} there. Have it published.",
    }


def clusters_of(workflow: "Workflow") -> dict[str, Cluster]:
    """Return the clusters that its project is on now, by name."""
    rows = workflow.project.placements.filter(unselected=False, deletion_requested_at=None)
    return {row.cluster.name: row.cluster for row in rows.select_related("cluster")}


def unmet_by(cluster: Cluster, type_: str, step: str) -> Iterator[Unmet]:
    """Yield the first need of a step of a published type that the cluster does not meet."""
    for name, reason in step_needs(type_).items():
        if not cluster.serves(name):
            need = Need(name, f"steps.{step}")
            yield Unmet(cluster.name, need, "none", reason, Capability.objects.able(name))
            return


def _pointer(path: Path, *more: str | int) -> str:
    return "/".join(["/steps", *map(str, (*path, *more))])
