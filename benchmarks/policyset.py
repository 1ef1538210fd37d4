"""Policy sets. A set that many tenants are attached to changes: until it holds for every one.

Product: from PATCH of the set until GET says that all of its tenants have settled, each restriction
proven on the cluster by a dry run. Floor: the same ConfigMaps applied by 16 threads of the same
HTTP client, in turns with the product. What GET told in between is how people see it go on.

    python benchmarks/policyset.py [--tenants 100] [--rounds 5] [--drains 1]
"""

import argparse
import sys
import time
from typing import Any

from _figures import JSON, middle, ratio, rounded, table
from _options import begin, end, options
from _raw import Raw, foreign
from _stage import Stage, Unsettled, deployed, drained, register, stage
from _tenants import comparable, declare, manifests, names, settled
from _web import Web

CLUSTER, SET = "bench", "strict"
_SECONDS = 900.0
_POLL = 0.2


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "policyset", tenants=100, rounds=5, drains=1)
    machine = begin(chosen)
    tenants = names(0, chosen.tenants)
    with stage("bench-policyset") as at:
        prepare(at, tenants)
        raw, web = Raw(at.plane.kubeconfig), Web(at)
        others = foreign(comparable(manifests(tenants)))
        raw.apply([body for body in others if body["kind"] == "Namespace"])
        at.start("watch")
        at.start("worker", "--drains", str(chosen.drains))
        change(at, web, 0, len(tenants))  # the roles are up when this is done
        rounds = [one_round(at, web, raw, n, tenants) for n in range(1, chosen.rounds + 1)]
    return end(chosen, machine, {"rounds": rounds, **summed(rounds)}, show)


def prepare(at: Stage, tenants: list[str]) -> None:
    """A registered cluster with tenants at rest, each bound by the set."""
    from policies.models import Attachment, PolicySet

    register(CLUSTER, at.plane.kubeconfig)
    drained(deployed, "the baseline of the cluster")
    declare(tenants, [CLUSTER])
    drained(lambda: settled(tenants), "the tenants", _SECONDS)
    strict = PolicySet(name=SET, rules=rules(-1))
    strict.declare(by="olga")
    row = Attachment(policy_set=strict, name="all", mode="enforce", every_tenant=True)
    row.declare(by="olga")
    drained(lambda: settled(tenants) and at_rest(row), "the set", _SECONDS)


def at_rest(row: Any) -> bool:
    """Whether an attachment holds for all whom it binds."""
    row.refresh_from_db()
    return bool(row.phase == "Deployed")


def rules(number: int) -> JSON:
    """Rules that differ from those of every other round."""
    return {
        "image_registries": {"allow": [f"r{number + 1}.example.org"]},
        "service_types": ["ClusterIP"],
    }


def change(at: Stage, web: Web, number: int, count: int) -> list[tuple[float, int]]:
    """Change the set and wait until all follow; return how many had, by the seconds since.

    Raises Unsettled when they do not.
    """
    web.send("PATCH", f"policysets/{SET}", {"rules": rules(number)})
    began, seen = time.perf_counter(), [(0.0, 0)]
    while True:
        at.check()
        row = web.send("GET", f"policysets/{SET}")
        status, seconds = row["status"], time.perf_counter() - began
        current = status["observed_generation"] == row["generation"]
        if current and status["settled"] != seen[-1][1]:
            seen.append((round(seconds, 2), status["settled"]))
        if current and status["phase"] == "Deployed" and status["settled"] == count:
            return seen
        if seconds > _SECONDS:
            raise Unsettled(f"{status['settled']} of {count} tenants after {_SECONDS:.0f} s")
        time.sleep(_POLL)


def one_round(at: Stage, web: Web, raw: Raw, number: int, tenants: list[str]) -> JSON:
    """Change the set by the product, then write the very same ConfigMaps by the floor."""
    seen = change(at, web, number, len(tenants))
    bodies = comparable(manifests(tenants))
    wanted = [body for body in bodies if body["metadata"]["name"] == "kubenova-rules"]
    name = f"r{number + 1}.example.org"
    if stale := [body for body in wanted if name not in str(body.get("data"))]:
        raise Unsettled(f"{len(stale)} of {len(wanted)} ConfigMaps are of an earlier version")
    raw.verify(wanted)
    others = foreign(wanted)
    began = time.perf_counter()
    raw.apply(others)
    floor = time.perf_counter() - began
    raw.verify(others)
    return {
        "objects": len(wanted),
        "floor": told(floor, len(wanted)),
        "product": told(seen[-1][0], len(wanted)),
        "progress": seen,
        "half, seconds": half(seen),
    }


def told(seconds: float, count: int) -> JSON:
    """What one turn has taken."""
    return {"seconds": rounded(seconds), "objects/s": rounded(count / max(seconds, 0.01))}


def half(seen: list[tuple[float, int]]) -> float:
    """Return after how many seconds half of the tenants were told to have followed."""
    last = max(n for n, (_, count) in enumerate(seen) if 2 * count < seen[-1][1])
    return seen[last + 1][0]


def summed(rounds: list[JSON]) -> JSON:
    """The middle and the worst of the rounds."""
    shares = [ratio(each["product"]["seconds"], each["floor"]["seconds"]) for each in rounds]
    found: JSON = {"times the floor": {"p50": middle(shares), "worst": max(shares)}}
    for who in ("floor", "product"):
        found[who] = {key: middle([r[who][key] for r in rounds]) for key in rounds[0][who]}
    found["worst, seconds"] = max(each["product"]["seconds"] for each in rounds)
    found["half, seconds"] = middle([each["half, seconds"] for each in rounds])
    found["steps of progress"] = min(len(each["progress"]) - 1 for each in rounds)
    return {"objects": rounds[0]["objects"], **found}


def show(figures: JSON) -> None:
    """Print the table."""
    asked: argparse.Namespace = argparse.Namespace(**figures["options"])
    print(f"policy set of {asked.tenants} tenants, {figures['objects']} objects, changed")
    floor, product = figures["floor"], figures["product"]
    print(table(("", "floor", "product"), [(key, floor[key], product[key]) for key in floor]))
    times = figures["times the floor"]
    print(f"times the floor: {times['p50']} (worst {times['worst']})")
    print(
        f"worst: {figures['worst, seconds']} s, goal 180 s; half after {figures['half, seconds']}"
    )
    print(f"steps of progress that were seen: {figures['steps of progress']}")


if __name__ == "__main__":
    sys.exit(main())
