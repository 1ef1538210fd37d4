"""A deadline for all cluster calls of a block; timeouts alone start anew with every byte. Pure."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

_deadline: ContextVar[float] = ContextVar("cluster_deadline", default=inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bound all calls of the block together, also those of threads that copy the context.

    For request threads, whose callers wait: a call that would last longer is Unreachable.
    Deadlines nest, the nearest one counts.
    """
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def deadline() -> float:
    """When the block must be done, in monotonic seconds; infinite outside of any block."""
    return _deadline.get()


def left() -> float:
    """Seconds until the deadline; negative when it has passed."""
    return _deadline.get() - time.monotonic()
