"""Workers die at every move of a run with a step of KubeVela's engine: it is carried out once."""

import pytest

from reconcile.models import Event
from tests.delivery.engines import announce, engine, shop
from tests.delivery.flows import declare, phases, step
from tests.delivery.test_workflow_kills import Killed, Reaper, forget_leases, go_on
from tests.kubevela import carry_out, runs

__all__ = ["engine", "shop"]

MOVES = 6


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, MOVES + 1))
def test_killed_at_every_move_the_engine_gets_it_once(shop, engine, monkeypatch, at, committed):
    flow = declare(shop, announce(), step("tell"))
    found = flow.run("bob")
    made: set[str] = set()
    reaper = Reaper(monkeypatch, at, committed=committed)
    for _ in range(6):
        try:
            go_on()
        except Killed:
            forget_leases()
        made |= {engine.body(ref)["metadata"]["uid"] for ref in runs(engine)}
        carry_out(engine)
        for row in flow.objects_applied.all():
            for placement in row.placements.all():
                placement.mark()
    assert set(phases(found).values()) == {"succeeded"} and len(made) == 1
    for reason in ("RunSucceeded", "Notified"):
        assert Event.objects.filter(object_uid=flow.uid, reason=reason).count() == 1
    assert reaper.kills == 1, "there is such a move"
