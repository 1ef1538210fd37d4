"""The pure part of the guards: how much is too much, and who is behind whom."""

import pytest

from reconcile.guard import Bounds, Epoch, deletions
from reconcile.values import Kind, Plan, Ref, Step, Verb, Why
from tests.reconcile.samples import CONFIG_MAP, NAMESPACE

ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
OURS = "a" * 32
OTHER = "b" * 32


@pytest.mark.parametrize(
    ("objects", "most"),
    [
        pytest.param(0, 20, id="an empty cluster"),
        pytest.param(200, 20, id="where both are equal"),
        pytest.param(209, 20, id="parts of an object do not count"),
        pytest.param(10_000, 1_000, id="a large cluster"),
    ],
)
def test_the_bound_is_the_larger_of_a_number_and_a_share_f30(objects, most):
    assert Bounds().most(objects) == most


@pytest.mark.parametrize(
    ("ours", "theirs", "behind"),
    [
        pytest.param(Epoch(5, OURS), Epoch(5, OURS), False, id="as we left it"),
        pytest.param(Epoch(5, OURS), Epoch(4, OTHER), False, id="we died before we told it"),
        pytest.param(Epoch(5, OURS), Epoch(), False, id="somebody removed it"),
        pytest.param(Epoch(5, OURS), Epoch(6, OTHER), True, id="a later state of the database"),
        pytest.param(Epoch(5, OURS), Epoch(5, OTHER), True, id="a copy of the database"),
        pytest.param(Epoch(), Epoch(), False, id="nobody ever wrote"),
    ],
)
def test_a_database_knows_when_it_is_behind_f28(ours, theirs, behind):
    assert ours.is_behind(theirs) is behind


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="empty"),
        pytest.param({"epoch": "5"}, id="no stamp"),
        pytest.param({"epoch": "-5", "stamp": OURS}, id="negative"),
        pytest.param({"epoch": "9" * 40, "stamp": OURS}, id="larger than a column"),
        pytest.param({"epoch": 5, "stamp": ["x"]}, id="another type"),
        pytest.param({"epoch": "5", "stamp": "<script>"}, id="no stamp of ours"),
    ],
)
def test_an_epoch_that_makes_no_sense_is_none_a8(data):
    assert Epoch.of(data) == Epoch()


def test_an_epoch_is_read_as_it_was_written():
    assert Epoch.of(Epoch(7, OURS).data) == Epoch(7, OURS)


def test_only_what_destroys_counts():
    steps = (
        Step(Verb.APPLY, Why.CHANGED, Ref(CONFIG_MAP, "shop", "a")),
        Step(Verb.DELETE, Why.UNWANTED, Ref(CONFIG_MAP, "shop", "b"), "u1"),
        Step(Verb.DELETE, Why.UNWANTED, Ref(ROLE_BINDING, "shop", "c"), "u2"),
        Step(Verb.DELETE, Why.UNWANTED, Ref(NAMESPACE, "", "shop"), "u3"),
    )
    assert [step.uid for step in deletions(Plan((steps,)))] == ["u1", "u3"]


def test_a_deletion_that_somebody_approved_is_not_counted():
    ref = Ref(CONFIG_MAP, "shop", "stray")
    extra = Step(Verb.DELETE, Why.EXTRA, ref, "u1")
    unwanted = Step(Verb.DELETE, Why.UNWANTED, ref, "u2")

    assert deletions(Plan(((extra, unwanted),))) == (unwanted,)
