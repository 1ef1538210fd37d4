"""Components that wait for others: what is written when, and what is told meanwhile. Pure."""

import pytest

from clusters.kinds import JOB
from delivery.adapters.native import NativeApps
from reconcile.plan import Task, make_plan
from reconcile.values import Health, Live, Recorded, Ref, Wanted
from tests.delivery.samples import component, counted, intent

ADAPTER = NativeApps()
DONE = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1}


def chain(image: str = "nginx:1.27", revision: int = 3):
    """A migration, a web that waits for it, and a worker that waits for nobody."""
    web = {**component(image=image), "dependsOn": ["migrate"]}
    migrate = component("migrate", "task", image=image)
    return intent(migrate, web, component("free", "worker"), revision=revision)


def live(body, status=None) -> Live:
    ref = Wanted.of(body, ADAPTER.kinds).ref
    meta = {**body["metadata"], "uid": f"u-{ref.name}", "generation": 2}
    meta["labels"] = {**meta["labels"], "kubenova.io/owner": "me"}
    return Live(ref, {**body, "metadata": meta, "status": status or {}})


def on_cluster(app, **statuses: dict) -> dict[Ref, Live]:
    """The objects of an app with the status of each by component."""
    found = [
        live(body, statuses.get(body["metadata"]["labels"]["kubenova.io/component"]))
        for body in ADAPTER.render(app)
    ]
    return {each.ref: each for each in found}


def task_of(app, seen=(), same=True) -> Task:
    wanted = [Wanted.of(body, ADAPTER.kinds) for body in ADAPTER.render(app)]
    hashes = {each.ref: each.hash for each in wanted}
    recorded = {
        ref: Recorded(ref, each.uid, hashes.get(ref, "") if same else "old", each.fp)
        for ref, each in dict(seen).items()
    }
    return Task(
        owner="me",
        correlation_id="",
        kinds=ADAPTER.kinds,
        intent=app,
        wanted=wanted,
        recorded=recorded,
        holds=lambda found, changing: ADAPTER.holds(app, found, changing),
    )


def written(app, seen=(), same=True) -> set[str]:
    found = make_plan(task_of(app, seen, same), dict(seen))
    return {step.ref.name.partition("-")[0] for step in found.steps if step.verb == "apply"}


def test_what_waits_is_not_written_with_what_it_waits_for():
    assert written(chain()) == {"migrate", "free"}


@pytest.mark.parametrize(
    ("status", "names"),
    [({}, {"free"}), ({"active": 1}, {"free"}), (DONE, {"free", "web"})],
    ids=["nothing known", "under way", "done"],
)
def test_it_is_written_once_that_is_ready(status, names):
    app = chain()
    seen = {ref: each for ref, each in on_cluster(app, migrate=status).items() if ref.kind == JOB}
    assert written(app, seen) == names


def test_a_change_waits_as_well_and_leaves_what_runs():
    before = on_cluster(chain(revision=2), migrate=DONE)
    after = chain("nginx:1.28")
    assert written(after, before, same=False) == {"migrate", "free"}


def test_what_waits_says_for_whom_and_is_not_ready():
    before = on_cluster(chain(revision=2), migrate=DONE, web=counted(1), free=counted(1))
    after = chain("nginx:1.28")
    found = ADAPTER.assess(after, before)
    told = {part.name: (part.health, part.message) for part in found.parts}
    assert told["web"] == (Health.PROGRESSING, "It waits for migrate.")
    assert told["free"] == (Health.READY, "")
    assert found.health is Health.PROGRESSING


def test_nothing_waits_that_nobody_depends_on():
    app = intent(component(), component("jobs", "worker"))
    assert ADAPTER.holds(app, {}, {each.ref for each in task_of(app).wanted}) == frozenset()


def test_a_repair_waits_for_nobody():
    """Somebody has deleted the web while the migration runs anew by itself."""
    app = chain()
    seen = on_cluster(app, migrate={"active": 1}, free=counted(1))
    recorded = task_of(app, seen)
    gone = {ref: each for ref, each in seen.items() if ref.name != "web"}
    assert [step.ref.name for step in make_plan(recorded, gone).steps if step.verb == "apply"] == [
        "web"
    ]
