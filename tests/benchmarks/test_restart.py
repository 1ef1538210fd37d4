"""After a lost hour, looking for what is still to be repaired takes nothing from the repairs."""

from restart import _healed

WANTED = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}
    for name in ("one", "two", "three")
]


class Server:
    """Answers with what is live, or as an API server does when nothing is, and counts."""

    def __init__(self) -> None:
        self.live, self.asked = {}, []

    def get(self, manifest):
        name = manifest["metadata"]["name"]
        self.asked.append(name)
        return self.live.get(name, {"kind": "Status", "status": "Failure", "code": 404})


def test_a_look_ends_at_the_first_that_is_not_whole_and_goes_on_there():
    server, waiting = Server(), list(WANTED)
    server.live = {"two": WANTED[1], "three": {**WANTED[2], "data": {"a": "changed"}}}
    assert not _healed(server, waiting)
    assert server.asked == ["three"]
    server.live["three"] = WANTED[2]
    assert not _healed(server, waiting)
    assert server.asked == ["three", "three", "two", "one"]
    server.live["one"] = {**WANTED[0], "status": {}}
    assert _healed(server, waiting)
    assert server.asked[4:] == ["one"]
    assert waiting == []
