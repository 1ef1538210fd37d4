"""Who is bound to which role in a project's namespace."""

from dataclasses import replace

import pytest

from reconcile.values import JSON
from tenancy.adapters.bindings import bindings
from tenancy.adapters.objects import SYSTEM_NAMESPACE
from tenancy.intents import ProjectIntent, Role
from tenancy.rules.subjects import BINDABLE_ROLES

RBAC = "rbac.authorization.k8s.io"
SHOP = ProjectIntent(tenant="acme", name="shop", namespace="acme--shop")
ALICE: JSON = {"kind": "User", "name": "kubenova:alice", "apiGroup": RBAC}
DEVS: JSON = {"kind": "Group", "name": "devs"}
ROBOT: JSON = {"kind": "ServiceAccount", "name": "robot", "namespace": "ci"}


def bound(**fields: object) -> dict[str, list[JSON]]:
    """The subjects of each role but KubeNova's own, by the name of the binding."""
    found = bindings(replace(SHOP, **fields))  # type: ignore[arg-type]
    assert len({body["metadata"]["name"] for body in found}) == len(found), "two share a name"
    assert all(body["roleRef"]["name"] == body["metadata"]["name"] for body in found)
    return {
        body["metadata"]["name"]: body["subjects"]
        for body in found
        if body["metadata"]["name"] != "kubenova:projector"
    }


def test_groups_and_accounts_own_a_tenant_as_its_admins_do():
    found = bound(members={Role.ADMIN: ("kubenova:alice",)}, owner_subjects=(ROBOT, DEVS))
    assert found == {"kubenova:tenant-admin": [{**DEVS, "apiGroup": RBAC}, ROBOT, ALICE]}


def test_groups_own_a_tenant_that_has_no_members():
    assert bound(owner_subjects=(DEVS,)) == {"kubenova:tenant-admin": [{**DEVS, "apiGroup": RBAC}]}


@pytest.mark.parametrize("role", BINDABLE_ROLES)
def test_a_role_binding_is_one_of_the_catalogue(role):
    found = bound(role_bindings=({"role": role, "subjects": [ROBOT]},))
    assert found == {f"kubenova:{role}": [ROBOT]}


def test_members_and_role_bindings_of_one_role_share_its_binding():
    found = bound(
        members={Role.DEV: ("kubenova:alice",)},
        role_bindings=(
            {"role": Role.DEV, "subjects": [ROBOT]},
            {"role": "tenant-dev", "subjects": [DEVS, ROBOT]},
            {"role": "view", "subjects": [DEVS]},
        ),
    )
    group = {**DEVS, "apiGroup": RBAC}
    assert found == {"kubenova:tenant-dev": [group, ROBOT, ALICE], "kubenova:view": [group]}


def test_accounts_of_one_name_in_two_namespaces_are_two():
    twin = {**ROBOT, "namespace": "staging"}
    assert bound(owner_subjects=(twin, ROBOT))["kubenova:tenant-admin"] == [ROBOT, twin]


def test_the_order_in_which_subjects_are_named_does_not_matter():
    one, other = (
        bound(
            owner_subjects=subjects,
            role_bindings=({"role": "view", "subjects": [*subjects]},),
        )
        for subjects in ((DEVS, ROBOT), (ROBOT, DEVS))
    )
    assert one == other


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"members": {Role.DEV: ()}}, id="nobody of a role"),
        pytest.param({"role_bindings": ({"role": "view", "subjects": []},)}, id="no subjects"),
    ],
)
def test_a_role_that_nobody_has_is_not_bound(fields):
    assert bound(**fields) == {}


def test_kubenova_s_own_binding_is_nobody_else_s():
    (own,) = bindings(SHOP)
    assert own["subjects"] == [
        {"kind": "ServiceAccount", "name": "kubenova", "namespace": SYSTEM_NAMESPACE}
    ]
    assert "projector" not in BINDABLE_ROLES
