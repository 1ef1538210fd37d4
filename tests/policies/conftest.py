"""An acme with a shop on one cluster, the people around it, and policy sets of olga's."""

from typing import Any

import pytest

from clusters.kinds import CONFIG_MAP
from policies.models import Attachment, PolicySet
from reconcile.values import JSON, Ref
from tests.delivery.conftest import acme, as_, people, prod, shop
from tests.fleet import Fleet, fleet
from tests.people import make_globex, quick_passwords

__all__ = ["acme", "as_", "fleet", "people", "prod", "quick_passwords", "shop"]

SETS = "/api/v1/policysets"


@pytest.fixture
def globex(people: dict[str, Any], prod: Any) -> Any:
    """charlie's tenant, on the same cluster."""
    return make_globex(placement={"clusters": ["prod-a"]})


def make_set(name: str = "strict", **rules: Any) -> PolicySet:
    """Declare a policy set, as olga does."""
    row = PolicySet(name=name, rules=rules or {"service_types": ["ClusterIP"]})
    row.declare(by="olga")
    return row


def attach(policy_set: PolicySet, name: str = "everyone", **columns: Any) -> Attachment:
    """Attach a set, by default to acme and enforced."""
    columns = {"mode": "enforce", "tenants": ["acme"], **columns}
    if columns.get("every_tenant") or columns.get("projects") or columns.get("tenant_selector"):
        columns["tenants"] = []
    row = Attachment(policy_set=policy_set, name=name, **columns)
    row.declare(by="olga")
    return row


def parameters(
    fleet: Fleet, mode: str = "", namespace: str = "acme--shop", cluster: str = "prod-a"
) -> JSON | None:
    """The data of the ConfigMap with the rules of a mode in a namespace; None without one."""
    name = f"kubenova-rules-{mode}" if mode else "kubenova-rules"
    live = fleet[cluster].get(Ref(CONFIG_MAP, namespace, name))
    return None if live is None else live.body.get("data", {})
