"""The policy that keeps the namespaces of protected tenants (a real API server tries it live)."""

from clusters.adapters.policies import policies
from clusters.intents import USERNAME
from reconcile.spelling import label_key_fault, label_value_fault, reserved
from tenancy.rules.keeping import LABEL, POLICY, PROTECTED, keeps


def test_the_baseline_of_every_cluster_carries_it_with_its_binding():
    carried = [(body["kind"], body["metadata"]["name"]) for body in policies()]
    for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"):
        assert carried.count((kind, POLICY)) == 1


def test_it_holds_for_deletions_of_namespaces_and_fails_closed():
    policy, binding = keeps()
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]

    assert policy["spec"]["failurePolicy"] == "Fail"
    assert (rule["operations"], rule["resources"]) == (["DELETE"], ["namespaces"])
    assert binding["spec"] == {"policyName": POLICY, "validationActions": ["Deny"]}


def test_only_kubenova_is_let_through():
    conditions = {
        each["name"]: each["expression"] for each in keeps()[0]["spec"]["matchConditions"]
    }

    assert conditions["others"] == f"request.userInfo.username != '{USERNAME}'"
    assert f"'{LABEL}'" in conditions["protected"] and f"'{PROTECTED}'" in conditions["protected"]
    assert "oldObject" in conditions["protected"], "the new object of a deletion is null"


def test_its_label_is_one_that_no_user_can_set_or_take_off():
    assert label_key_fault(LABEL) == label_value_fault(PROTECTED) == ""
    assert reserved(LABEL)
