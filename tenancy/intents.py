"""What a tenant and a project shall be on one cluster: frozen and complete."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconcile.values import JSON


class Isolation(StrEnum):
    """How a tenant's namespaces are closed to the network.

    isolated: only the same tenant, and DNS. egress-open: nobody but the same tenant comes in,
    everything may go out. none: no policy.
    """

    ISOLATED = "isolated"
    EGRESS_OPEN = "egress-open"
    NONE = "none"


class Role(StrEnum):
    """What a member may do; the catalogue is fixed."""

    ADMIN = "tenant-admin"
    DEV = "tenant-dev"
    READ_ONLY = "read-only"


class Division(StrEnum):
    """How what is not promised to anybody is divided over projects and clusters.

    even: the same to each. weight: by the weight of each project. demand: where it is used.
    """

    EVEN = "even"
    WEIGHT = "weight"
    DEMAND = "demand"


@dataclass(frozen=True)
class TenantIntent:
    """A tenant on a cluster: its people, and the rules that bind it.

    `owners` are user names as clusters know them; `owner_subjects` are the groups and service
    accounts that own it as well, each {kind, name, namespace?}. `role_bindings` are {role,
    subjects}. `network` holds the tenant's own network rules and `restrictions` the values of
    `tenancy.rules.kinds` by name; `imposed` are further ones that refuse nothing, by their mode
    (`warn`, `audit`). `quota` is the tenant's part on this cluster. `features` are what the
    cluster's platform offers beyond the least, such as `registries` of Capsule.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    quota: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    isolation: str = Isolation.ISOLATED
    network: tuple[JSON, ...] = ()
    restrictions: Mapping[str, JSON] = field(default_factory=dict)
    imposed: Mapping[str, JSON] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    owner_subjects: tuple[JSON, ...] = ()
    role_bindings: tuple[JSON, ...] = ()
    cordoned: bool = False
    protected: bool = False
    features: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ProjectIntent:
    """A project on a cluster. `quota` is its share; `members` are cluster user names per role.

    What binds the tenant binds each of its projects: see `TenantIntent`. `network` holds the
    tenant's rules and then the project's. `adopted`: the namespace was there before KubeNova.
    `deployer`: KubeVela delivers there, by an account of the project.
    """

    tenant: str
    name: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    quota: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    isolation: str = Isolation.ISOLATED
    network: tuple[JSON, ...] = ()
    restrictions: Mapping[str, JSON] = field(default_factory=dict)
    imposed: Mapping[str, JSON] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owner_subjects: tuple[JSON, ...] = ()
    role_bindings: tuple[JSON, ...] = ()
    cordoned: bool = False
    protected: bool = False
    adopted: bool = False
    deployer: bool = False
