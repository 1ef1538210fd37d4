"""Workers that die at each move of a run, for tests of what is left of it."""

from collections.abc import Callable

from delivery.models import WorkflowRun
from tests.delivery.test_workflow_kills import Killed, forget_leases


class DiesEachTime:
    """Kills the worker at each move once, before that is committed; the next one makes it."""

    def __init__(self, monkeypatch) -> None:
        self.kills, self._died = 0, False
        original = WorkflowRun.keep

        def keep(run):
            original(run)
            if getattr(run, "commanded", False):
                return  # a request dies with its transaction, which is not what is tried here
            self._died = not self._died
            if self._died:
                self.kills += 1
                raise Killed

        monkeypatch.setattr(WorkflowRun, "keep", keep)


def though_it_dies(take: Callable[[], object]) -> None:
    """Let workers take steps; when one dies another one takes over."""
    for _ in range(60):
        try:
            take()
            return
        except Killed:
            forget_leases()
    raise AssertionError("it dies for ever")
