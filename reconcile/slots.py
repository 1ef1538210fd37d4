"""How many steps of a drain a cluster takes at once (threat F13).

Few at first, so that one that has died has no more than these in it; one more for each that comes
back quickly while others are under way, as an API server spends less on calls that come together.
"""

FIRST = 4


class Slots:
    """The slots of all clusters in one drain; its lock is held by whoever asks."""

    def __init__(self, most: int) -> None:
        """No cluster gets more than `most`."""
        self._most = most
        self._earned: dict[int | None, int] = {}
        self._slow: set[int | None] = set()  # clusters whose last step was

    def of(self, cluster: int, *, stuck: bool = False) -> int:
        """How many steps may be under way: one where a step is `stuck` or the last was slow."""
        if stuck or cluster in self._slow:
            return 1
        return min(self._most, FIRST + self._earned.get(cluster, 0))

    def ended(self, cluster: int | None, *, slow: bool, last: bool) -> None:
        """Learn from a step; with the `last` one under way a cluster begins anew."""
        (self._slow.add if slow else self._slow.discard)(cluster)
        if slow or last:
            self._earned.pop(cluster, None)
            return
        self._earned[cluster] = min(self._most, self._earned.get(cluster, 0) + 1)
