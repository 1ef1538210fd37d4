"""Which requests a fault concerns: by verb, path, query, client, and by their turn.

Deterministic: the same requests in the same order meet the same faults, for a seed.
"""

import random
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.faults.actions import Action
from tests.faults.exchange import Exchange


@dataclass(frozen=True)
class Match:
    """Regular expressions: of the whole verb, anywhere in path, query and user agent.

    `writes`, `watches` and `lists` ask for requests that are such, or (False) are not.
    """

    verb: str = ""
    path: str = ""
    query: str = ""
    agent: str = ""
    writes: bool | None = None
    watches: bool | None = None
    lists: bool | None = None

    def fits(self, exchange: Exchange) -> bool:
        """Whether a request is meant."""
        query = "&".join(f"{key}={value}" for key, value in exchange.query.items())
        texts = ((self.path, exchange.path), (self.query, query), (self.agent, exchange.agent))
        return (
            (not self.verb or re.fullmatch(self.verb, exchange.verb) is not None)
            and all(re.search(pattern, text) for pattern, text in texts)
            and all(
                asked is None or asked == getattr(exchange, name)
                for name, asked in vars(self).items()
                if name in {"writes", "watches", "lists"}
            )
        )


EVERYTHING = Match()
WRITE = Match(writes=True)
WATCH = Match(watches=True)
LIST = Match(lists=True)


@dataclass
class Rule:
    """A fault for those that match: from the `first` on, `times` of them (None: all).

    `share` of them meet it, by the dice of the proxy.
    """

    match: Match
    action: Action
    first: int = 1
    times: int | None = None
    share: float = 1.0
    seen: int = field(default=0, init=False)
    met: int = field(default=0, init=False)

    def meets(self, exchange: Exchange, dice: random.Random) -> bool:
        """Count a request; whether it meets the fault."""
        if not self.match.fits(exchange):
            return False
        self.seen += 1
        if self.seen < self.first or (self.times is not None and self.met >= self.times):
            return False
        if self.share < 1.0 and dice.random() >= self.share:
            return False
        self.met += 1
        return True


def nth(match: Match, action: Action, number: int) -> Rule:
    """A fault for the `number`-th that matches (from 1), and no other."""
    return Rule(match, action, first=number, times=1)


class Rules:
    """The faults of one proxy. Safe to share by threads."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._dice = random.Random(seed)

    def add(self, *rules: Rule) -> None:
        """Begin these faults."""
        with self._lock:
            self._rules += rules

    def remove(self, *rules: Rule) -> None:
        """End these faults."""
        with self._lock:
            self._rules = [rule for rule in self._rules if not any(rule is end for end in rules)]

    def clear(self) -> None:
        """End every fault."""
        with self._lock:
            self._rules = []

    @contextmanager
    def during(self, *rules: Rule) -> Iterator[None]:
        """These faults until the end of the block."""
        self.add(*rules)
        try:
            yield
        finally:
            self.remove(*rules)

    def of(self, exchange: Exchange) -> Sequence[Action]:
        """What happens to a request, in the order in which the faults were added."""
        with self._lock:
            return [rule.action for rule in self._rules if rule.meets(exchange, self._dice)]
