"""The strategy of an app over HTTP: taken, refused where it is wrong, exported and imported."""

import pytest
import yaml

from delivery.models import App, Rollout
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.paths import APPS, BODY, SITE, pointers

CANARY = {"clusters": ["prod-a"], "soak": 60, "approval": True}
WAVES = {"waves": [CANARY, {"selector": {"region": "eu"}, "max_unavailable": 2}]}


def test_a_strategy_is_part_of_the_spec(bobs):
    assert bobs.post(APPS, BODY).json()["strategy"] == {}
    answer = bobs.patch(SITE, {"strategy": WAVES})
    assert (answer.status_code, answer.json()["strategy"]) == (200, WAVES)
    assert (answer.json()["generation"], answer.json()["revision"]) == (2, 1)
    assert bobs.get(f"{SITE}/rollout").json()["strategy"] == WAVES
    assert bobs.patch(SITE, {"strategy": None}).json()["strategy"] == {}
    assert not Rollout.objects.exists(), "nothing of this was a new revision"


@pytest.mark.parametrize(
    ("strategy", "pointer", "code"),
    [
        pytest.param([], "/strategy", None, id="a list"),
        pytest.param("waves", "/strategy", None, id="a text"),
        pytest.param({"canary": 10}, "/strategy/canary", "unknown", id="another word"),
        pytest.param({"waves": []}, "/strategy/waves", "minItems", id="no wave"),
        pytest.param({"waves": [{}]}, "/strategy/waves/0", "required", id="no clusters"),
        pytest.param(
            {"waves": [CANARY, CANARY]}, "/strategy/waves/1/clusters/0", "twice", id="twice"
        ),
        pytest.param(
            {"waves": [{"clusters": ["prod-z"]}]},
            "/strategy/waves/0/clusters/0",
            "unknown",
            id="where the project is not",
        ),
        pytest.param(
            {"waves": [{**CANARY, "soak": "60"}]}, "/strategy/waves/0/soak", "type", id="a text"
        ),
    ],
)
def test_what_is_wrong_is_pointed_at(bobs, strategy, pointer, code):
    answer = bobs.post(APPS, {**BODY, "strategy": strategy})
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == [pointer]
    assert code is None or pointers(answer)[pointer] == code
    assert not App.objects.exists()


def test_an_export_holds_it_and_an_import_takes_it(bobs):
    bobs.post(APPS, BODY)
    assert "strategy" not in yaml.safe_load(bobs.get(f"{SITE}/export").content)
    bobs.patch(SITE, {"strategy": WAVES})
    text = bobs.get(f"{SITE}/export").content.decode()
    assert yaml.safe_load(text)["strategy"] == WAVES
    waves = text[text.index("strategy:") :]
    assert waves.startswith(
        "strategy:\n  waves:\n  - approval: true\n    clusters:\n    - prod-a\n"
    )
    again = bobs.generic("POST", f"{APPS}:import", text, content_type="application/yaml")
    assert again.json()["items"][0]["result"] == "unchanged", again.content


def test_a_plan_shows_nothing_of_what_has_to_be_approved_first(bobs):
    body = {**BODY, "strategy": {"waves": [CANARY]}}
    plan = bobs.post(f"{APPS}?dryRun=plan", body)
    assert (plan.status_code, plan.json()["clusters"]) == (200, [])
    bobs.post(APPS, body)
    settle()
    standing = bobs.post(f"{SITE}:plan")
    assert standing.status_code == 200, standing.content
    assert [each["objects"] for each in standing.json()["clusters"]] in ([], [[]])
    assert [*bobs.post(f"{SITE}:promote?dryRun=plan").json()["clusters"][0]["objects"]]


def test_the_rollout_of_a_first_revision_tells_its_waves(bobs):
    bobs.post(APPS, {**BODY, "strategy": {"waves": [CANARY]}})
    body = bobs.get(f"{SITE}/rollout").json()
    assert (body["state"], body["phase"], body["verbs"]) == (
        "WaitingApproval",
        "Pending",
        ["promote", "pause"],
    )
    assert body["reason"] == "Wave 1 of 1 waits for somebody to promote it."
    (wave,) = body["waves"]
    assert wave == {
        "number": 1,
        "clusters": ["prod-a"],
        "state": "WaitingApproval",
        "approval": True,
        "soak": 60,
        "max_unavailable": None,
        "started_at": None,
        "healthy_since": None,
        "finished_at": None,
        "seconds": None,
        "approved_by": "",
        "approved_at": None,
        "soak_ended_by": "",
    }
    (cluster,) = body["clusters"]
    assert (cluster["target"], cluster["revision"], cluster["phase"]) == (0, 0, "Pending")
