"""Pages of the definitions that operators publish."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from delivery.models import App, Publication, PublishedDefinition
from tests.clusters.steps import settle
from tests.delivery.samples import component
from tests.delivery.test_published_types import keep
from tests.delivery.test_publishing import CUE, SPEC, THERE, at_hand, live
from tests.portal.conftest import As

__all__ = ["live"]

PATH = "/definitions/published"
CANARY = f"{PATH}/components/canary"
YAML = """workload: {definition: {apiVersion: apps/v1, kind: Deployment}}
schematic:
  cue:
    template: |
      output: {}
"""
NEW = {"kind": "components", "name": "canary", "description": "Slow.", "spec": YAML}


@pytest.fixture
def canary(people) -> PublishedDefinition:
    row, _ = PublishedDefinition.put(
        "components", "canary", by="olga", spec=SPEC, description="Slow.", shadows=False
    )
    return row


def text_of(answer, status: int = 200) -> str:
    assert answer.status_code == status, answer.content
    return answer.content.decode()


def test_an_operator_keeps_a_definition_and_changes_it(people, as_: As) -> None:
    olga = as_("olga")
    assert "No definition of your own yet" in text_of(olga.get(PATH))
    text = text_of(olga.post(f"{PATH}/new", NEW, follow=True))
    assert "is kept, as version 1." in text and "output: {}" in text
    assert "output: {}" in text_of(olga.get(f"{CANARY}/edit"))
    text = text_of(olga.post(f"{CANARY}/edit", {**NEW, "description": "Slower."}, follow=True))
    assert "is kept, as version 2." in text and "On no cluster yet." in text
    assert "Slower." in text_of(olga.get(PATH))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"spec": "- a"}, "Write an object"),
        ({"spec": "a: ["}, "The text"),
        ({"spec": "a: 1"}, "Give the template in CUE"),
        ({"name": "webservice"}, "KubeVela has a definition webservice of its own."),
    ],
)
def test_what_is_wrong_is_told_beside_the_field(people, as_: As, fields, told) -> None:
    assert told in text_of(as_("olga").post(f"{PATH}/new", {**NEW, **fields}), 422)
    assert not PublishedDefinition.objects.exists()


def test_a_template_comes_back_from_the_form_as_it_was(canary, as_: As) -> None:
    form = as_("olga").get(f"{CANARY}/edit").context["form"]
    given = {"spec": form["spec"].value(), "description": "Slow."}
    as_("olga").post(f"{CANARY}/edit", given)
    canary.refresh_from_db()
    assert (canary.spec, canary.version) == (SPEC, 1)
    assert canary.spec["schematic"]["cue"]["template"] == CUE


def test_it_is_published_and_taken_off_by_the_pages(live, prod, canary, as_: As) -> None:
    olga = as_("olga")
    text = text_of(olga.post(f"{CANARY}/publish", {"cluster": "prod-a", "preview": "1"}))
    assert "canary" in text and not Publication.objects.exists()
    text_of(olga.post(f"{CANARY}/publish", {"cluster": "prod-a"}, follow=True))
    settle()
    assert live.exists(THERE)
    assert "Deployed" in text_of(olga.get(CANARY))
    assert "prod-a" in text_of(olga.get(f"{CANARY}/delete"))
    assert "canary" in text_of(olga.post(f"{CANARY}/delete", {"name": "x"}), 422)
    text = text_of(olga.post(f"{CANARY}/delete", {"name": "canary"}, follow=True))
    assert "is being deleted" in text and "Take it off" in text
    answer = olga.post(f"{CANARY}/publish", {"cluster": "prod-a"})
    assert "Send the kubeconfig of an administrator" in text_of(answer, 422)
    file = SimpleUploadedFile("kubeconfig", b"exec: {}")
    answer = olga.post(f"{CANARY}/publish", {"cluster": "prod-a", "kubeconfig": file})
    text_of(answer, 422)
    at_hand(prod)
    olga.post(f"{CANARY}/publish", {"cluster": "prod-a"})
    settle()
    assert not live.exists(THERE)
    assert "No definition of your own yet" in text_of(olga.get(PATH))


@pytest.mark.parametrize("name", ["alice", "charlie"])
def test_nobody_else_finds_them(canary, as_: As, name) -> None:
    client = as_(name)
    for path in (CANARY, f"{CANARY}/edit", f"{CANARY}/publish", f"{CANARY}/delete"):
        assert client.get(path).status_code == 404
        assert client.post(path, NEW).status_code in (404, 405)
    assert client.get(PATH).status_code == client.post(f"{PATH}/new", NEW).status_code == 403
    assert PATH not in text_of(client.get("/definitions"))


def test_pages_of_an_app_read_no_properties_that_they_do_not_know(shop, as_: As) -> None:
    keep("components", "odd")
    app = App(project=shop, name="odd", components=[component("odd")])
    app.declare(by="bob")
    odd = {"name": "odd", "type": "odd", "properties": {"ports": 3, "env": {"a": 1}}}
    App.objects.filter(pk=app.pk).update(components=[odd])
    client, path = as_("bob"), "/tenants/acme/projects/shop/apps/odd"
    assert "Ports" not in text_of(client.get(path))
    text = text_of(client.get(f"{path}/edit"))
    assert "ports: 3" in text, "written as YAML, since the form knows no such type"
    for tab in ("objects", "revisions", "activity"):
        text_of(client.get(f"{path}/{tab}"))
