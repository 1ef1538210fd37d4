"""Names on clusters: two different projects can never meet."""

import re
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reconcile.spelling import name_fault
from tenancy.rules.names import namespace_of, of_platform, subject_of

NAMES = st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,39}", fullmatch=True).filter(lambda n: len(n) <= 40)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)


@pytest.mark.parametrize(
    ("tenant", "project", "namespace"),
    [
        pytest.param("acme", "shop", "acme--shop", id="short"),
        pytest.param("a", "b-c", "a--b-c", id="dash in the project"),
        pytest.param("a-b", "c", "a-b--c", id="dash in the tenant"),
        pytest.param("t" * 40, "p" * 20, "t" * 40 + "--" + "p" * 20, id="62 characters"),
    ],
)
def test_it_joins_tenant_and_project(tenant, project, namespace):
    assert namespace_of(tenant, project) == namespace


@pytest.mark.parametrize("length", [21, 22, 40])
def test_what_does_not_fit_is_cut_and_told_apart_by_a_hash(length):
    found = namespace_of("t" * 40, "p" * length)

    assert len(found) == 63
    assert re.fullmatch(r"t{40}--p{12}-[0-9a-f]{8}", found)


def test_names_that_differ_only_in_what_is_cut_stay_apart():
    assert namespace_of("t" * 40, "p" * 39 + "a") != namespace_of("t" * 40, "p" * 39 + "b")


def test_a_name_cannot_be_chosen_to_meet_one_that_is_cut_a13():
    """A project whose own name ends in the hash of another's."""
    tenant, long = "t" * 40, "p" * 40
    cut = namespace_of(tenant, long)
    chosen = cut.removeprefix(f"{tenant}--")

    assert name_fault(chosen) == ""
    assert namespace_of(tenant, chosen) != cut


@given(NAMES, NAMES)
def test_a_namespace_is_a_dns_label(tenant, project):
    found = namespace_of(tenant, project)
    assert len(found) <= 63 and DNS_LABEL.fullmatch(found)


@given(NAMES, NAMES, NAMES, NAMES)
def test_different_projects_have_different_namespaces_a13(tenant, project, other, another):
    assume(not name_fault(tenant) and not name_fault(other))
    assume((tenant, project) != (other, another))

    assert namespace_of(tenant, project) != namespace_of(other, another)


def test_of_all_short_names_no_two_pairs_meet_a13():
    texts = ("".join(found) for size in range(1, 5) for found in product("ab-", repeat=size))
    names = [text for text in texts if not name_fault(text)]
    pairs = list(product(names, repeat=2))

    assert len({namespace_of(*pair) for pair in pairs}) == len(pairs) > 1000


@pytest.mark.parametrize(
    "namespace", ["kube-system", "kube-public", "default", "kubenova-system", "kubenova-grants"]
)
@given(NAMES, NAMES)
def test_no_project_is_the_namespace_of_a_system_a12(namespace, tenant, project):
    assert namespace_of(tenant, project) != namespace


@pytest.mark.parametrize(
    ("namespace", "platform"),
    [
        ("default", True),
        ("kube-system", True),
        ("kube-node-lease", True),
        ("kube--shop", True),
        ("kubenova", True),
        ("kubenova-plans", True),
        ("kubenova--shop", True),
        ("kubernetes-shop", False),
        ("default--shop", False),
        ("acme--kube-system", False),
    ],
)
def test_it_knows_the_namespaces_of_the_platform_a12(namespace, platform):
    assert of_platform(namespace) is platform


@pytest.mark.parametrize(
    "username",
    ["alice", "system:masters", "system:serviceaccount:kube-system:default", "kubernetes-admin"],
)
def test_a_member_is_never_one_of_the_cluster_s_own_users_a14(username):
    assert subject_of(username) == f"kubenova:{username}"
    assert not subject_of(username).startswith("system:")
