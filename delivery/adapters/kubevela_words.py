"""What KubeVela says, in words that people can act on. Pure.

Its messages are foreign text: harmless, one line, bounded; what makes no sense says nothing.
"""

import re
from collections.abc import Sequence

from clusters.adapters.kubevela import DEPLOYER
from delivery.rules.printable import printable
from reconcile.values import JSON

_LONGEST = 300
_READY = re.compile(r"Ready:(?P<ready>\d{1,6})/(?P<wanted>\d{1,6})")
_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"^{_READY.pattern}$"), "{ready} of {wanted} replicas are ready."),
    (
        re.compile(
            r"exceeded quota: (?P<quota>[^\s,]+), requested: (?P<asked>\S+), "
            r"used: (?P<used>\S+), limited: (?P<limited>[^\s;'\"\\]+)"
        ),
        "The quota {quota} leaves no room for {asked}: {used} of {limited} are used. Ask for less, "
        "or for a larger quota.",
    ),
    (
        re.compile(
            r"existing object (?P<object>.{1,200}?) is managed by other application "
            r"(?P<app>[^\s;'\"\\]+)"
        ),
        "{object} belongs to the Application {app} already. Give the component another name, or "
        "remove it there.",
    ),
    (
        re.compile(
            rf"User \\?\"system:serviceaccount:[^\"\\]*:{DEPLOYER}\\?\" cannot (?P<verb>\w+) "
            r"resource \\?\"(?P<what>[^\"\\]+)"
        ),
        "The account that KubeVela acts by may not {verb} {what} in the project.",
    ),
)


def told(value: object) -> str:
    """Return a text of KubeVela's for people; empty for what is none."""
    if not isinstance(value, str):
        return ""
    text = " ".join(printable(value[: 10 * _LONGEST].replace("\n", " ")).split())
    for pattern, words in _KNOWN:
        if found := pattern.search(text):
            return words.format(**found.groupdict())[:_LONGEST]
    return text[:_LONGEST]


def counted(services: Sequence[JSON], *, healthy: bool, wanted: int) -> tuple[int, int]:
    """Return how many replicas are ready and wanted, as the messages of services have it.

    Where none says so it is all or nothing of those that were declared.
    """
    texts = (each.get("message") for each in services)
    found = [each for text in texts if isinstance(text, str) and (each := _READY.search(text))]
    if not found:
        return (wanted if healthy else 0), wanted
    ready, total = (sum(int(each[word]) for each in found) for word in ("ready", "wanted"))
    return ready, total
