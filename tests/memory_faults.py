"""Failures that a test asks of a cluster in memory."""

from dataclasses import dataclass

from reconcile.errors import ClusterError
from reconcile.values import Kind, Ref

About = Ref | Kind | str


@dataclass
class _Fault:
    error: ClusterError
    verb: str
    about: Ref | Kind | None
    times: int | None  # None: for ever
    after: bool

    def concerns(self, verb: str, about: About) -> bool:
        kind = about.kind if isinstance(about, Ref) else about
        return self.verb in ("", verb) and self.about in (None, about, kind)


class Faults:
    """The failures that are due, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._due: list[_Fault] = []

    def add(
        self,
        error: ClusterError,
        *,
        verb: str = "",
        about: Ref | Kind | None = None,
        times: int | None = 1,
        after: bool = False,
    ) -> None:
        """Ask for a failure; `after` lets the call happen and loses its answer."""
        self._due.append(_Fault(error, verb, about, times, after))

    def clear(self) -> None:
        """Forget all of them."""
        self._due.clear()

    def before(self, verb: str, about: About) -> None:
        """Raise what is due instead of the call."""
        self._raise(verb, about, after=False)

    def after(self, verb: str, about: About) -> None:
        """Raise what is due instead of the answer."""
        self._raise(verb, about, after=True)

    def _raise(self, verb: str, about: About, *, after: bool) -> None:
        for fault in self._due:
            if fault.after == after and fault.concerns(verb, about):
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self._due.remove(fault)
                raise fault.error
