"""What an API server says it was asked: its own counters and its audit log, never the product's."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox.api import AdminApi

WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
_REQUESTS = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.M)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
EPOCH = "epoch"
LIST = "list"
_OURS = "system:serviceaccount:kubenova-system:kubenova"


def requests(api: AdminApi) -> Counter[tuple[str, str]]:
    """Return how many requests the server has answered so far, by verb and resource."""
    return counted(api.request("GET", "/metrics").body.decode())


def counted(metrics: str) -> Counter[tuple[str, str]]:
    """Read `apiserver_request_total` (Prometheus text format); dry runs count as verb DRY-RUN."""
    found: Counter[tuple[str, str]] = Counter()
    for match in _REQUESTS.finditer(metrics):
        labels = dict(_LABEL.findall(match["labels"]))
        verb = "DRY-RUN" if labels.get("dry_run") else labels.get("verb", "")
        found[verb, labels.get("resource", "")] += int(float(match["count"]))
    return found


def writes(found: Counter[tuple[str, str]], resources: Iterable[str]) -> int:
    """Return how many writes of these resources are among them."""
    wanted = set(resources)
    return sum(
        count for (verb, resource), count in found.items() if verb in WRITES and resource in wanted
    )


def by_verb(found: Counter[tuple[str, str]]) -> dict[str, int]:
    """Sum up over the resources, the most frequent verb first."""
    verbs: Counter[str] = Counter()
    for (verb, _), count in found.items():
        verbs[verb] += count
    return {verb: count for verb, count in verbs.most_common() if count}


class AuditLog:
    """The audit log of a sandbox (level Metadata), read from where the last reading ended."""

    def __init__(self, folder: Path, user: str = _OURS) -> None:
        self._path, self._user, self._offset = folder / "logs" / "audit.log", user, 0

    def skip(self) -> None:
        """Forget what was asked until now."""
        self._offset = self._path.stat().st_size

    def read(self) -> Counter[tuple[str, str]]:
        """Return what KubeNova's account has asked since, by verb (as in RBAC) and resource."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            content = log.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return audited(whole.decode().splitlines(), self._user)


def audited(lines: Iterable[str], user: str) -> Counter[tuple[str, str]]:
    """Count the requests of one user by verb and resource, whatever the stages of each."""
    found: dict[str, tuple[str, str]] = {}
    for event in (json.loads(line) for line in lines if line):
        if event["user"].get("username") == user:
            found[event["auditID"]] = (_verb(event), _resource(event))
    return Counter(found.values())


def _resource(event: dict[str, Any]) -> str:
    """What was asked for; the mark that KubeNova leaves of its own epoch is told apart."""
    about = event.get("objectRef", {})
    resource = str(about.get("resource", event.get("requestURI", "")))
    return EPOCH if (resource, about.get("name")) == ("configmaps", "epoch") else resource


def _verb(event: dict[str, Any]) -> str:
    """As in RBAC, but what had no effect says so, and of lists only the first page is one.

    What is selected by the lack of a mark of ours is no list of the kind: ours are not in it.
    """
    asked = parse_qs(urlsplit(event.get("requestURI", "")).query)
    if "dryRun" in asked:
        return "dry-run"
    verb = str(event["verb"])
    if event.get("responseStatus", {}).get("code", 200) >= 400:
        return f"refused {verb}"
    if verb == LIST and asked.get("limit") == ["1"]:
        return "probe"
    if verb == LIST and asked.get("labelSelector", [""])[0].startswith("!"):
        return "list of others"
    return "page" if verb == LIST and "continue" in asked else verb


def most_lists(found: Counter[tuple[str, str]]) -> int:
    """Return how often the kind was listed that was listed most, with all of its pages."""
    return max((count for (verb, _), count in found.items() if verb == LIST), default=0)


def written(found: Counter[tuple[str, str]]) -> int:
    """Return how many of them, as an audit log names verbs, wrote what was asked of KubeNova."""
    return sum(
        count
        for (verb, resource), count in found.items()
        if verb in ("create", "update", "patch", "delete", "deletecollection")
        and resource != EPOCH
        and not resource.endswith("reviews")
    )
