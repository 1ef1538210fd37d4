"""What a registered cluster is to carry of KubeNova's own. Pure."""

from dataclasses import dataclass

from reconcile.planning.values import PLAN_NAMESPACE

# 2: the namespace of plans; 3: the policies that enforce the rules of tenants; 4: delivery's
# rights; 5: the same policies bound to warn and audit, the one of image references, the role of
# KubeVela's account in projects, the policy that keeps it to KubeVela, and the namespace of
# simulations; 6: the policy that bounds the network, and a look at definitions of steps; 7: rights
# on KubeVela's WorkflowRuns, and the policy that guards them; 8: policies that cost a write next to
# nothing where their rule is not in use
BASELINE = 8
SYSTEM_NAMESPACE = "kubenova-system"
GRANTS_NAMESPACE = "kubenova-grants"
SIMULATION_NAMESPACE = "kubenova-simulation"  # where policies are tried on copies, by dry run
# All that are KubeNova's and none of a tenant's; the one that holds its own account goes last.
OWN_NAMESPACES = (PLAN_NAMESPACE, SIMULATION_NAMESPACE, GRANTS_NAMESPACE, SYSTEM_NAMESPACE)
ACCOUNT = "kubenova"
NAMESPACE_READER = "kubenova-namespaces"  # the account that the access proxy lists namespaces by
USERNAME = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{ACCOUNT}"

PROJECTOR = "kubenova:projector"
TENANT_ADMIN = "kubenova:tenant-admin"
TENANT_DEV = "kubenova:tenant-dev"
READ_ONLY = "kubenova:read-only"
DEPLOYER_ROLE = "kubenova:deployer"
MANAGER_ROLE = "kubenova:manager"
READER_ROLE = "kubenova:namespaces"
# What a grant of access may consist of: one small ClusterRole each.
GRANTED_ROLES = tuple(
    f"kubenova:{verb}" for verb in ("view", "edit", "logs", "exec", "port-forward", "secrets")
)


@dataclass(frozen=True)
class BaselineIntent:
    """KubeNova's own objects on one cluster, and how its credential there is doing.

    `version` is the baseline's. `expires` is the day (ISO 8601) on which the scoped credential
    ends, when that is near; `refused` is why the credential that an operator gave last does not
    work although the scoped one does; `asks` is what an operator has to confirm. All are empty when
    all is well.
    """

    version: int = BASELINE
    expires: str = ""
    refused: str = ""
    asks: str = ""
