"""Where a kubeconfig leads: an access proxy with the CA that vouches for it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from access.proxy.certificates import authority
from clusters.addresses import AddressRules
from clusters.kubeconfig import Credential
from clusters.models import Cluster
from clusters.transport import Limits, Transport
from reconcile.errors import ClusterError

_EVERYWHERE = AddressRules(allow_loopback=True, allow_private=True)
_LIMITS = Limits(connect=3.0, read=3.0, total=4.0, answer_bytes=64 * 1024)


@dataclass(frozen=True)
class Endpoint:
    """A server URL as kubectl takes it, and the PEM of the CA that vouches for it."""

    server: str
    ca_pem: str


def endpoint_of(cluster: Cluster) -> Endpoint:
    """Return the door to a cluster: never the API server itself."""
    registered = cluster.access_proxy
    if registered is None:
        return Endpoint(f"{settings.PROXY_URL.rstrip('/')}/clusters/{cluster.name}", authority())
    url = str(registered["url"]).rstrip("/")
    below = "" if registered["kind"] == "capsule-proxy" else f"/clusters/{cluster.name}"
    return Endpoint(f"{url}{below}", str(registered["ca_bundle"]))


def fault_of(endpoint: Endpoint) -> str:
    """Knock at the door; return why nobody opens, empty when somebody does, whatever is said."""
    door = f"https://{urlsplit(endpoint.server).netloc}"
    try:
        transport = Transport(Credential(door, endpoint.ca_pem), _EVERYWHERE, _LIMITS)
        transport.request("GET", ("healthz",))
        transport.close()
    except ClusterError as error:
        return error.message
    return ""
