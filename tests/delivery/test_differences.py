"""What differs between revisions: field by field, and over HTTP."""

import pytest

from delivery.models import App
from delivery.rules.differences import Difference, differences
from tests.api.conftest import problem
from tests.delivery.paths import APPS, BODY, SITE
from tests.delivery.samples import component, with_traits


def spec(*components) -> dict:
    return {"components": list(components)}


SCALED = with_traits(component(), scaler={"replicas": 3})
REPLICAS = ("components", "web", "traits", "scaler", "properties", "replicas")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(spec(component()), spec(component()), [], id="nothing"),
        pytest.param(
            spec(component()),
            spec(component(image="nginx:2")),
            [(("components", "web", "properties", "image"), "nginx:1.27", "nginx:2")],
            id="an image",
        ),
        pytest.param(
            spec(SCALED),
            spec(with_traits(component(), scaler={"replicas": 5})),
            [(REPLICAS, 3, 5)],
            id="deep inside",
        ),
        pytest.param(
            spec(component()),
            spec(component(), component("api")),
            [(("components", "api"), None, component("api"))],
            id="a component more",
        ),
        pytest.param(
            spec(component(), component("api")),
            spec(component("api"), component()),
            [(("components",), ["web", "api"], ["api", "web"])],
            id="another order",
        ),
        pytest.param(
            spec(component(cmd=["a"])),
            spec(component(cmd=["b"])),
            [(("components", "web", "properties", "cmd"), ["a"], ["b"])],
            id="lists of texts as a whole",
        ),
        pytest.param(
            spec(component(ports=[{"port": 80}])),
            spec(component(ports=[{"port": 80, "expose": True}])),
            [(("components", "web", "properties", "ports", "80", "expose"), None, True)],
            id="a port by its number",
        ),
        pytest.param(
            {"components": [{"name": "web", "flag": True}]},
            {"components": [{"name": "web", "flag": 1}]},
            [(("components", "web", "flag"), True, 1)],
            id="true is not one",
        ),
        pytest.param({}, spec(component()), [((), {}, spec(component()))], id="from nothing"),
    ],
)
def test_it_differs_in(before, after, expected):
    found = differences(before, after)
    assert found == [Difference(*each) for each in expected]
    assert [type(each.after) for each in found] == [type(each[2]) for each in expected]


@pytest.fixture
def changed(bobs):
    """Bob's client; `site` is at revision 3."""
    bobs.post(APPS, BODY)
    for image in ("nginx:2", "nginx:3"):
        bobs.patch(SITE, {"components": [component(image=image)]})
    assert App.objects.get().revision == 3
    return bobs


@pytest.mark.parametrize(
    ("number", "query", "against", "images"),
    [
        pytest.param(3, "", 2, ("nginx:2", "nginx:3"), id="the one before"),
        pytest.param(3, "?against=1", 1, ("nginx:1.27", "nginx:3"), id="an older one"),
        pytest.param(1, "?against=3", 3, ("nginx:3", "nginx:1.27"), id="a newer one"),
    ],
)
def test_two_revisions_are_compared(changed, number, query, against, images):
    body = changed.get(f"{SITE}/revisions/{number}/diff{query}").json()
    assert (body["revision"], body["against"]) == (number, against)
    (change,) = body["changes"]
    assert change["path"] == ["components", "web", "properties", "image"]
    assert (change["before"], change["after"]) == images
    lines = body["text"].splitlines()
    assert lines[:2] == [f"--- revision {against}", f"+++ revision {number}"]
    assert [line.split()[-1] for line in lines[2:] if line[0] in "+-"] == list(images)


def test_the_first_is_compared_with_nothing(changed):
    body = changed.get(f"{SITE}/revisions/1/diff").json()
    assert body["against"] is None
    assert body["text"].startswith("--- nothing\n+++ revision 1\n")


def test_the_same_twice_differs_in_nothing(changed):
    body = changed.get(f"{SITE}/revisions/2/diff?against=2").json()
    assert (body["changes"], body["text"]) == ([], "")


@pytest.mark.parametrize("number", ["9", "0", "-1", "x", "", "1" * 30, "²"])
def test_there_is_nothing_to_compare_with(changed, number):
    answer = changed.get(f"{SITE}/revisions/2/diff", {"against": number})
    problem(answer, 400, answer.json()["code"])
    assert answer.json()["errors"][0]["parameter"] == "against"


def test_an_unknown_revision_has_no_diff(changed):
    problem(changed.get(f"{SITE}/revisions/9/diff"), 404, "KN-NOT-FOUND")


def test_strangers_see_no_diff(changed, as_):
    assert as_("carol").get(f"{SITE}/revisions/2/diff").status_code == 200
    problem(as_("charlie").get(f"{SITE}/revisions/2/diff"), 404, "KN-NOT-FOUND")
