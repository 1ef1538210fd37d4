"""Rules in CEL: what one is, and the policy that it becomes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.bundles import bundle, read
from clusters.rule_names import BINDINGS
from policies.rules.celrules import RESOURCES, Rule, absences, manifests, refused, rule_problems
from policies.rules.expressions import LONGEST, expression_fault
from tenancy.rules.kinds import KINDS, merged, restriction_problems
from tenancy.rules.named import holds_here

ONE = {"expression": "object.spec.replicas <= variables.most", "message": "At most five."}
MOST = {"name": "most", "expression": "5"}
RULE = Rule("few-replicas", ["deployments.apps"], ["CREATE", "UPDATE"], [MOST], [ONE])


def validated(expression: str) -> Rule:
    return replace(RULE, validations=[{**ONE, "expression": expression}])


# --- What one is.


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("object.spec.type in ['A', \"B\"]", id="lists"),
        pytest.param("object.metadata.name.matches(r'^a\\(b$')", id="a raw text with a bracket"),
        pytest.param('\'it\\\'s (\' == """a\n(b"""', id="texts with brackets and quotes"),
        pytest.param("true // a comment ( with a 'bracket\n&& true", id="a comment"),
        pytest.param("object.spec.params == '' && {'a': 1}.a == 1", id="params as a field"),
    ],
)
def test_what_can_be_an_expression_is_let_through_to_the_cluster(text):
    assert expression_fault(text) == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (" \n", "Give an expression in CEL."),
        ("(1 == 1", "( at line 1, column 1 is not closed."),
        ("a\n  ]", "] at line 2, column 3 closes nothing that is open."),
        ("(1]", "] at line 1, column 3 closes nothing that is open."),
        ("a == 'b", "A text begins at line 1, column 6 and does not end."),
        ("1 == 1 && authorizer.group('').check('get')", "authorizer may not be used, at line 1"),
        ("params.data.x == ''", "params may not be used, at line 1, column 1."),
        ("a\x00b", "It holds a character that no text has, at line 1, column 2."),
        ("a" * (LONGEST + 1), f"It may hold at most {LONGEST} characters."),
    ],
)
def test_what_no_expression_can_be_is_told_with_its_place(text, told):
    assert expression_fault(text).startswith(told)


@given(st.text(max_size=200))
def test_any_text_is_judged_and_none_breaks_the_reader(text):
    assert isinstance(expression_fault(text), str)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["'" * 4000, '"""' * 1300, "r'" * 2000, "(" * 4000, "\\" * 4000])
def test_no_text_takes_long(text):
    assert expression_fault(text) or text


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": "Few"}, ("name",)),
        ({"name": "few-warn"}, ("name",)),
        ({"name": "a" * 41}, ("name",)),
        ({"resources": []}, ("resources",)),
        ({"resources": ["configmaps"]}, ("resources", 0)),
        ({"resources": ["pods", "pods"]}, ("resources",)),
        ({"operations": ["DELETE"]}, ("operations", 0)),
        ({"validations": []}, ("validations",)),
        ({"validations": [ONE] * 21}, ("validations",)),
        ({"validations": ["a"]}, ("validations", 0)),
        ({"validations": [{**ONE, "expression": "("}]}, ("validations", 0, "expression")),
        ({"validations": [{**ONE, "expression": 1}]}, ("validations", 0, "expression")),
        ({"validations": [{**ONE, "message": "a\nb"}]}, ("validations", 0, "message")),
        ({"validations": [{**ONE, "reason": "x"}]}, ("validations", 0, "reason")),
        ({"variables": [{**MOST, "expression": "'"}]}, ("variables", 0, "expression")),
        ({"variables": [MOST, MOST]}, ("variables", 1, "name")),
        ({"variables": [{**MOST, "name": "in"}]}, ("variables", 0, "name")),
        ({"variables": [{**MOST, "name": "kubenova0"}]}, ("variables", 0, "name")),
        ({"variables": [{**MOST, "name": "a-b"}]}, ("variables", 0, "name")),
    ],
)
def test_what_is_no_rule_is_told_where_it_is(change, place):
    assert list(rule_problems(RULE)) == []
    assert [each.path for each in rule_problems(replace(RULE, **change))] == [place]


# --- Its policy.


def test_it_holds_where_the_parameters_name_it_and_as_they_say():
    policy, *bindings = manifests(RULE)
    assert policy["spec"]["paramKind"] == {"apiVersion": "v1", "kind": "ConfigMap"}
    conditions = {each["name"]: each["expression"] for each in policy["spec"]["matchConditions"]}
    assert conditions["named"] == holds_here("few-replicas")
    assert [each["metadata"]["name"] for each in bindings] == [
        f"kubenova-cel-few-replicas{end}" for end in BINDINGS
    ]
    told = [
        (each["spec"]["paramRef"]["name"], each["spec"]["validationActions"]) for each in bindings
    ]
    assert told == [
        ("kubenova-rules", ["Deny"]),
        ("kubenova-rules", ["Deny"]),
        ("kubenova-rules-warn", ["Warn"]),
        ("kubenova-rules-audit", ["Audit"]),
    ]


def test_what_people_wrote_stands_in_it_as_they_wrote_it():
    (policy, *_) = manifests(RULE)
    told = [each["expression"] for each in policy["spec"]["variables"]]
    assert told == [MOST["expression"], ONE["expression"]]
    assert [each["message"] for each in policy["spec"]["validations"]][1:] == ["At most five."]


def test_no_creation_passes_without_parameters_but_those_of_the_parameters_themselves():
    bindings = {each["metadata"]["name"]: each["spec"] for each in manifests(RULE)[1:]}
    made = bindings["kubenova-cel-few-replicas-made"]
    assert made["paramRef"]["parameterNotFoundAction"] == "Deny"
    matched = {
        each
        for spec in bindings.values()
        if spec["paramRef"]["parameterNotFoundAction"] == "Deny"
        for rule in spec["matchResources"]["resourceRules"]
        for each in rule["resources"]
    }
    assert matched == {"deployments"}
    assert not {"configmaps", "namespaces", "rolebindings", "secrets"} & set(RESOURCES)


def test_a_rule_about_changes_alone_governs_no_creation():
    policy, _, made, *_ = manifests(replace(RULE, operations=["UPDATE"]))
    assert made["spec"]["paramRef"]["parameterNotFoundAction"] == "Allow"
    created = [
        each["resources"]
        for each in policy["spec"]["matchConstraints"]["resourceRules"]
        if "CREATE" in each["operations"]
    ]
    assert created == [["configmaps"]], "for its proof"


def test_its_objects_make_a_bundle_and_so_does_their_absence():
    there = read(bundle(manifests(RULE)), own=True).items
    gone = read(bundle(absences("few-replicas")), own=True).items
    assert {each.key for each in there} == {each.key for each in gone}
    assert not any(each.absent for each in there) and all(each.absent for each in gone)


FAULT = "compilation failed: ERROR: <input>:1:3: Syntax error"
KIND = 'ValidatingAdmissionPolicy.admissionregistration.k8s.io "kubenova-cel-few-replicas"'


@pytest.mark.parametrize(
    ("told", "places"),
    [
        (f"spec.variables[0].expression: Invalid value: {FAULT}", ["variables/0/expression"]),
        (f"spec.variables[1].expression: Invalid value: {FAULT}", ["validations/0/expression"]),
        ("spec.validations[1].expression: must evaluate to bool", ["validations/0/expression"]),
        (
            f"[spec.variables[0].expression: {FAULT}, spec.validations[1].expression: {FAULT}]",
            ["variables/0/expression", "validations/0/expression"],
        ),
        ("metadata.name: Invalid value", []),
    ],
)
def test_what_a_cluster_refuses_is_told_where_people_wrote_it(told, places):
    found = refused(RULE, f"{KIND} is invalid: {told}")
    assert ["/".join(map(str, each.path)) for each in found] == places
    assert all("spec." not in each.text for each in found)


# --- As a kind of restrictions.


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({}, "cel"),
        ({"rules": []}, "cel"),
        ({"rules": "a"}, "cel"),
        ({"rules": ["a"], "deny": []}, "cel"),
        ({"rules": ["A"]}, "cel/rules/0"),
        ({"rules": ["a", "a"]}, "cel/rules/1"),
        ({"rules": [1]}, "cel/rules/0"),
    ],
)
def test_a_value_that_names_no_rules_is_refused(value, place):
    assert [path for path, _ in restriction_problems({"cel": value})] == [place]


def test_the_rules_of_all_sources_hold():
    found = merged([{"cel": {"rules": ["a", "b"]}}, {"cel": {"rules": ["b", "c"]}}])
    assert found == {"cel": {"rules": ["a", "b", "c"]}}
    assert not list(KINDS["cel"].problems(found["cel"]))
