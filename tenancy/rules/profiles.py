"""The profiles of the Pod Security Standards as labels of namespaces. Pure."""

_PREFIX = "pod-security.kubernetes.io"
ENFORCE = f"{_PREFIX}/enforce"
LEAST = "baseline"
STRICTEST = "restricted"


def labels(enforced: str = LEAST) -> dict[str, str]:
    """Return the labels of a namespace: what breaks the strictest is always told."""
    return {ENFORCE: enforced, f"{_PREFIX}/warn": STRICTEST, f"{_PREFIX}/audit": STRICTEST}
