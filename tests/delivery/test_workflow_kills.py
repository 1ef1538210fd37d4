"""Workers die at every move of a run: nothing is lost, nothing happens twice, it ends once."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from delivery.models import App, Revision, WorkflowRun
from reconcile.drain import take_step
from reconcile.models import Event, Work
from tests.clusters.steps import settle
from tests.delivery.controllers import roll_out
from tests.delivery.flows import declare, deploy, phases, step

RELEASE = [
    deploy("canary", "nginx:2", clusters=["prod-a"]),
    step("approve", "suspend"),
    deploy("everywhere", "nginx:3"),
    step("tell"),
]
ONCE = {"RunStarted": 1, "StepSuspended": 1, "StepApproved": 1, "Notified": 1, "StepSucceeded": 4}
MOVES = 10


class Killed(BaseException):
    """The worker is no more: nothing is caught, given back or written after this."""


class Reaper:
    """Kills a worker at its nth move, before or after that is committed."""

    def __init__(self, monkeypatch, at: int, *, committed: bool) -> None:
        self.left, self.kills = at, 0
        name = "_advance" if committed else "keep"
        original = getattr(WorkflowRun, name)

        def reaping(run, *given):
            found = original(run, *given)
            self.left -= found is not False and not getattr(run, "commanded", False)
            if self.left == 0:
                self.left, self.kills = -1, self.kills + 1
                raise Killed
            return found

        monkeypatch.setattr(WorkflowRun, name, reaping)


def forget_leases() -> None:
    """The leases of the dead run out."""
    past = timezone.now() - timedelta(seconds=1)
    Work.objects.exclude(lease_token=None).update(lease_until=past)


def go_on() -> None:
    """Workers take steps; when one dies another one takes over."""
    for _ in range(3):
        try:
            settle()
            return
        except Killed:
            forget_leases()
    raise AssertionError("it dies for ever")


def roll_out_whatever(fleet) -> None:
    go_on()
    while True:
        try:
            roll_out(fleet)
            return
        except Killed:
            forget_leases()


# To die after a commit is to die before the next move: of those, both ends are enough.
KILLS = [*((at, False) for at in range(1, MOVES + 1)), (1, True), (MOVES, True)]


@pytest.mark.parametrize(("at", "committed"), KILLS)
def test_killed_at_every_move_it_ends_once(deployed, fleet, monkeypatch, at, committed):
    flow = declare(deployed.project, *RELEASE)
    found = flow.run("bob")
    reaper = Reaper(monkeypatch, at, committed=committed)
    roll_out_whatever(fleet)
    found.refresh_from_db()
    assert phases(found)["approve"] == "suspending"
    found.commanded = True  # a request dies with its transaction, which is not what is tried here
    found.resume("alice", message="Go.")
    roll_out_whatever(fleet)

    assert reaper.kills == 1, "there is such a move"
    assert set(phases(found).values()) == {"succeeded"}
    counted = {
        reason: Event.objects.filter(object_uid=flow.uid, reason=reason).count()
        for reason in (*ONCE, "RunSucceeded", "StepFailed", "RunFailed")
    }
    assert counted == {**ONCE, "RunSucceeded": 1, "StepFailed": 0, "RunFailed": 0}
    assert Revision.objects.count() == 3, "each deployment made one revision"
    assert (found.state, App.objects.get().phase) == ("succeeded", "Deployed")


def test_a_zombie_writes_nothing(deployed, monkeypatch):
    """Its lease went to another while it was at work: what it did is undone, revision included."""
    flow = declare(deployed.project, *RELEASE)
    found = flow.run("bob")
    original = WorkflowRun.keep

    def stolen(run):
        original(run)
        if run.progress["canary"]["phase"] == "running":
            found.work.update(lease_token=uuid.uuid4())

    monkeypatch.setattr(WorkflowRun, "keep", stolen)
    lease = Work.objects.claim(found.work.get().pk)
    outcome = take_step(lease)
    assert type(outcome.error).__name__ == "Stale"
    assert phases(found)["canary"] == "pending"
    assert App.objects.get().revision == 1
    monkeypatch.undo()
    forget_leases()
    found.mark()
    settle()
    assert phases(found)["canary"] == "running"
    assert App.objects.get().revision == 2


def test_a_look_that_finds_nothing_new_writes_nothing(deployed):
    found = declare(deployed.project, *RELEASE).run("bob")
    settle()
    before = WorkflowRun.objects.values().get(), Event.objects.count()
    for _ in range(3):
        found.mark()
        settle()
    assert (WorkflowRun.objects.values().get(), Event.objects.count()) == before


def test_a_run_that_is_gone_is_no_defect(deployed, monkeypatch):
    flow = declare(deployed.project, *RELEASE)
    found = flow.run("bob")
    lease = Work.objects.claim(found.work.get().pk)
    row = WorkflowRun.objects.get()
    WorkflowRun.objects.all().delete()
    assert row.step(lease).look_in is None


def test_what_is_declared_between_is_noticed_though_no_key_was_stored(deployed, monkeypatch):
    """A touch may come before its key is stored: everything is looked at once more."""
    flow = declare(deployed.project, step("wait", "depends-on-app"))
    App.objects.update(phase="Applying")
    deployed.placements.update(phase="Applying")
    found = flow.run("bob")
    original = WorkflowRun._read

    def deployed_meanwhile(run):
        original(run)
        App.objects.update(phase="Deployed")
        deployed.placements.update(phase="Deployed")

    monkeypatch.setattr(WorkflowRun, "_read", deployed_meanwhile)
    take_step(Work.objects.claim(found.work.get().pk))
    assert phases(found) == {"wait": "succeeded"}
