"""An independent eye on objects: what it saw, when, and of which version."""

import json
import threading
import time

import pytest
from _watching import Observer, events, key_of, version


def body(number: int, **spec: object) -> dict:
    """An object of that version."""
    meta = {"namespace": "shop", "name": "web", "resourceVersion": str(number)}
    return {"metadata": meta, "spec": spec}


KEY = ("shop", "web")


def whole(found: dict) -> bool:
    return found["spec"] == {"open": False}


def test_the_lines_of_a_watch_are_events():
    lines = [json.dumps({"type": "ADDED", "object": body(3)}).encode() + b"\n", b"\n"]
    assert list(events(iter(lines))) == [("ADDED", body(3))]


def test_versions_are_compared_as_numbers():
    assert version(body(10)) > version(body(9))


def test_an_object_is_known_by_its_place():
    assert key_of(body(1)) == KEY
    assert key_of({"metadata": {"name": "shop"}}) == ("", "shop")


def test_it_waits_for_the_first_state_that_is_whole():
    observer, began = Observer(), time.perf_counter()

    def happen() -> None:
        for number, opened in ((6, True), (7, False), (8, False)):
            observer.tell("MODIFIED", body(number, open=opened))

    threading.Timer(0.05, happen).start()
    seen = observer.wait(KEY, 5, whole, 5.0)
    assert 0.04 < seen - began < 1.0


def test_it_takes_what_was_seen_before_it_waited():
    observer = Observer()
    observer.tell("MODIFIED", body(6, open=False))
    assert observer.wait(KEY, 5, whole, 0.1) < time.perf_counter()


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        pytest.param("MODIFIED", 5, id="it was so before the change"),
        pytest.param("DELETED", 9, id="it is gone"),
    ],
)
def test_it_is_not_deceived_by(kind, number):
    observer = Observer()
    observer.tell(kind, body(number, open=False))
    with pytest.raises(TimeoutError, match="not as it shall be"):
        observer.wait(KEY, 5, whole, 0.05)


def test_it_forgets_what_was():
    observer = Observer()
    observer.tell("MODIFIED", body(6, open=False))
    observer.forget()
    with pytest.raises(TimeoutError):
        observer.wait(KEY, 5, whole, 0.05)
