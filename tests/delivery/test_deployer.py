"""The account that KubeVela acts by in a project: what its role allows, and who may be it."""

from dataclasses import replace

import pytest

from clusters.adapters.role_matrix import rights
from clusters.adapters.roles import BINDABLE, cluster_roles
from clusters.intents import DEPLOYER_ROLE, TENANT_DEV
from delivery.adapters.native import NativeApps
from delivery.rules.applications import DEPLOYER_POLICY, policies
from tenancy.adapters import PROJECTS
from tenancy.intents import ProjectIntent

SHOP = ProjectIntent(tenant="acme", name="shop", namespace="acme--shop")
ITS_OWN = {("ServiceAccount", "kubenova-deployer"), ("RoleBinding", "kubenova:deployer")}


def test_it_may_write_whatever_apps_are_made_of_and_nothing_else():
    made = {(kind.group, kind.plural) for kind in NativeApps.kinds}
    assert set(rights(DEPLOYER_ROLE)) == made


def test_it_may_do_nothing_that_a_developer_may_not_but_for_daemons():
    """A developer makes a DaemonSet by a component of an app, which KubeNova judges."""
    developer = rights(TENANT_DEV)
    beyond = {
        key: verbs - developer.get(key, frozenset()) for key, verbs in rights(DEPLOYER_ROLE).items()
    }
    assert {key for key, verbs in beyond.items() if verbs} == {("apps", "daemonsets")}


def test_it_is_bound_by_kubenova_and_grants_nothing_itself():
    assert DEPLOYER_ROLE in BINDABLE
    verbs = {verb for rule in cluster_roles()[DEPLOYER_ROLE] for verb in rule["verbs"]}
    assert verbs == {"get", "list", "watch", "create", "update", "patch", "delete"}


def test_no_pod_runs_as_it_whoever_makes_the_pod():
    (policy,) = (
        body
        for body in policies()
        if body["metadata"]["name"] == DEPLOYER_POLICY and "Binding" not in body["kind"]
    )
    (condition,) = policy["spec"]["matchConditions"]  # of the pod: nobody is let off
    assert "serviceAccountName.orValue('') == 'kubenova-deployer'" in condition["expression"]
    assert "request" not in condition["expression"]
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["pods"], ["CREATE"])
    (validation,) = policy["spec"]["validations"]
    assert validation["expression"] == "false"


@pytest.mark.parametrize("adapter", PROJECTS.values(), ids=PROJECTS)
def test_a_project_has_it_where_kubevela_is_and_nowhere_else(adapter):
    without, there = (
        {(body["kind"], body["metadata"]["name"]) for body in adapter.render(intent)}
        for intent in (SHOP, replace(SHOP, deployer=True))
    )
    assert there - without == ITS_OWN and without <= there
