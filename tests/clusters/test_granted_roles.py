"""The small roles that grants of access consist of, and the account that lists namespaces."""

import pytest

from access.intents import VERBS_OF_ROLE, Verbs
from clusters.adapters.roles import BINDABLE, SYSTEM_RULES, cluster_roles
from clusters.intents import (
    ACCOUNT,
    GRANTED_ROLES,
    NAMESPACE_READER,
    READ_ONLY,
    READER_ROLE,
    TENANT_ADMIN,
    TENANT_DEV,
)
from reconcile.values import JSON

Right = tuple[str, str, str]


def rights(role: str) -> set[Right]:
    """Every (verb, group, resource) that a role allows."""
    return {
        (verb, group, resource)
        for rule in cluster_roles()[role]
        for verb in rule["verbs"]
        for group in rule.get("apiGroups", ())
        for resource in rule.get("resources", ())
    }


def test_there_is_a_role_that_may_be_bound_for_every_verb():
    assert {f"kubenova:{verb}" for verb in Verbs} == set(GRANTED_ROLES)
    assert set(GRANTED_ROLES) <= set(BINDABLE)


@pytest.mark.parametrize("role", GRANTED_ROLES)
def test_a15_no_verb_allows_what_outlives_or_exceeds_a_grant(role):
    resources = {resource for _, _, resource in rights(role)}
    assert not resources & {"serviceaccounts/token", "nodes/proxy", "pods/proxy", "services/proxy"}
    assert not {verb for verb, _, _ in rights(role)} & {"escalate", "bind", "impersonate", "*"}
    writes = {resource for verb, _, resource in rights(role) if verb not in READS}
    assert not writes & {"serviceaccounts", "roles", "rolebindings", "namespaces", "resourcequotas"}


READS = {"get", "list", "watch"}


@pytest.mark.parametrize("verb", ["view", "logs"])
def test_a_viewer_only_reads_and_never_secrets(verb):
    assert {action for action, _, _ in rights(f"kubenova:{verb}")} <= READS
    assert "secrets" not in {resource for _, _, resource in rights(f"kubenova:{verb}")}


def test_secrets_are_a_verb_of_their_own():
    holders = {role for role in GRANTED_ROLES if ("get", "", "secrets") in rights(role)}
    assert holders == {"kubenova:secrets"}


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        (READ_ONLY, VERBS_OF_ROLE["read-only"]),
        (TENANT_DEV, VERBS_OF_ROLE["tenant-dev"]),
        (TENANT_ADMIN, VERBS_OF_ROLE["tenant-admin"]),
    ],
)
def test_the_verbs_of_a_role_never_exceed_the_role(role, verbs):
    granted: set[Right] = set().union(*(rights(f"kubenova:{verb}") for verb in verbs))
    assert granted <= rights(role)


def test_the_reader_of_namespaces_reads_namespaces_and_nothing_else():
    rules: list[JSON] = cluster_roles()[READER_ROLE]
    assert rules == [{"apiGroups": [""], "resources": ["namespaces"], "verbs": [*sorted(READS)]}]


def test_tokens_are_made_for_these_two_accounts_alone():
    (tokens,) = [each for each in SYSTEM_RULES if "serviceaccounts/token" in each["resources"]]
    assert tokens["resourceNames"] == [ACCOUNT, NAMESPACE_READER]
