"""B7: what it costs to have tenants that nobody changes: requests and processor time an hour.

First without any tenant, then with some at rest: the difference is theirs. Floor: nothing at all.
The requests are those of KubeNova's account in the API server's own audit log.

    python benchmarks/idle.py [--tenants 300] [--seconds 600]
"""

import sys
import time

from _figures import JSON, rounded, table
from _machine import spending
from _options import begin, end, options
from _raw import Raw
from _server import AuditLog, written
from _stage import Stage, deployed, drained, register, stage, until
from _tenants import comparable, declare, manifests, names, settled

_CALM = 15.0  # seconds until the last echoes of a change are over
_ROLES = ("worker", "watch")


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "idle", tenants=300, seconds=600)
    machine = begin(chosen)
    with stage("bench-idle", audit=True) as at:
        register("bench", at.plane.kubeconfig)
        drained(deployed, "the baseline of the cluster")
        audit = AuditLog(at.plane.folder)
        for role in _ROLES:
            at.start(role)
        empty = rest(at, audit, chosen.seconds)
        tenants = names(0, chosen.tenants)
        declare(tenants, ["bench"])
        until(lambda: at.check() or settled(tenants), 900, "the tenants")
        full = rest(at, audit, chosen.seconds)
        Raw(at.plane.kubeconfig).verify(comparable(manifests(tenants)))
    figures = {"without tenants": empty, "with tenants": full}
    figures["an idle tenant costs an hour"] = per_hour(empty, full, chosen.tenants, chosen.seconds)
    return end(chosen, machine, figures, show)


def rest(at: Stage, audit: AuditLog, seconds: float) -> JSON:
    """Let everything be for so long; return what was asked and spent."""
    time.sleep(_CALM)
    audit.skip()
    with spending(at.pids()) as spent:
        time.sleep(seconds)
    at.check()
    asked = audit.read()
    return {
        "requests": {f"{verb} {kind}": count for (verb, kind), count in asked.most_common()},
        "requests, all": sum(asked.values()),
        "writes": written(asked),
        "core-ms": {name: round(spent.cores[name] * 1000) for name in (*_ROLES, "kube-apiserver")},
    }


def per_hour(empty: JSON, full: JSON, tenants: int, seconds: float) -> JSON:
    """What one more tenant at rest costs in an hour; less than nothing is the noise of machines."""
    share = 3600 / seconds / tenants

    def each(name: str) -> float:
        return rounded((full[name] - empty[name]) * share)

    roles = sum(full["core-ms"][role] - empty["core-ms"][role] for role in _ROLES)
    return {
        "requests": each("requests, all"),
        "writes": each("writes"),
        "core-ms of worker and watch": rounded(roles * share),
    }


def show(figures: JSON) -> None:
    """Print the tables."""
    empty, full = figures["without tenants"], figures["with tenants"]
    asked = sorted({*empty["requests"], *full["requests"]})
    rows = [(name, empty["requests"].get(name, 0), full["requests"].get(name, 0)) for name in asked]
    rows += [
        (f"core-ms of {role}", empty["core-ms"][role], full["core-ms"][role]) for role in _ROLES
    ]
    print(f"B7 at rest for {figures['options']['seconds']} s")
    print(table(("", "no tenant", f"{figures['options']['tenants']} tenants"), rows))
    print(f"an idle tenant costs an hour: {figures['an idle tenant costs an hour']}")
    print(f"writes: {full['writes']}, goal 0")


if __name__ == "__main__":
    sys.exit(main())
