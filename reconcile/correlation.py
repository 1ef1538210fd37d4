"""The one id that joins a request, what it intends, each step, each log line and each event."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry import propagate

_LONGEST_PATH = 300


@dataclass
class Asked:
    """The request that is being answered: its `method` and `path`, and the event that tells it."""

    method: str
    path: str
    event: int | None = None


_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)
_current: ContextVar[str] = ContextVar("correlation_id", default="")


def new_correlation_id() -> str:
    """Make a fresh id: 32 hex digits."""
    return uuid.uuid4().hex


def correlation_id() -> str:
    """Return the id of what is going on here; empty outside of any request or step."""
    return _current.get()


@contextmanager
def correlate(value: str) -> Iterator[str]:
    """Work under `value` until the block ends; an empty one is replaced by a fresh id."""
    token = _current.set(value or new_correlation_id())
    try:
        yield _current.get()
    finally:
        _current.reset(token)


def asking() -> Asked | None:
    """Return the request that is being answered; None outside of any, and for one that reads."""
    return _asked.get()


@contextmanager
def asked(method: str, path: str) -> Iterator[None]:
    """Answer a request that may change something until the block ends."""
    token = _asked.set(Asked(method, path[:_LONGEST_PATH]))
    try:
        yield
    finally:
        _asked.reset(token)


def traceparent() -> str:
    """Return the W3C traceparent of the current span, empty when nothing is traced."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "")
