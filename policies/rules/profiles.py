"""Which pods break a profile of pod security: asked of their namespace by dry run. Pure.

A namespace whose label asks for another profile is answered with warnings that name the pods that
break it, those of one workload together (Kubernetes, Pod Security Admission).
"""

import re
from collections.abc import Iterable, Iterator

from reconcile.values import JSON, Live
from tenancy.rules.profiles import ENFORCE

RULE = "pod_security"
_HEAD = re.compile(r"^existing pods in namespace .* violate the new PodSecurity enforce level ")
_PODS = re.compile(r"^([a-z0-9][-a-z0-9.]*)( \(and \d+ other pods?\))?: (.+)$", re.DOTALL)


def asking(namespace: Live, profile: str) -> JSON:
    """Return the namespace as it is, but for the profile that it enforces."""
    meta = namespace.body["metadata"]
    asked = {"name": namespace.ref.name, "labels": {**namespace.labels, ENFORCE: profile}}
    if annotations := meta.get("annotations"):
        asked["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": asked}


def breaking(warnings: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the pods that are named, each with what breaks the profile in it and its like."""
    told = list(warnings)
    if any(_HEAD.match(text) for text in told):
        for hit in filter(None, map(_PODS.match, told)):
            yield hit[1], f"{hit[3]}{hit[2] or ''}"
