"""Names on clusters, derived so that two different projects can never meet. Pure."""

import hashlib

_LONGEST = 63
_KEPT = 54
_PLATFORM = frozenset({"default", "kubenova"})
_PLATFORM_PREFIXES = ("kube-", "kubenova-")


def namespace_of(tenant: str, project: str) -> str:
    """Return the namespace of a project, the same on every cluster.

    `--` is forbidden in names, so the join is injective; what does not fit into a DNS label is cut
    and told apart by 8 hex digits of a hash of the whole (threat A13). What is cut is as long as a
    label can be and what is not is shorter, so that no name can be chosen to meet a cut one.
    """
    name = f"{tenant}--{project}"
    if len(name) < _LONGEST:
        return name
    return f"{name[:_KEPT]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def of_platform(namespace: str) -> bool:
    """Whether a namespace is one of Kubernetes' own, or of KubeNova's (threat A12).

    Kubernetes keeps the prefix `kube-` to itself (Kubernetes documentation on namespaces), KubeNova
    its own.
    """
    return namespace in _PLATFORM or namespace.startswith(_PLATFORM_PREFIXES)


def subject_of(username: str) -> str:
    """Return the user name under which clusters know a member; never one of theirs (threat A14)."""
    return f"kubenova:{username}"
