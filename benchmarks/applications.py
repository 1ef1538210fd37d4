"""B5: Applications. Apps are declared at once on a cluster with the CRDs of KubeVela.

Floor: the same Applications applied by 16 threads of the same HTTP client, in turns with the
product. KubeVela's controller does not run, and the CRDs lie beside the repository, in
`../shared/crds`. With `--kubevela 1` it is at work, as `make vela` has built it, and both are
measured until the last Application runs: the floor as it says, the product as KubeNova tells.

    python benchmarks/applications.py [--apps 1000] [--rounds 5] [--drains 1] [--kubevela 1]
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import yaml
from _figures import JSON, middle, ratio, table
from _machine import Spent, cost_of, spending
from _options import begin, end, options
from _raw import Raw, foreign
from _stage import ROOT, Stage, Unsettled, deployed, drained, register, stage, until
from _tenants import comparable, declare, manifests, names, settled

from sandbox.api import DEFINITIONS
from sandbox.vela import KubeVela, home

CLUSTER = "bench"
PLURALS = (
    *("applicationrevisions", "applications", "componentdefinitions", "resourcetrackers"),
    "traitdefinitions",
)
_CRDS = ROOT.parent / "shared" / "crds"
_SECONDS = 900.0
_RUNNING = "running"  # as KubeVela says of an Application


@dataclass(frozen=True)
class Scene:
    """Where it is measured; `vela` is KubeVela at work, None where only its CRDs are."""

    at: Stage
    raw: Raw
    drains: int
    vela: KubeVela | None

    def pids(self) -> dict[str, list[int]]:
        """Who spends processor time."""
        return self.at.pids() | dict(self.vela.pids() if self.vela else {})


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "applications", apps=1000, rounds=5, drains=1, kubevela=0)
    machine = begin(chosen)
    with stage("bench-applications") as at, kubevela(at, wanted=bool(chosen.kubevela)) as vela:
        prepare(at)
        scene = Scene(at, Raw(at.plane.kubeconfig), chosen.drains, vela)
        count = max(chosen.apps // chosen.rounds, 1)
        prepare_floor(scene)
        turns = [names(n * count, count, "bench-app") for n in range(chosen.rounds)]
        rounds = [one_round(scene, found) for found in turns]
    return end(chosen, machine, {"rounds": rounds, **summed(rounds)}, show)


@contextmanager
def kubevela(at: Stage, *, wanted: bool) -> Iterator[KubeVela | None]:
    """KubeVela at work on the cluster, or its CRDs alone. Raises Unsettled for lack of it."""
    if not wanted:
        install(at)
        yield None
        return
    if not home().exists():
        raise Unsettled("KubeVela was not built: `make vela` does that")
    vela = KubeVela(at.api, at.plane.kubeconfig, home())
    vela.install()
    vela.start("vela-core")
    try:
        yield vela
    finally:
        vela.stop()


def install(at: Stage) -> None:
    """Put KubeVela's CRDs onto the cluster. Raises Unsettled where they are not at hand."""
    for plural in PLURALS:
        path = _CRDS / f"core.oam.dev_{plural}.yaml"
        if not path.exists():
            raise Unsettled(f"KubeVela's CRDs are not at hand: {path} is absent")
        body = yaml.safe_load(path.read_text())
        at.api.apply(f"{DEFINITIONS}/{plural}.core.oam.dev", body, "helm", force=True)


def prepare(at: Stage) -> None:
    """A registered cluster that KubeVela serves on, with a tenant and its projects."""
    from clusters.models import Cluster
    from clusters.models.finding import Finding

    register(CLUSTER, at.plane.kubeconfig)
    drained(deployed, "the baseline of the cluster")
    cluster = Cluster.objects.get()

    def served() -> bool:
        cluster.baseline.mark()
        blocked = Finding.objects.blocking().filter(cluster=cluster).exists()
        return cluster.serves("delivery.kubevela") and not blocked

    drained(served, "KubeVela on the cluster")
    tenants = names(0, 1)
    declare(tenants, [CLUSTER])
    drained(lambda: settled(tenants), "the tenant")


def prepare_floor(scene: Scene) -> None:
    """The namespaces of the floor, with the account that KubeVela acts by there."""
    ours = foreign(manifests(names(0, 1)))
    kinds = {"Namespace", "ServiceAccount", "Role", "RoleBinding"} if scene.vela else {"Namespace"}
    scene.raw.apply([body for body in ours if body["kind"] in kinds])


def one_round(scene: Scene, found: Sequence[str]) -> JSON:
    """Apply apps by the product, then the very same Applications by the floor."""
    from delivery.models import AppPlacement
    from reconcile.plan import stamped
    from reconcile.values import MANAGED_BY, MANAGER, OWNER

    scene.at.start("watch")
    scene.at.start("worker", "--drains", str(scene.drains))
    applied(scene, [f"warm-{found[0]}"])  # the roles are up when this one is there
    product = applied(scene, found)
    scene.at.stop("watch", "worker")
    wanted = [
        stamped(body, {MANAGED_BY: MANAGER, OWNER: row.owner}, "0" * 32)
        for row in AppPlacement.objects.filter(app__name__in=found)
        for body in row.adapter().render(row.intent())
    ]
    scene.raw.verify(comparable(wanted))
    others = foreign(wanted)
    with spending(scene.pids(), mine=True) as floor:
        scene.raw.apply(others)
        if scene.vela:
            until(lambda: running(scene, others), _SECONDS, "the Applications of the floor")
    scene.raw.verify(others)
    return {"floor": told(floor, len(found)), "product": told(product, len(found))}


def running(scene: Scene, wanted: Sequence[JSON]) -> bool:
    """Whether KubeVela says so of all of them. It is asked once in a while: a list costs, too."""
    time.sleep(0.5)
    find = scene.raw.live(wanted)
    bodies = [find(each) or {} for each in wanted]
    return all(body.get("status", {}).get("status") == _RUNNING for body in bodies)


def applied(scene: Scene, found: Sequence[str]) -> Spent:
    """Declare apps all at once and measure until every Application is there, or runs."""
    from django.db import transaction

    from delivery.models import App, AppPlacement
    from tenancy.models import Project

    project = Project.objects.order_by("name").first()
    traits = [{"type": "scaler", "properties": {"replicas": 0}}]
    part = {"type": "webservice", "properties": {"image": "nginx:1.27"}, "traits": traits}
    with transaction.atomic():
        for name in found:
            App(project=project, name=name, components=[{**part, "name": name}]).declare(by="olga")
    rows = AppPlacement.objects.filter(app__name__in=found)
    new = rows.exclude(phase="Deployed") if scene.vela else rows.filter(observed_generation=0)
    with spending(scene.pids()) as spent:
        text = f"{len(found)} Applications"
        until(lambda: scene.at.check() or not new.exists(), _SECONDS, text, every=0.1)
    return spent


def told(spent: Spent, count: int) -> JSON:
    """What one turn has cost."""
    return cost_of(spent, count, "Applications", "Application") | {"core-seconds": spent.cores}


def summed(rounds: list[JSON]) -> JSON:
    """The middle and the worst of the rounds."""
    shares = [ratio(r["product"]["seconds"], max(r["floor"]["seconds"], 0.01)) for r in rounds]
    found: JSON = {"times the floor": {"p50": middle(shares), "worst": max(shares)}}
    for who in ("floor", "product"):
        keys = [key for key in rounds[0][who] if key != "core-seconds"]
        found[who] = {key: middle([each[who][key] for each in rounds]) for key in keys}
    return found


def show(figures: JSON) -> None:
    """Print the table."""
    asked = figures["options"]
    print(f"B5 Applications: {asked['apps']} in {asked['rounds']} rounds")
    floor, product = figures["floor"], figures["product"]
    print(table(("", "floor", "product"), [(key, floor[key], product[key]) for key in floor]))
    times = figures["times the floor"]
    print(f"times the floor: {times['p50']} (worst {times['worst']}), goal 1.1")


if __name__ == "__main__":
    sys.exit(main())
