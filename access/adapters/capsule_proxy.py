"""Grants behind a cluster's own capsule-proxy, which passes on what RBAC allows.

Observed with 0.14: an account that has RoleBindings alone works in its namespaces, `get
namespaces` is refused to it. What shows it a list is not made here.
"""

from access.adapters.kubenova_proxy import KubenovaProxy


class CapsuleProxy(KubenovaProxy):
    """The same objects; another door."""

    name = "access.capsule-proxy"
