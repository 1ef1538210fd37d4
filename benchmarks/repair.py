"""B2: drift repair. From the answer to whoever changed an object to the object as it shall be.

A network policy is edited, deleted, stripped of a label, or taken over by a foreign server-side
apply, behind the product's back; an independent watch sees when it is whole again. Floor: a watch
and one apply, in a process that does nothing else, on as many objects of its own, in turns.

    python benchmarks/repair.py [--repairs 240] [--tenants 20]
"""

import sys
import time
from collections.abc import Callable

from _figures import JSON, Spread, ratio, spreads
from _floor import mender
from _options import begin, end, options
from _raw import differing, foreign
from _server import AuditLog, written
from _stage import Stage, deployed, drained, register, stage, until
from _tenants import comparable, declare, manifests, names, settled
from _watching import Observer, Watch, key_of, version

from sandbox.api import APPLY, AdminApi

POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
_PATIENCE = 30.0
_PAUSE = 0.05  # between two changes: they are told apart by nobody else


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "repair", repairs=240, tenants=20)
    machine = begin(chosen)
    with stage("bench-repair", audit=True) as at:
        register("bench", at.plane.kubeconfig)
        drained(deployed, "the baseline of the cluster")
        tenants = names(0, chosen.tenants)
        declare(tenants, ["bench"])
        at.start("watch")
        at.start("worker")
        until(lambda: settled(tenants), 300, "the tenants")
        mine = [each for each in comparable(manifests(tenants)) if each["kind"] == "NetworkPolicy"]
        theirs = foreign(mine)
        with mender(at.plane.kubeconfig, at.api, theirs):
            figures = compare(at, mine, theirs, chosen.repairs)
    return end(chosen, machine, figures, show)


def compare(at: Stage, mine: list[JSON], theirs: list[JSON], count: int) -> JSON:
    """Change objects of both in turns; return the series of each."""
    observer = Observer()
    watch = Watch(at.api, POLICIES, observer.tell)
    time.sleep(1.0)
    taken: dict[str, list[float]] = {}
    audit = AuditLog(at.plane.folder)
    audit.skip()
    for number in range(count):
        name = list(CHANGES)[number % len(CHANGES)]
        for who, objects in (("floor", theirs), ("product", mine)):
            wanted = objects[number // len(CHANGES) % len(objects)]
            took = one(at.api, observer, CHANGES[name], wanted)
            taken.setdefault(f"{who}, {name}", []).append(took)
            taken.setdefault(f"{who}, all", []).append(took)
            time.sleep(_PAUSE)
        at.check()
    asked = audit.read()
    watch.close()
    spread = {name: Spread.of(times) for name, times in sorted(taken.items())}
    return {
        "series": spread,
        "ratio p50": ratio(spread["product, all"].p50, spread["floor, all"].p50),
        "ratio p99": ratio(spread["product, all"].p99, spread["floor, all"].p99),
        "writes per repair": ratio(written(asked), count),
        "asked by the product": {f"{verb} {kind}": n for (verb, kind), n in asked.most_common()},
    }


Change = Callable[[AdminApi, str, JSON], int]


def one(api: AdminApi, observer: Observer, change: Change, wanted: JSON) -> float:
    """Change an object; return the seconds from the answer until it was whole again."""
    namespace, name = key_of(wanted)
    path = f"{POLICIES.rpartition('/')[0]}/namespaces/{namespace}/networkpolicies/{name}"
    observer.forget()
    after = change(api, path, wanted)
    answered = time.perf_counter()
    whole = observer.wait(
        (namespace, name), after, lambda body: not differing(wanted, body), _PATIENCE
    )
    return max(whole - answered, 0.0)


def edit(api: AdminApi, path: str, wanted: JSON) -> int:
    """Open the policy, as with kubectl edit."""
    return version(api.patch(path, {"spec": {"ingress": [{}]}}, fieldManager="kubectl-edit"))


def delete(api: AdminApi, path: str, wanted: JSON) -> int:
    """Delete it."""
    before = version(api.get(path))
    api.delete(path)
    return before


def strip(api: AdminApi, path: str, wanted: JSON) -> int:
    """Take a label off."""
    label = next(iter(key for key in wanted["metadata"]["labels"] if key.endswith("/tenant")))
    return version(api.patch(path, {"metadata": {"labels": {label: None}}}))


def take_over(api: AdminApi, path: str, wanted: JSON) -> int:
    """Take a field over by a server-side apply of another manager."""
    body = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {"name": wanted["metadata"]["name"]},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
    }
    return version(api.patch(path, body, APPLY, fieldManager="mallory", force="true"))


CHANGES: dict[str, Change] = {"edit": edit, "delete": delete, "strip": strip, "foreign": take_over}


def show(figures: JSON) -> None:
    """Print the tables."""
    print("B2 drift repair; goal of the product: p50 100 ms, p99 500 ms")
    print(spreads(figures["series"]))
    print(f"ratio to the floor: p50 {figures['ratio p50']}, p99 {figures['ratio p99']}")
    print(f"writes of the product per repair: {figures['writes per repair']}")


if __name__ == "__main__":
    sys.exit(main())
