"""The documented table of roles: it is what the baseline renders, letter by letter."""

from pathlib import Path

import pytest

from clusters.adapters.role_matrix import LETTERS, ROLES, page, parsed, rights
from clusters.intents import READ_ONLY, TENANT_ADMIN, TENANT_DEV
from tenancy.rules.subjects import BINDABLE_ROLES

DOCUMENT = Path(__file__).parents[2] / "docs" / "roles.md"
READS = {"get", "list", "watch"}


def test_the_documented_table_is_current():
    assert DOCUMENT.read_text() == page(), "write it anew with `make roles`"


def test_it_has_every_role_that_people_can_have():
    assert {f"kubenova:{role}" for role in BINDABLE_ROLES} == set(ROLES)


def test_it_reads_back_as_what_the_roles_say():
    found = parsed(page())
    for role in ROLES:
        name = role.removeprefix("kubenova:")
        said = {key: roles[name] for key, roles in found.items() if roles[name]}
        assert said == rights(role)


@pytest.mark.parametrize("text", ["", "| Resource | view |\n| --- | --- |\n"], ids=["no", "empty"])
def test_a_page_without_a_table_is_none(text):
    with pytest.raises(ValueError, match="no table"):
        parsed(text)


@pytest.mark.parametrize("role", ROLES)
def test_a15_no_role_has_a_verb_that_gives_more_than_it_has(role):
    for key, verbs in rights(role).items():
        assert verbs <= set(LETTERS), key  # no bind, escalate, impersonate, no *
        assert "*" not in "".join(key)


@pytest.mark.parametrize("role", ROLES)
def test_a16_no_role_writes_what_binds_a_tenant(role):
    for (group, resource), verbs in rights(role).items():
        if resource.split("/")[0] in {
            *("namespaces", "resourcequotas", "limitranges", "networkpolicies"),
            *("roles", "rolebindings"),
        }:
            assert verbs <= READS, (group, resource)


def test_each_role_of_members_has_all_of_the_one_below_it():
    below, dev, above = (rights(role) for role in (READ_ONLY, TENANT_DEV, TENANT_ADMIN))
    assert all(verbs <= dev.get(key, frozenset()) for key, verbs in below.items())
    assert all(verbs <= above.get(key, frozenset()) for key, verbs in dev.items())
    assert below != dev != above


@pytest.mark.parametrize(
    ("group", "resource"),
    [
        ("apps", "deployments"),
        ("apps", "statefulsets"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
        ("networking.k8s.io", "ingresses"),
        ("autoscaling", "horizontalpodautoscalers"),
        ("policy", "poddisruptionbudgets"),
        ("", "persistentvolumeclaims"),
        ("", "configmaps"),
        ("", "services"),
        ("", "pods"),
        ("", "secrets"),
    ],
)
def test_developers_can_do_their_work(group, resource):
    assert rights(TENANT_DEV)[group, resource] == set(LETTERS)


def test_who_may_only_read_reads_no_secrets_and_enters_no_pod():
    found = rights(READ_ONLY)
    assert set().union(*found.values()) == READS
    assert not {("", "secrets"), ("", "pods/exec"), ("", "pods/portforward")} & set(found)
