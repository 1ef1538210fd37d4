"""B13 and B14: after a kill everything is under watch and verified again; after a lost hour the
writes are those of the drift.

B13: worker and watch are killed and started anew; done when a watch on every kind is open again and
no work is due. Floor: a list of every kind. B14: the cluster's API server is frozen, a part of the
objects is changed through a second door to it meanwhile; done when every object is whole again.
Floor: the lists and one apply for each changed object.

    python benchmarks/restart.py [--tenants 770] [--lost 120] [--drift 5] [--rounds 3]
"""

import random
import sys
import time
from collections import Counter

from _figures import JSON, middle, ratio, rounded, table
from _fleet import Member, members
from _options import begin, end, options
from _raw import Raw, differing, foreign, without_type
from _server import AuditLog, written
from _stage import Stage, drained, register, stage, until
from _tenants import comparable, declare, manifests, names, settled

_CALM = 5.0
_SECONDS = 300.0
_ROLES = ("worker", "watch")
_EDIT = {"metadata": {"labels": {"kubenova.io/tenant": "elsewhere"}}}


def main() -> int:
    """Run the benchmark; return the exit status."""
    chosen = options(__doc__, "restart", tenants=770, lost=120, drift=5, rounds=3)
    machine = begin(chosen)
    with (
        stage("bench-restart", audit=True) as at,
        # Its second door is the one that KubeNova knows: it can be frozen alone.
        members(at.plane, at.lifeline, {"door": "/registry"}, audit=True) as doors,
    ):
        door = doors["door"]
        register("bench", door.kubeconfig)
        drained(_stands, "the baseline of the cluster")
        for role in _ROLES:
            at.start(role)
        tenants = names(0, chosen.tenants)
        declare(tenants, ["bench"])
        until(lambda: at.check() or settled(tenants), 900, "the tenants")
        wanted = comparable(manifests(tenants))
        raw, audit = Raw(at.plane.kubeconfig), AuditLog(door.folder)
        raw.verify(wanted)
        time.sleep(_CALM)
        restarts = [killed(at, audit, raw, wanted, tenants) for _ in range(chosen.rounds)]
        lost = lost_hour(chosen, at, door, raw, wanted)
    figures = {"objects": len(wanted), "B13": restarts, "B14": lost}
    return end(chosen, machine, figures, show)


def _stands() -> bool:
    from clusters.models import Cluster

    return Cluster.objects.get().phase == "Deployed"


def killed(at: Stage, audit: AuditLog, raw: Raw, wanted: list[JSON], tenants: list[str]) -> JSON:
    """B13, once: kill both roles, start them, wait for the watches; the floor lists every kind."""
    began = time.perf_counter()
    raw.live(wanted)
    floor = time.perf_counter() - began
    audit.skip()
    kinds, asked = {_plural(each) for each in wanted}, Counter[tuple[str, str]]()
    began = time.perf_counter()
    for role in _ROLES:
        at.kill(role)
    for role in _ROLES:
        at.start(role)

    def watched() -> bool:
        at.check()
        asked.update(audit.read())
        return all(asked["watch", kind] for kind in kinds) and settled(tenants)

    until(watched, _SECONDS, "the watches", every=0.1)
    took = time.perf_counter() - began
    time.sleep(_CALM)
    asked.update(audit.read())
    raw.verify(wanted)
    return {
        "seconds": rounded(took),
        "floor, seconds": rounded(floor),
        "writes": written(asked),
        "requests": {f"{verb} {kind}": count for (verb, kind), count in asked.most_common()},
    }


def lost_hour(chosen: object, at: Stage, door: Member, raw: Raw, wanted: list[JSON]) -> JSON:
    """B14: freeze the door, change things behind it, open it; return what it took and wrote."""
    audit = AuditLog(door.folder)
    count = max(len(wanted) * chosen.drift // 100, 1)  # type: ignore[attr-defined]
    changed = random.Random(14).sample(wanted, count)
    theirs = foreign(changed)
    raw.apply(
        [_space(name) for name in {each["metadata"].get("namespace") for each in theirs} if name]
    )
    raw.apply(theirs)
    began = time.perf_counter()
    raw.live(wanted)
    raw.apply(theirs)
    floor = time.perf_counter() - began
    time.sleep(_CALM)
    with door.frozen():
        time.sleep(1.0)
        for each in changed:
            at.api.patch(raw.path(each), _EDIT, fieldManager="kubectl-edit")
        time.sleep(chosen.lost)  # type: ignore[attr-defined]
        audit.skip()
        began = time.perf_counter()
    waiting = list(changed)
    whole = until(lambda: at.check() or _healed(raw, waiting), _SECONDS, "the objects", every=0.2)
    took = time.perf_counter() - began
    raw.verify(wanted)
    time.sleep(_CALM)
    asked = audit.read()
    return {
        "drifted": len(changed),
        "seconds": rounded(took),
        "seconds of looking": rounded(whole),
        "floor, seconds": rounded(floor),
        "writes": written(asked),
        "writes / drifted": ratio(written(asked), len(changed)),
        "requests": {f"{verb} {kind}": count for (verb, kind), count in asked.most_common()},
    }


def _space(name: str) -> JSON:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _healed(raw: Raw, waiting: list[JSON]) -> bool:
    """Whether all are as wanted; what was seen so is not asked for again: looks cost no core."""
    while waiting and not differing(without_type(waiting[-1]), raw.get(waiting[-1])):
        waiting.pop()
    return not waiting


def _plural(manifest: JSON) -> str:
    kind: str = manifest["kind"].lower()
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def show(figures: JSON) -> None:
    """Print the tables."""
    print(f"B13 killed and started, {figures['objects']} objects; goal 15 s, 0 writes")
    rows = [(each["seconds"], each["floor, seconds"], each["writes"]) for each in figures["B13"]]
    print(table(("seconds", "floor", "writes"), rows))
    took = middle([each["seconds"] for each in figures["B13"]])
    print(f"{ratio(took, middle([each['floor, seconds'] for each in figures['B13']]))} x the lists")
    print(f"B14 after {figures['options']['lost']} s of silence; goal 30 s, writes = drifted")
    print({name: value for name, value in figures["B14"].items() if name != "requests"})


if __name__ == "__main__":
    sys.exit(main())
