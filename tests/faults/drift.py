"""What somebody changes behind KubeNova's back, and whether it is as it was again."""

from dataclasses import dataclass

from reconcile.values import JSON
from tests.faults.sites import Site

_POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}--shop/networkpolicies/kubenova-isolation"


@dataclass
class Opened:
    """The network policy of a tenant's shop: what it says when nobody has opened it."""

    site: Site
    path: str
    closed: JSON

    @classmethod
    def of(cls, site: Site, tenant: str) -> "Opened":
        """As it is now."""
        path = _POLICIES.format(tenant)
        return cls(site, path, site.api.get(path)["spec"])

    def open(self) -> None:
        """Let everybody in."""
        self.site.api.patch(self.path, {"spec": {"ingress": [{}]}}, fieldManager="mallory")

    def delete(self) -> None:
        """Remove it."""
        self.site.api.delete(self.path)

    @property
    def healed(self) -> bool:
        """Whether it says what it said."""
        live = self.site.api.find(self.path)
        return live is not None and live["spec"] == self.closed
