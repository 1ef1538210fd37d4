"""B1 and B11: onboarding. From POST /tenants with a project to Deployed, seen by GET.

B1: one cluster at rest; floor: the same objects applied in waves by one thread of the same HTTP
client, in turns with the product. B11 (--clusters 10): one cluster of several is made a black hole
every other round, with tenants waiting on it; what counts is how much slower the others get.

    python benchmarks/onboard.py [--tenants 200] [--clusters 1] [--rounds 4]
"""

import sys
import time
from contextlib import nullcontext

from _figures import JSON, Spread, ratio, rounded, spreads
from _fleet import Member, kubeconfigs, members
from _options import begin, end, options
from _raw import Raw, foreign
from _stage import Stage, deployed, drained, register, stage, until
from _tenants import QUOTA, comparable, declare, manifests, names
from _web import Web

_POLL = 0.005
_PATIENCE = 60.0
_WAITING = 20  # tenants that wait on the dead cluster


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "onboard", tenants=200, clusters=1, rounds=4)
    machine = begin(chosen)
    prefixes = {f"c{number}": f"/registry-{number}" for number in range(1, chosen.clusters)}
    with stage("bench-onboard") as at, members(at.plane, at.lifeline, prefixes) as others:
        for name, kubeconfig in kubeconfigs(at.plane, others).items():
            register(name, kubeconfig)
        drained(deployed, "the baselines of the clusters", 60.0 * chosen.clusters)
        web = Web(at)
        at.start("watch")
        at.start("worker")
        for name in names(90_000, 3):  # the roles are up when these are
            onboard(at, web, name, "first")
        figures = beside_a_black_hole(chosen, at, web, others) if others else alone(chosen, at, web)
    return end(chosen, machine, figures, show)


def onboard(at: Stage, web: Web, name: str, cluster: str) -> tuple[float, float]:
    """Post a tenant with a project; return the seconds until either is seen Deployed."""
    began = time.perf_counter()
    web.send(
        "POST", "tenants", {"name": name, "quota": QUOTA, "placement": {"clusters": [cluster]}}
    )
    web.send("POST", f"tenants/{name}/projects", {"name": "shop"})
    tenant = _seen(at, web, f"tenants/{name}", began)
    return tenant, _seen(at, web, f"tenants/{name}/projects/shop", began)


def _seen(at: Stage, web: Web, path: str, began: float) -> float:
    while web.send("GET", path)["status"]["phase"] != "Deployed":
        at.check()
        if time.perf_counter() - began > _PATIENCE:
            raise SystemExit(f"{path} was not Deployed within {_PATIENCE:.0f} s")
        time.sleep(_POLL)
    return time.perf_counter() - began


def alone(chosen: object, at: Stage, web: Web) -> JSON:
    """B1: one after the other on an idle cluster, the floor in turns."""
    raw = Raw(at.plane.kubeconfig, 8)
    taken: dict[str, list[float]] = {"floor": [], "tenant": [], "project": []}
    for name in names(0, chosen.tenants):  # type: ignore[attr-defined]
        for kind, seconds in zip(
            ("tenant", "project"), onboard(at, web, name, "first"), strict=True
        ):
            taken[kind].append(seconds)
        wanted = comparable(manifests([name]))
        raw.verify(wanted)
        theirs = foreign(wanted)
        began = time.perf_counter()
        raw.apply(theirs)
        taken["floor"].append(time.perf_counter() - began)
    spread = {name: Spread.of(times) for name, times in taken.items()}
    return {
        "series": spread,
        "ratio to the floor, p50": ratio(spread["project"].p50, spread["floor"].p50),
        "ratio to the floor, p99": ratio(spread["project"].p99, spread["floor"].p99),
    }


def beside_a_black_hole(chosen: object, at: Stage, web: Web, others: dict[str, Member]) -> JSON:
    """B11: on the other clusters in turns, in rounds with and without a black hole."""
    *healthy, dead = ["first", *others]
    rounds = 2 * max(chosen.rounds // 2, 1)  # type: ignore[attr-defined]
    each = max(chosen.tenants // rounds, 1)  # type: ignore[attr-defined]
    taken: dict[str, list[float]] = {"all alive": [], "one black hole": []}
    for number in range(rounds):
        kind = list(taken)[number % 2]
        with others[dead].frozen() if number % 2 else nullcontext():
            if number % 2:
                declare(names(number * _WAITING, _WAITING, "waiting"), [dead])
                time.sleep(5.0)
            for place, name in enumerate(names(number * each, each)):
                taken[kind].append(onboard(at, web, name, healthy[place % len(healthy)])[1])
        if number % 2:
            until(lambda: at.check() or deployed([dead]), 180, "the cluster that was frozen")
            until(_nothing_waits, 180, "what waited on it")
    spread = {name: Spread.of(times) for name, times in taken.items()}
    found = compared(spread["all alive"], spread["one black hole"])
    if rounds > 2:  # what such a change is worth: between rounds that nothing sets apart
        noise = compared(*_in_turns(taken["all alive"], each))
        found |= {f"{name} without a black hole": value for name, value in noise.items()}
    return {"series": spread, **found}


def _in_turns(times: list[float], each: int) -> tuple[Spread, Spread]:
    """Return every other round of so many, and those between."""
    halves: tuple[list[float], list[float]] = ([], [])
    for place, taken in enumerate(times):
        halves[place // each % 2].append(taken)
    return Spread.of(halves[0]), Spread.of(halves[1])


def compared(alive: Spread, hole: Spread) -> JSON:
    """Say how much slower onboarding is the second time, in per cent."""
    return {
        "change of p50, %": rounded((hole.p50 / alive.p50 - 1) * 100),
        "change of p99, %": rounded((hole.p99 / alive.p99 - 1) * 100),
    }


def _nothing_waits() -> bool:
    from tenancy.models import Project

    rows = Project.objects.filter(tenant__name__startswith="waiting-")
    return not rows.exclude(phase="Deployed").exists()


def show(figures: JSON) -> None:
    """Print the table."""
    clusters = figures["options"]["clusters"]
    print(f"B{11 if clusters > 1 else 1} onboarding, {clusters} cluster(s)")
    print(spreads(figures["series"]))
    for name, value in figures.items():
        if name.startswith(("ratio", "change")):
            print(f"{name}: {value}")
    print("goal: p50 400 ms, p99 1 s" if clusters == 1 else "goal: change of p99 at most 10 %")


if __name__ == "__main__":
    sys.exit(main())
