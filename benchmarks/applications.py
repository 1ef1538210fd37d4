"""B5: Applications. Apps are declared at once on a cluster with the CRDs of KubeVela.

Floor: the same Applications applied by 16 threads of the same HTTP client, in turns with the
product. KubeVela's controller does not run: what it takes is the same whoever has written. The CRDs
lie beside the repository, in `../shared/crds`.

    python benchmarks/applications.py [--apps 1000] [--rounds 5] [--drains 2]
"""

import argparse
import sys
from collections.abc import Sequence

import yaml
from _figures import JSON, middle, ratio, table
from _machine import Spent, cost_of, spending
from _options import begin, end, options
from _raw import Raw, foreign
from _stage import ROOT, Stage, Unsettled, deployed, drained, register, stage, until
from _tenants import comparable, declare, manifests, names, settled

CLUSTER = "bench"
PLURALS = (
    *("applicationrevisions", "applications", "componentdefinitions", "resourcetrackers"),
    "traitdefinitions",
)
_CRDS = ROOT.parent / "shared" / "crds"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_SECONDS = 900.0


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "applications", apps=1000, rounds=5, drains=2)
    machine = begin(chosen)
    with stage("bench-applications") as at:
        install(at)
        prepare(at)
        raw, each = Raw(at.plane.kubeconfig), max(chosen.apps // chosen.rounds, 1)
        (tenant,) = names(0, 1)
        raw.apply([body for body in foreign(manifests([tenant])) if body["kind"] == "Namespace"])
        rounds = [one_round(chosen, at, raw, n * each, each) for n in range(chosen.rounds)]
    return end(chosen, machine, {"rounds": rounds, **summed(rounds)}, show)


def install(at: Stage) -> None:
    """Put KubeVela's CRDs onto the cluster. Raises Unsettled where they are not at hand."""
    for plural in PLURALS:
        path = _CRDS / f"core.oam.dev_{plural}.yaml"
        if not path.exists():
            raise Unsettled(f"KubeVela's CRDs are not at hand: {path} is absent")
        body = yaml.safe_load(path.read_text())
        at.api.apply(f"{_DEFINITIONS}/{plural}.core.oam.dev", body, "helm", force=True)


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


def one_round(options: argparse.Namespace, at: Stage, raw: Raw, first: int, count: int) -> JSON:
    """Apply `count` apps by the product, then the very same Applications by the floor."""
    from delivery.models import AppPlacement
    from reconcile.plan import stamped
    from reconcile.values import MANAGED_BY, MANAGER, OWNER

    found = names(first, count, "bench-app")
    at.start("watch")
    at.start("worker", "--drains", str(options.drains))
    applied(at, names(first, 1, "warm"))  # the roles are up when this one is there
    product = applied(at, found)
    at.stop("watch", "worker")
    wanted = [
        stamped(body, {MANAGED_BY: MANAGER, OWNER: row.owner}, "0" * 32)
        for row in AppPlacement.objects.filter(app__name__in=found)
        for body in row.adapter().render(row.intent())
    ]
    raw.verify(comparable(wanted))
    others = foreign(wanted)
    with spending(at.pids(), mine=True) as floor:
        raw.apply(others)
    raw.verify(others)
    return {"floor": told(floor, count), "product": told(product, count)}


def applied(at: Stage, found: Sequence[str]) -> Spent:
    """Declare apps all at once and measure until every Application is there."""
    from django.db import transaction

    from delivery.models import App, AppPlacement
    from tenancy.models import Project

    project = Project.objects.order_by("name").first()
    with transaction.atomic():
        for name in found:
            part = {"name": name, "type": "webservice", "properties": {"image": "nginx:1.27"}}
            App(project=project, name=name, components=[part]).declare(by="olga")
    new = AppPlacement.objects.filter(observed_generation=0)
    with spending(at.pids()) as spent:
        text = f"{len(found)} Applications"
        until(lambda: at.check() or not new.exists(), _SECONDS, text, every=0.1)
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
