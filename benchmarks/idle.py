"""B7: what it costs to have tenants that nobody changes: requests and processor time an hour.

First without any tenant, then with some at rest: the difference is theirs. Floor: nothing at all.
The requests are those of KubeNova's account in the API server's own audit log. Some tenants have an
app; the status of its Deployment changes five times a second, as if controllers were at work.

    python benchmarks/idle.py [--tenants 300] [--apps 100] [--seconds 600] [--before 600]
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from _figures import JSON, rounded, table
from _machine import spending
from _options import begin, end, options
from _raw import Raw
from _server import AuditLog, most_lists, written
from _stage import Stage, deployed, drained, register, stage, until
from _tenants import PROJECTS, comparable, declare, manifests, names, settled

_CALM = 15.0  # seconds until the last echoes of a change are over
_EVERY = 0.2
_ROLES = ("worker", "watch")
APP = "web"


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "idle", tenants=300, apps=100, seconds=600, before=600)
    machine = begin(chosen)
    with stage("bench-idle", audit=True) as at:
        register("bench", at.plane.kubeconfig)
        drained(deployed, "the baseline of the cluster")
        audit = AuditLog(at.plane.folder)
        for role in _ROLES:
            at.start(role)
        empty = rest(at, audit, chosen.before)
        tenants = names(0, chosen.tenants)
        declare(tenants, ["bench"])
        until(lambda: at.check() or settled(tenants), 900, "the tenants")
        deploy(at, tenants[: chosen.apps])
        with churning(at, tenants[: chosen.apps]) as changes:
            full = rest(at, audit, chosen.seconds)
        full["changes of status"] = len(changes)
        Raw(at.plane.kubeconfig).verify(comparable(manifests(tenants)))
    figures = {"without tenants": empty, "with tenants": full}
    figures["an idle tenant costs an hour"] = per_hour(empty, full, chosen.tenants)
    return end(chosen, machine, figures, show)


def deploy(at: Stage, tenants: Sequence[str]) -> None:
    """Bring an app to the first project of each of these tenants."""
    from delivery.models import App
    from tenancy.models import Project

    part = {"name": APP, "type": "webservice", "properties": {"image": "nginx:1.27"}}
    for project in Project.objects.filter(tenant__name__in=tenants, name=PROJECTS[0]):
        App(project=project, name=APP, components=[part]).declare(by="olga")
    rows = App.objects.exclude(phase="Deployed")
    until(lambda: not rows.exists(), 900, "the apps")


@contextmanager
def churning(at: Stage, tenants: Sequence[str]) -> Iterator[list[str]]:
    """Change the status of one Deployment after the other; yields those that were changed."""
    changed: list[str] = []
    over = threading.Event()

    def change() -> None:
        while tenants and not over.wait(_EVERY):
            tenant = tenants[len(changed) % len(tenants)]
            path = f"/apis/apps/v1/namespaces/{tenant}--{PROJECTS[0]}/deployments/{APP}/status"
            body = {"status": {"collisionCount": len(changed) + 1}}
            at.api.patch(path, body, fieldManager="somebody")
            changed.append(tenant)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield changed
    finally:
        over.set()
        thread.join()


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
        "lists of one kind, at most": most_lists(asked),
        "seconds": seconds,
        "core-ms": {name: round(spent.cores[name] * 1000) for name in (*_ROLES, "kube-apiserver")},
    }


def per_hour(empty: JSON, full: JSON, tenants: int) -> JSON:
    """What one more tenant at rest costs in an hour; less than nothing is the noise of machines."""

    def each(count: Callable[[JSON], float]) -> float:
        more = count(full) / full["seconds"] - count(empty) / empty["seconds"]
        return rounded(3600 * more / tenants)

    return {
        "requests": each(lambda found: found["requests, all"]),
        "writes": each(lambda found: found["writes"]),
        "core-ms of worker and watch": each(lambda found: sum(map(found["core-ms"].get, _ROLES))),
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
    print(f"lists of one kind: {full['lists of one kind, at most']} at most, goal 1 in 600 s")


if __name__ == "__main__":
    sys.exit(main())
