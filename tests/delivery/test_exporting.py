"""Apps as files: what is exported is the same text every time, and comes back as the same app."""

import pytest
import yaml

from delivery.models import App
from tests.api.conftest import problem
from tests.delivery.paths import APPS, SITE, pointers
from tests.delivery.samples import component, with_traits

IMPORT = f"{APPS}:import"
WEB = """\
kind: App
name: site
tenant: acme
project: shop
components:
- name: web
  type: webservice
  properties:
    image: nginx:1.27
"""


def brought(client, text, path=IMPORT, **headers):
    return client.post(path, text, content_type="application/yaml", **headers)


def results(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["result"] for item in answer.json()["items"]]


@pytest.mark.parametrize("path", [SITE, f"{APPS}/site"], ids=["qualified", "short"])
@pytest.mark.parametrize("name", ["alice", "carol"])
def test_an_export_is_what_was_declared_and_no_more(site, as_, path, name):
    answer = as_(name).get(f"{path}/export")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/yaml"
    assert answer.content.decode() == WEB


def test_the_same_app_is_the_same_text_whatever_order_it_was_written_in(site, as_):
    one = with_traits(component(env=[{"name": "A"}], cpu="1"), scaler={"replicas": 2})
    other = dict(reversed([*one.items()]))
    other["properties"] = dict(reversed([*one["properties"].items()]))
    texts = []
    for each, labels in ((one, {"a": "1", "b": "2"}), (other, {"b": "2", "a": "1"})):
        as_("bob").patch(SITE, {"components": [each], "labels": labels, "description": "x: y"})
        texts.append(as_("bob").get(f"{SITE}/export").content)
    assert texts[0] == texts[1]
    assert [*yaml.safe_load(texts[0])] == [
        *("kind", "name", "tenant", "project", "description", "labels", "components")
    ]


@pytest.mark.parametrize(
    "value",
    ["yes", "1", "1e5", "0x10", "2026-01-01", "~", "a: b", "# no", "a\nb\n", " a\n  b", "é 😀", ""],
)
def test_a_text_comes_back_as_it_was(site, as_, value):
    as_("bob").patch(SITE, {"components": [component(env=[{"name": "A", "value": value}])]})
    text = as_("bob").get(f"{SITE}/export").content
    as_("bob").patch(SITE, {"components": [component()]})
    assert results(brought(as_("bob"), text)) == ["changed"]
    assert App.objects.get().components == [component(env=[{"name": "A", "value": value}])]


def test_what_was_exported_changes_nothing_when_it_comes_back(site, as_):
    as_("bob").patch(SITE, {"health_deadline": 60, "placement": {"clusters": ["prod-a"]}})
    text = as_("bob").get(f"{SITE}/export").content
    assert results(brought(as_("bob"), text)) == ["unchanged"]
    assert App.objects.get().generation == 2


def test_an_import_creates_and_the_same_again_does_nothing(bobs):
    assert results(brought(bobs, WEB)) == ["created"]
    assert results(brought(bobs, WEB)) == ["unchanged"]
    assert App.objects.get().declared_by == "bob"


def test_several_documents_are_carried_out_together(site, as_):
    second = WEB.replace("name: site", "name: api").replace("name: web", "name: api")
    first = WEB.replace("1.27", "2")
    answer = brought(as_("bob"), f"---\n{first}---\n---\n{second}")
    assert results(answer) == ["changed", "created"]
    assert [item["name"] for item in answer.json()["items"]] == ["site", "api"]


def test_one_bad_document_stops_them_all_and_is_pointed_at(site, as_):
    bad = WEB.replace("name: site", "name: api").replace("webservice", "magic")
    answer = brought(as_("bob"), f"{WEB.replace('1.27', '2')}---\n{bad}")
    problem(answer, 400, "KN-INVALID")
    assert "/1/components/0/type" in pointers(answer)
    assert App.objects.get().generation == 1


def test_the_path_can_name_the_project(bobs):
    text = WEB.replace("tenant: acme\nproject: shop\n", "")
    path = "/api/v1/tenants/acme/projects/shop/apps:import"
    assert results(brought(bobs, text, path)) == ["created"]
    answer = brought(bobs, WEB.replace("project: shop", "project: other"), path)
    problem(answer, 409, "KN-CONFLICT")
    assert pointers(answer) == {"/0/project": "contradiction"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {"": "required"}, id="nothing"),
        pytest.param("- 1", {"/0": "object"}, id="a list"),
        pytest.param("hello", {"/0": "object"}, id="a text"),
        pytest.param("kind: Tenant\nname: acme", {"/0/kind": "kind"}, id="another kind"),
        pytest.param("kind: App", {"/0/name": "required"}, id="no name"),
        pytest.param(WEB + "color: red\n", {"/0/color": "unknown"}, id="unknown"),
        pytest.param(WEB.replace("project: shop\n", ""), {"/0/project": "required"}, id="no home"),
        pytest.param("a: &a [1]\nb: *a", {"": "yaml"}, id="anchor"),
        pytest.param("a: !!python/object:os.system x", {"": "yaml"}, id="tag"),
        pytest.param("name: a\nname: b", {"": "yaml"}, id="twice"),
        pytest.param("a: [", {"": "yaml"}, id="broken"),
        pytest.param("[" * 40 + "]" * 40, {"": "yaml"}, id="deep"),
        pytest.param("---\na: 1\n" * 51, {"": "yaml"}, id="too many"),
        pytest.param(b"\xff\xfe", {"": "yaml"}, id="not UTF-8"),
    ],
)
def test_what_is_no_app_is_refused_where_it_is_wrong(bobs, text, expected):
    answer = brought(bobs, text)
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == expected
    assert not App.objects.exists()


def test_it_takes_json_as_well(bobs):
    body = {**yaml.safe_load(WEB)}
    assert results(bobs.post(IMPORT, body)) == ["created"]


def test_its_plan_tells_of_every_document_and_does_nothing(site, as_):
    second = WEB.replace("name: site", "name: api").replace("name: web", "name: api")
    both = f"{WEB.replace('1.27', '2')}---\n{second}"
    plan = brought(as_("bob"), both, f"{IMPORT}?dryRun=plan")
    assert plan.status_code == 200, plan.content
    (cluster,) = plan.json()["clusters"]
    assert {found["name"] for found in cluster["objects"]} == {"web", "api"}
    assert App.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("carol", 403, "KN-FORBIDDEN"), ("charlie", 404, "KN-NOT-FOUND")],
    ids=["read-only", "stranger"],
)
def test_who_may_not_deliver_imports_nothing(site, as_, name, status, code):
    problem(brought(as_(name), WEB.replace("1.27", "2")), status, code)
    assert App.objects.get().generation == 1


def test_a_stranger_exports_nothing(site, as_):
    problem(as_("charlie").get(f"{SITE}/export"), 404, "KN-NOT-FOUND")
