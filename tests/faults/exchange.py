"""One request as the fault proxy sees it, and the journal of what was written through it."""

import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# What the API server puts nowhere: reviews, and tokens.
_ASKS = ("reviews", "/token")
# What differs from run to run although the same is meant.
_VOLATILE = ("uid", "resourceVersion", "annotations")
_OWNER = "kubenova.io/owner"


@dataclass(frozen=True)
class Exchange:
    """A request: `number` counts all requests of a proxy from 1, `peer` is the client's address."""

    number: int
    verb: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    agent: str = ""
    body: bytes = b""
    peer: tuple[str, int] = ("", 0)
    request: web.BaseRequest | None = field(default=None, compare=False, repr=False)

    @property
    def writes(self) -> bool:
        """Whether it would change what the cluster stores."""
        asks = self.path.endswith(_ASKS)
        return self.verb in WRITES and "dryRun" not in self.query and not asks

    @property
    def watches(self) -> bool:
        """Whether it asks for a stream of events."""
        return self.query.get("watch") in {"true", "1"}

    @property
    def lists(self) -> bool:
        """Whether it asks for a collection of objects that carry a label."""
        return self.verb == "GET" and "labelSelector" in self.query and not self.watches

    @property
    def sort(self) -> str:
        """What it asks for, whichever object: `GET kubenova namespaces`."""
        names = self.path.split("/")
        place = names.index("namespaces") + 2 if "namespaces" in names[:-2] else 0
        group = 4 if self.path.startswith("/apis") else 3
        plural = names[min(max(place, group), len(names) - 1)]
        return f"{self.verb} {self.agent.partition('/')[0]} {plural}"

    @property
    def there(self) -> bool:
        """Whether the client is still connected."""
        transport = self.request.transport if self.request else None
        return transport is not None and not transport.is_closing()


def digest(body: bytes) -> str:
    """Eight hex digits of what a body means, the same for the same meaning in another run."""
    try:
        content = json.loads(body)
    except ValueError:
        content = body.decode(errors="replace")
    if isinstance(content, dict):
        content = _steady(content)
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _steady(content: dict[str, Any]) -> dict[str, Any]:
    meta = content.get("metadata")
    if not isinstance(meta, dict):
        return {key: value for key, value in content.items() if key != "preconditions"}
    kept = {key: value for key, value in meta.items() if key not in _VOLATILE}
    labels = {key: value for key, value in kept.get("labels", {}).items() if key != _OWNER}
    return {**content, "metadata": {**kept, "labels": labels}}


@dataclass
class Written:
    """One write: `status` is 0 until it was answered, and for ever when it was not forwarded."""

    verb: str
    path: str
    digest: str
    agent: str
    began: float
    status: int = 0
    ended: float = 0.0

    def __str__(self) -> str:
        return f"{self.verb} {self.path} {self.digest} {self.status or 'not forwarded'}"

    @property
    def done(self) -> bool:
        """Whether the server took it."""
        return 200 <= self.status < 300


class Journal:
    """What went through a proxy: every write in order, and how many requests of each sort."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes: list[Written] = []
        self._asked: Counter[str] = Counter()

    @property
    def writes(self) -> list[Written]:
        """Every write so far, in the order of arrival."""
        with self._lock:
            return list(self._writes)

    @property
    def landed(self) -> list[Written]:
        """Those that the server took."""
        return [write for write in self.writes if write.done]

    @property
    def requests(self) -> int:
        """All requests so far."""
        with self._lock:
            return self._asked.total()

    def asked(self) -> Counter[str]:
        """What was asked for so far, and how often: verb, client and what lies there."""
        with self._lock:
            return Counter(self._asked)

    def begin(self, exchange: Exchange) -> Written:
        """Note a request; only writes are kept one by one."""
        written = Written(
            exchange.verb, exchange.path, digest(exchange.body), exchange.agent, time.monotonic()
        )
        with self._lock:
            self._asked[exchange.sort] += 1
            if exchange.writes:
                self._writes.append(written)
        return written

    def since(self, mark: int) -> list[Written]:
        """The writes after the first `mark` ones."""
        return self.writes[mark:]

    def __len__(self) -> int:
        with self._lock:
            return len(self._writes)
