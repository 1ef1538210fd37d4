"""A row is not Ready before its cluster has refused what its rules forbid."""

import pytest

from clusters.kinds import CONFIG_MAP, NAMESPACE
from reconcile.errors import Missing, Refused, Unreachable
from reconcile.loop import unproven
from reconcile.proof import Proof
from reconcile.values import Ref
from tests.clusters.steps import hurry, settle
from tests.memory_cluster import MemoryCluster
from tests.reconcile.models import HELD, PROOFS, Toy, ToyPlacement

HOME = Ref(NAMESPACE, "", "train")


def proof(name: str = "no-whistles", refused_by: str = "policy no-whistles") -> Proof:
    """A ConfigMap that the shelf is to refuse."""
    ref = Ref(CONFIG_MAP, "train", f"proof-{name}")
    meta = {"name": ref.name, "namespace": ref.namespace}
    return Proof(name, ref, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}, refused_by)


@pytest.fixture
def toy(shelf: MemoryCluster) -> Toy:
    """A toy whose shelf has to refuse whistles; nothing was done yet."""
    PROOFS["train"] = [proof()]
    found = Toy(name="train", maps={"rules": {"speed": "slow"}}, shelves=["shelf"])
    found.declare(by="alice")
    return found


def enforce(shelf: MemoryCluster, *proofs: Proof) -> None:
    """Let the shelf refuse what is tried, each in the name of its policy."""
    for each in proofs:
        shelf.fail_on("apply", each.ref, Refused(f"{each.refused_by} denied the request"))


def ready(shelf: MemoryCluster) -> tuple[str, str, str]:
    """Whether the toy is ready, why, and what people are told, once its namespace is active."""
    shelf.set_status(HOME, {"phase": "Active"})
    hurry()
    row = ToyPlacement.objects.get()
    found = next(each for each in row.conditions if each["type"] == "Ready")
    return found["status"], row.phase, found["message"]


def tries(shelf: MemoryCluster) -> int:
    """How often a proof was tried."""
    return sum(verb == "apply" and "proof-" in str(ref) for verb, ref in shelf.calls)


def test_it_is_ready_once_the_cluster_refuses_what_is_forbidden(toy, shelf):
    enforce(shelf, proof())
    settle()
    assert ready(shelf)[:2] == ("True", "Deployed")
    assert tries(shelf) == 1
    assert not shelf.exists(proof().ref)


def test_it_is_not_ready_while_the_cluster_lets_it_pass(toy, shelf):
    settle()
    status, phase, message = ready(shelf)
    assert (status, phase) == ("False", "Applying")
    assert message == "The cluster does not enforce no-whistles yet."
    assert not shelf.exists(proof().ref)

    enforce(shelf, proof())
    assert ready(shelf)[:2] == ("True", "Deployed")


def test_what_is_proven_is_not_tried_again(toy, shelf):
    enforce(shelf, proof())
    settle()
    ready(shelf)
    shelf.calls.clear()
    ToyPlacement.objects.get().mark()
    settle()
    assert tries(shelf) == 0


def test_other_rules_are_proven_anew(toy, shelf):
    more = proof("no-bells", "policy no-bells")
    enforce(shelf, proof())
    settle()
    ready(shelf)
    PROOFS["train"] = [proof(), more]
    toy.placements.get().mark()
    settle()
    assert ready(shelf)[2] == "The cluster does not enforce no-bells yet."
    enforce(shelf, more)
    assert ready(shelf)[0] == "True"


def test_no_other_refusal_is_taken_for_the_rule_s(toy, shelf):
    shelf.fail_on("apply", proof().ref, Refused("exceeded quota"))
    settle()
    assert ready(shelf)[0] == "False"


@pytest.mark.parametrize(
    "error", [Unreachable("down"), Missing("not served")], ids=["down", "unserved"]
)
def test_a_cluster_that_does_not_answer_has_proven_nothing(toy, shelf, error):
    shelf.fail_on("apply", proof().ref, error)
    settle()
    shelf.set_status(HOME, {"phase": "Active"})
    hurry()
    assert ToyPlacement.objects.get().phase != "Deployed"
    with pytest.raises(type(error)):
        unproven(shelf, [proof()])


def test_on_a_held_cluster_nothing_is_tried(toy, shelf):
    enforce(shelf, proof())
    settle()
    ready(shelf)
    shelf.calls.clear()
    HELD["shelf"] = "The cluster was swapped."
    PROOFS["train"] = [proof("no-bells")]
    ToyPlacement.objects.get().mark()
    settle()
    assert tries(shelf) == 0


def test_a_row_that_goes_needs_no_proof(toy, shelf):
    settle()
    shelf.calls.clear()
    toy.request_deletion(by="alice")
    settle()
    hurry()
    assert tries(shelf) == 0
    assert not ToyPlacement.objects.exists()


def test_all_that_is_let_pass_is_told_in_order(shelf):
    shelf.apply(HOME, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "train"}})
    tried = [proof("b"), proof("a"), proof("c")]
    enforce(shelf, tried[1])
    assert [each.name for each in unproven(shelf, tried)] == ["b", "c"]
