"""Which pods break a profile of pod security: asked of their namespace by dry run. Pure.

A namespace whose label asks for another profile is answered with warnings that name one of the pods
that break it for the same reasons and count the others (Kubernetes, Pod Security Admission). Which
these are is told by the warnings that copies of them get, each alone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from reconcile.values import JSON, Live
from tenancy.rules.profiles import ENFORCE

RULE = "pod_security"
_HEAD = re.compile(r"^existing pods in namespace .* violate the new PodSecurity enforce level ")
_PODS = re.compile(r"^([a-z0-9][-a-z0-9.]*)(?: \(and (\d+) other pods?\))?: (.+)$", re.DOTALL)
_ALONE = re.compile(r'^would violate PodSecurity "restricted:[^"]*": (.+)$', re.DOTALL)
_DETAIL = re.compile(r" \([^()]*\)")


class Alike(NamedTuple):
    """A pod that breaks the profile, why, and how many others do for the same reasons."""

    name: str
    reasons: str
    others: int


def asking(namespace: Live, profile: str) -> JSON:
    """Return the namespace as it is, but for the profile that it enforces."""
    meta = namespace.body["metadata"]
    asked = {"name": namespace.ref.name, "labels": {**namespace.labels, ENFORCE: profile}}
    if annotations := meta.get("annotations"):
        asked["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": asked}


def breaking(warnings: Iterable[str]) -> list[Alike]:
    """Return the pods that a namespace names."""
    told = list(warnings)
    if not any(_HEAD.match(text) for text in told):
        return []
    hits = filter(None, map(_PODS.match, told))
    return [Alike(hit[1], hit[3], int(hit[2] or 0)) for hit in hits]


def reasons(warnings: Iterable[str]) -> str:
    """Return why one object breaks the strictest profile, as its namespace says; else nothing."""
    hits = filter(None, map(_ALONE.match, warnings))
    return next((_DETAIL.sub("", hit[1]) for hit in hits), "")


def telling(named: Iterable[Alike], alone: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield every pod with why it breaks the profile: those named, and others that were tried.

    `alone` has the reasons by pod. What is left of the others goes with the one that is named.
    """
    known = Counter(alone.values())
    for each in named:
        left = each.others - known[each.reasons]
        like = f" (and {left} other pod{'s' if left > 1 else ''})" if left > 0 else ""
        yield each.name, f"{each.reasons}{like}"
    yield from ((name, told) for name, told in alone.items() if told)
