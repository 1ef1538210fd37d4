"""Manifests that an API server finds valid, for what is only ever tried. Pure."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from itertools import count

from reconcile.values import JSON

Made = tuple[str, JSON]  # the value that is refused, and the manifest that has it
MARK = {"app": "kubenova-proof"}
PULLED = "kubenova-proof.invalid/proof"


def unlisted(listed: Sequence[str], among: Sequence[str] = ()) -> str:
    """A name that a list lacks; of `among`, where only those are names at all; else empty."""
    names: Iterator[str] = iter(among) if among else (f"kubenova-proof-{n}" for n in count())
    return next((name for name in names if name not in listed), "")


def workload(
    kind: str = "Deployment",
    *,
    image: str = PULLED,
    pull_policy: str = "",
    pod: JSON | None = None,
    claims: Sequence[JSON] = (),
) -> JSON:
    """Return a workload that makes no pod, and is no violation by itself."""
    container: JSON = {"name": "proof", "image": image}
    if pull_policy:
        container["imagePullPolicy"] = pull_policy
    template: JSON = {"containers": [container], **(pod or {})}
    spec: JSON = {
        "replicas": 0,
        "selector": {"matchLabels": MARK},
        "template": {"metadata": {"labels": MARK}, "spec": template},
    }
    if claims:
        spec |= {"serviceName": "proof", "volumeClaimTemplates": list(claims)}
    return {"apiVersion": "apps/v1", "kind": kind, "spec": spec}


def service(**spec: object) -> JSON:
    """Return a Service; the shortest has a type and ports, or a name elsewhere."""
    return {"apiVersion": "v1", "kind": "Service", "spec": spec}


def v4_ranges() -> Iterator[IPv4Network]:
    """Single addresses here and there, each as a range."""
    for first in (203, 11, 77, 140):
        for last in range(256):
            yield IPv4Network(f"{first}.{last}.113.77")
