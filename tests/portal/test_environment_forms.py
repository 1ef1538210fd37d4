"""The part of an app's form that is about its environment and its overrides."""

import pytest

from delivery.environment_form import changed_variables
from delivery.models import App
from tests.portal.conftest import As
from tests.portal.test_app_forms import edited

EDIT = "/tenants/acme/projects/shop/apps/site/edit"
CALM = [{"clusters": ["prod-a"], "components": [{"name": "web", "properties": {"cpu": "1"}}]}]
CALM_TEXT = """\
- clusters: [prod-a]
  components:
    - name: web
      properties:
        cpu: "1"
"""
TAKEN = {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "b"}}}


def test_variables_and_overrides_are_written_on_the_form(site: App, as_: As) -> None:
    variables = {"environment-key": ["A", ""], "environment-value": ["1", ""]}
    as_("bob").post(EDIT, edited(site, **variables, overrides=CALM_TEXT))
    site.refresh_from_db()
    assert site.environment == [{"name": "A", "value": "1"}]
    assert site.overrides == CALM


def test_a_form_that_is_sent_as_it_is_shown_changes_nothing(site: App, as_: As) -> None:
    site.environment, site.overrides = [TAKEN, {"name": "A"}], CALM
    site.declare(by="bob")
    form = as_("bob").get(EDIT).context["form"]
    shown = form["environment"].value(), form["overrides"].value()
    assert form.fields["environment"].prepare_value(shown[0]) == [{"key": "A", "value": ""}]
    text = form.fields["overrides"].prepare_value(shown[1])
    variables = {"environment-key": ["A"], "environment-value": [""]}
    as_("bob").post(EDIT, edited(site, **variables, overrides=text))
    site.refresh_from_db()
    assert (site.environment, site.overrides) == ([TAKEN, {"name": "A"}], CALM)
    assert site.revision == 2


@pytest.mark.parametrize(
    ("sent", "field", "text"),
    [
        pytest.param(
            {"overrides": CALM_TEXT.replace("prod-a", "prod-z")},
            "overrides",
            "1 → clusters → 1: The project is not placed on this cluster.",
            id="a cluster",
        ),
        pytest.param(
            {"overrides": CALM_TEXT.replace("cpu", "hertz")},
            "overrides",
            "1 → components → 1 → properties → hertz: There is no such property.",
            id="a property",
        ),
        pytest.param(
            {"overrides": "- a: &x 1"}, "overrides", "The text", id="no YAML that we take"
        ),
        pytest.param({"overrides": "a: b"}, "overrides", "This has to be a list.", id="no list"),
        pytest.param(
            {"environment-key": ["1A"], "environment-value": ["x"]},
            "environment",
            "1 → name: Use a name of letters",
            id="a variable",
        ),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    site: App, as_: As, sent: dict[str, object], field: str, text: str
) -> None:
    answer = as_("bob").post(EDIT, edited(site, **sent))
    assert answer.status_code == 422
    found = " ".join(answer.context["form"].errors[field])
    assert found.startswith(text), found
    site.refresh_from_db()
    assert (site.environment, site.overrides, site.generation) == ([], [], 1)


@pytest.mark.parametrize(
    ("values", "after"),
    [
        pytest.param({"A": "1"}, [TAKEN, {"name": "A", "value": "1"}], id="changed"),
        pytest.param({}, [TAKEN], id="taken away"),
        pytest.param(
            {"C": "3", "A": ""}, [TAKEN, {"name": "A"}, {"name": "C", "value": "3"}], id="added"
        ),
    ],
)
def test_variables_keep_their_order(values: dict[str, str], after: list[object]) -> None:
    assert changed_variables([TAKEN, {"name": "A"}], values) == after


def test_a_name_that_is_taken_from_elsewhere_cannot_be_given_a_value_as_well(
    site: App, as_: As
) -> None:
    site.environment = [TAKEN]
    site.declare(by="bob")
    variables = {"environment-key": ["B"], "environment-value": ["1"]}
    answer = as_("bob").post(EDIT, edited(site, **variables))
    assert answer.context["form"].errors["environment"] == ["2 → name: Another one has this name."]
