"""B3 and B6: cold convergence. Tenants are declared in one transaction while the roles wait.

Floor: the same objects applied by 16 threads of the same HTTP client, in turns with the product.
B6 is the same with more workers: `--workers 2`. With `--pinned 1` the control plane keeps to one
core and whoever speaks to it to another, so that they do not compete.

    python benchmarks/converge.py [--tenants 1000] [--rounds 5] [--workers 1] [--drains 1]
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from _figures import JSON, middle, ratio, table
from _machine import SERVER, Spent, cost_of, pin, spending
from _options import begin, end, options
from _raw import Raw, foreign
from _server import by_verb, requests
from _stage import Stage, deployed, drained, register, stage, until
from _tenants import comparable, declare, manifests, names, settled

CLUSTER = "bench"
_SECONDS = 900.0
_CORES = sorted(os.sched_getaffinity(0))


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "converge", tenants=1000, rounds=5, workers=1, drains=1, pinned=0)
    machine = begin(chosen)
    with stage("bench-converge") as at:
        register(CLUSTER, at.plane.kubeconfig)
        drained(deployed, "the baseline of the cluster")
        raw, each = Raw(at.plane.kubeconfig), max(chosen.tenants // chosen.rounds, 1)
        rounds = [one_round(chosen, at, raw, n * each, each) for n in range(chosen.rounds)]
    return end(chosen, machine, {"rounds": rounds, **summed(rounds)}, show)


def one_round(options: argparse.Namespace, at: Stage, raw: Raw, first: int, count: int) -> JSON:
    """Converge `count` tenants by the product, then the very same objects by the floor.

    What is wanted of a quota is known once the ledger has divided it.
    """
    tenants = names(first, count)
    with running(options, at):
        converged(at, names(first, 1, "warm"), 60)  # the roles are up when this one is
        if options.pinned:
            apart(at)
        before = requests(at.api)
        product = converged(at, tenants, _SECONDS)
        asked = requests(at.api) - before
    wanted = manifests(tenants)
    raw.verify(comparable(wanted))
    floor_objects = foreign(wanted)
    with spending(at.pids(), mine=True) as floor:
        raw.apply(floor_objects)
    raw.verify(floor_objects)
    return {
        "objects": len(wanted),
        "floor": told(floor, len(wanted)),
        "product": told(product, len(wanted)),
        "requests of all": by_verb(asked),
    }


def apart(at: Stage) -> None:
    """Keep the control plane on the first core, and the roles and this process on the last."""
    for name, pids in (at.pids() | {"floor": [os.getpid()]}).items():
        pin(pids, _CORES[0] if name in SERVER else _CORES[-1])


@contextmanager
def running(options: argparse.Namespace, at: Stage) -> Iterator[None]:
    """Run the roles; what it takes them to start is not measured."""
    workers = [f"worker-{number}" for number in range(options.workers)]
    at.start("watch")
    for worker in workers:
        at.start(worker, "--drains", str(options.drains))
    yield
    at.stop("watch", *workers)


def converged(at: Stage, tenants: list[str], seconds: float) -> Spent:
    """Declare tenants all at once and measure until everything has settled."""
    from django.db import transaction

    with transaction.atomic():
        declare(tenants, [CLUSTER])
    with spending(at.pids()) as spent:
        until(lambda: at.check() or settled(tenants), seconds, "the tenants", every=0.1)
    return spent


def told(spent: Spent, objects: int) -> JSON:
    """What one turn has cost."""
    return cost_of(spent, objects, "objects", "object") | {"core-seconds": spent.cores}


def summed(rounds: list[JSON]) -> JSON:
    """The middle and the worst of the rounds."""
    shares = [ratio(each["product"]["objects/s"], each["floor"]["objects/s"]) for each in rounds]
    found: JSON = {"share of the raw rate": {"p50": middle(shares), "worst": min(shares)}}
    for who in ("floor", "product"):
        keys = [key for key in rounds[0][who] if key != "core-seconds"]
        found[who] = {key: middle([each[who][key] for each in rounds]) for key in keys}
    return found


def show(figures: JSON) -> None:
    """Print the table."""
    asked = figures["options"]
    print(f"B3 cold convergence: {asked['tenants']} tenants in {asked['rounds']} rounds, ")
    print(f"{asked['workers']} worker(s) with {asked['drains']} drain(s) each")
    floor, product = figures["floor"], figures["product"]
    print(table(("", "floor", "product"), [(key, floor[key], product[key]) for key in floor]))
    share = figures["share of the raw rate"]
    print(f"share of the raw rate: {share['p50']} (worst {share['worst']}), goal 0.6")


if __name__ == "__main__":
    sys.exit(main())
