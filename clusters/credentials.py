"""The credentials of a cluster: kept as sealed text, known by a digest, renewed as short tokens."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.dateparse import parse_datetime

from clusters.intents import ACCOUNT, SYSTEM_NAMESPACE, USERNAME
from clusters.kubeconfig import Credential
from clusters.reachable import Reachable
from reconcile.cluster import Cluster
from reconcile.errors import Refused, Unauthenticated, Unreachable, Waiting
from reconcile.values import JSON

_TOKEN_CHARACTERS = 16 * 1024


@dataclass(frozen=True)
class Given:
    """A credential that an operator gave: equal by its digest, so that it can be dropped."""

    digest: str
    credential: Credential | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, credential: Credential) -> "Given":
        """Name the credential by a digest that is worth nothing without our SECRET_KEY."""
        keyed = salted_hmac("clusters.credential", dump(credential), algorithm="sha256")
        return cls(keyed.hexdigest(), credential)


@dataclass(frozen=True)
class Scoped:
    """A token of KubeNova's own ServiceAccount; `expires` is what the cluster returned."""

    credential: Credential
    expires: datetime


def dump(credential: Credential) -> str:
    """Return the credential as JSON text."""
    return json.dumps(asdict(credential), sort_keys=True)


def load(text: str) -> Credential:
    """Return the credential that `dump` wrote."""
    return Credential(**json.loads(text))


def whoami(cluster: Cluster) -> str:
    """Return the user name that the cluster knows us by."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = cluster.create_review("authentication.k8s.io/v1", "selfsubjectreviews", body)
    user = (answer.get("status") or {}).get("userInfo") or {}
    return str(user.get("username", ""))


@dataclass(frozen=True)
class Account:
    """A ServiceAccount by its namespace and name."""

    namespace: str
    name: str


def ask_token(
    cluster: Cluster, account: Account, seconds: int, bound: JSON | None = None
) -> tuple[str, datetime]:
    """Return a new token of a ServiceAccount and when it ends, as the cluster says.

    `bound` is the object (apiVersion, kind, name, uid) whose deletion ends it. Raises ClusterError.
    """
    spec: JSON = {"expirationSeconds": seconds} | ({"boundObjectRef": bound} if bound else {})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    place = f"{account.namespace}/{account.name}/token"
    status = cluster.create_review("v1", "serviceaccounts", body, place).get("status") or {}
    token, expires = status.get("token"), _moment(status.get("expirationTimestamp"))
    if not _is_token(token) or expires is None:
        raise Unreachable("The cluster's answer to a TokenRequest holds no usable token.")
    return str(token), expires


def request_token(cluster: Cluster, base: Credential) -> Scoped:
    """Ask for a new token of KubeNova's ServiceAccount, to be used at the server of `base`.

    It lives CLUSTER_TOKEN_DAYS unless the cluster decides otherwise. Raises ClusterError.
    """
    seconds = int(timedelta(days=settings.CLUSTER_TOKEN_DAYS).total_seconds())
    token, expires = ask_token(cluster, Account(SYSTEM_NAMESPACE, ACCOUNT), seconds)
    bare = replace(base, token=token, client_cert_pem=None, client_key_pem=None)
    return Scoped(bare, expires)


def prove(cluster: Reachable) -> None:
    """Make sure that a new token works: it is KubeNova's and its rights have taken effect.

    Raises Refused for another identity, Waiting while the rights are on their way.
    """
    found = whoami(cluster)
    if found != USERNAME:
        raise Refused(f"The cluster takes KubeNova's own token for {found or 'nobody'}.")
    if not cluster.access_review("create", "", "namespaces"):
        raise Waiting("The rights of KubeNova's account have not taken effect yet.")


def ending_soon(expires: datetime | None) -> bool:
    """Whether less than a quarter of a token's usual life is left."""
    if expires is None:
        return False
    return expires - timezone.now() < timedelta(days=settings.CLUSTER_TOKEN_DAYS) / 4


def not_there(cluster_name: str) -> Unauthenticated:
    """The error of a cluster that no credential is known for."""
    return Unauthenticated(f"KubeNova has no working credential for cluster {cluster_name} yet.")


def _is_token(value: object) -> bool:
    """A bearer token of RFC 6750: hostile answers hold line breaks and worse."""
    if not isinstance(value, str) or not 0 < len(value) <= _TOKEN_CHARACTERS:
        return False
    return all("!" <= sign <= "~" for sign in value)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = parse_datetime(value)
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
