"""A1, A3, A5: nothing that people write reaches beyond their project or steers a platform."""

import pytest

from delivery.rules.problems import component_problems
from tests.delivery.samples import component, with_traits


def where(components) -> dict[str, str]:
    """The code of each problem by its JSON pointer."""
    return {
        "".join(f"/{part}" for part in path): code
        for path, code, _ in component_problems(components)
    }


A3_TYPES = [
    *("k8s-objects", "ref-objects", "raw", "helm", "helmchart", "kustomize", "config", "addon"),
    *("terraform", "Webservice", "webservice ", ""),
]


@pytest.mark.parametrize("type_", A3_TYPES)
def test_a3_it_knows_no_component_type_that_reaches_beyond_the_project(type_):
    assert where([component(type_=type_)]) == {"/0/type": "type"}


@pytest.mark.parametrize(
    "type_", ["k8s-update-strategy", "json-patch", "service-binding", "override", "rollout"]
)
def test_a3_it_knows_no_trait_type_that_is_not_rendered(type_):
    assert where([with_traits(component(), **{type_: {}})]) == {"/0/traits/0/type": "type"}


RESERVED = [
    *("app.oam.dev/username", "app.oam.dev/group", "app.oam.dev/service-account-name"),
    *("app.oam.dev/publishVersion", "controller.core.oam.dev/anything", "core.oam.dev/x"),
    *("pod-security.kubernetes.io/enforce", "capsule.clastix.io/tenant", "projectcapsule.dev/x"),
    *("kubenova.io/owner", "kubernetes.io/x", "APP.OAM.DEV/username", "app.oam.dev./username"),
]


@pytest.mark.parametrize("key", RESERVED)
@pytest.mark.parametrize(
    ("place", "pointer"),
    [
        pytest.param(lambda key: {**component(), key: "x"}, "", id="component"),
        pytest.param(lambda key: component(**{key: "x"}), "/properties", id="properties"),
        pytest.param(lambda key: component(labels={key: "x"}), "/properties/labels", id="labels"),
        pytest.param(
            lambda key: component(annotations={key: "x"}),
            "/properties/annotations",
            id="annotations",
        ),
        pytest.param(
            lambda key: with_traits(component(), env={"env": {key: "x"}}),
            "/traits/0/properties/env",
            id="env trait",
        ),
        pytest.param(
            lambda key: with_traits(component(), scaler={"deep": [{"er": {key: 1}}]}),
            "/traits/0/properties/deep/0/er",
            id="deep inside of what is unknown",
        ),
    ],
)
def test_a1_a5_it_refuses_reserved_keys_anywhere_and_names_them(key, place, pointer):
    problems = component_problems([place(key)])
    texts = {path: text for path, code, text in problems if code == "reserved"}
    (path,) = texts
    assert "".join(f"/{part}" for part in path) == f"/0{pointer}/{key}"
    assert key in texts[path]
