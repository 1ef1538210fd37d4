"""Watches for benchmarks: who sees when an object has become what it shall be, and who mends it."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.api import AdminApi

JSON = dict[str, Any]
Judge = Callable[[JSON], bool]


def events(lines: Iterator[bytes]) -> Iterator[tuple[str, JSON]]:
    """Read the lines of a watch: the type of each event and the object. Blank lines are passed."""
    for line in lines:
        if line.strip():
            event = json.loads(line)
            yield event["type"], event["object"]


def version(body: JSON) -> int:
    """The resourceVersion as a number: etcd counts, and one API server's versions compare."""
    return int(body["metadata"]["resourceVersion"])


class Watch:
    """A watch on a collection in a thread of its own; `tell` gets each event as it arrives."""

    def __init__(self, api: AdminApi, path: str, tell: Callable[[str, JSON], None]) -> None:
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", api.port, context=api._context()
        )
        since = api.get(path, limit="1")["metadata"]["resourceVersion"]
        self._connection.request("GET", f"{path}?watch=1&resourceVersion={since}")
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        self._tell, self._closed = tell, False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            for kind, body in events(iter(self._answer.readline, b"")):
                self._tell(kind, body)
        except (OSError, ValueError, AttributeError):
            if not self._closed:
                raise

    def close(self) -> None:
        """End it; the thread may find the connection closed under its hands."""
        self._closed = True
        self._socket.shutdown(socket.SHUT_RDWR)  # closing would wait for the reader


class Observer:
    """Knows of one object at a time when it first was as it shall be, after a certain version."""

    def __init__(self) -> None:
        self._seen = threading.Condition()
        self._states: dict[tuple[str, str], list[tuple[float, int, JSON]]] = {}

    def tell(self, kind: str, body: JSON) -> None:
        """Take an event of a watch."""
        now = time.perf_counter()
        with self._seen:
            if kind != "DELETED":
                self._states.setdefault(key_of(body), []).append((now, version(body), body))
            self._seen.notify_all()

    def forget(self) -> None:
        """Forget what was seen until now."""
        with self._seen:
            self._states.clear()

    def wait(self, key: tuple[str, str], after: int, judge: Judge, seconds: float) -> float:
        """Return when (perf_counter) a state newer than `after` that passes was seen.

        Raises TimeoutError.
        """

        def found() -> float | None:
            states = self._states.get(key, [])
            return next(
                (at for at, at_version, body in states if at_version > after and judge(body)), None
            )

        with self._seen:
            if not self._seen.wait_for(lambda: found() is not None, seconds):
                last = [body for _, _, body in self._states.get(key, [])][-1:]
                raise TimeoutError(f"{key} is not as it shall be after {seconds} s: {last}")
            return found() or 0.0


def key_of(body: JSON) -> tuple[str, str]:
    """Namespace and name."""
    return body["metadata"].get("namespace", ""), body["metadata"]["name"]
