"""Forms of apps: component by component or as YAML, revisions and the way back."""

import re

import pytest
import yaml

from delivery.models import App, TypeList
from reconcile.values import JSON
from tests.delivery.samples import component, with_traits
from tests.portal.conftest import As

NEW = "/tenants/acme/projects/shop/new-app"
MORE = "/tenants/acme/projects/shop/new-component"
SITE = "/tenants/acme/projects/shop/apps/site"
WEB = {
    "component": ["0"],
    "component-0-original": "",
    "component-0-name": "front",
    "component-0-type": "webservice",
    "component-0-image": "nginx:1.27",
    "component-0-replicas": "2",
    "component-0-cpu": "250m",
    "component-0-memory": "64Mi",
    "component-0-ports-port": ["8080", "53", ""],
    "component-0-ports-protocol": ["TCP", "UDP", "TCP"],
    "component-0-ports-expose": ["yes", "no", "yes"],
    "component-0-env-key": ["A", ""],
    "component-0-env-value": ["1", ""],
}
STATEFUL = {"min": 2, "targetKind": "StatefulSet"}
FORM = {"name": "shopfront", "health_deadline": "300", **WEB}


def edited(app: App, **change: object) -> JSON:
    """The form of the app `site` as its page shows it, with changes."""
    shown = {
        "component": ["0"],
        "component-0-original": "web",
        "component-0-name": "web",
        "component-0-type": "webservice",
        "component-0-image": "nginx:1.27",
        "component-0-replicas": "1",
    }
    return {"generation": app.generation, "health_deadline": "300", **shown, **change}


def faults_of(answer) -> dict[str, list[str]]:
    assert answer.status_code == 422
    return {
        f"{form.index}.{name}": list(texts)
        for form in answer.context["form"].components
        for name, texts in form.errors.items()
    }


def test_a_developer_creates_an_app(shop, as_: As) -> None:
    answer = as_("bob").post(NEW, FORM)
    assert answer["Location"] == "/tenants/acme/projects/shop/apps/shopfront"
    app = App.objects.get(name="shopfront")
    assert app.declared_by == "bob"
    assert app.components == [
        {
            "name": "front",
            "type": "webservice",
            "properties": {
                "image": "nginx:1.27",
                "ports": [
                    {"port": 8080, "expose": True},
                    {"port": 53, "protocol": "UDP"},
                ],
                "env": [{"name": "A", "value": "1"}],
                "cpu": "250m",
                "memory": "64Mi",
            },
            "traits": [{"type": "scaler", "properties": {"replicas": 2}}],
        }
    ]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"component-0-name": "Front"}),
        ("image", {"component-0-image": "not an image"}),
        ("image", {"component-0-image": ""}),
        ("replicas", {"component-0-replicas": "-1"}),
        ("replicas", {"component-0-replicas": "many"}),
        ("cpu", {"component-0-cpu": "fast"}),
        ("memory", {"component-0-memory": "1 GB"}),
        ("type", {"component-0-type": "helm"}),
        ("ports", {"component-0-ports-port": ["http"]}),
        ("ports", {"component-0-ports-port": ["99999"]}),
        ("ports", {"component-0-type": "worker"}),
        ("env", {"component-0-env-key": ["1A"], "component-0-env-value": ["x"]}),
        ("env", {"component-0-env-key": ["A", "A"], "component-0-env-value": ["x", "y"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_it_says_beside_the_field_what_is_wrong(field: str, change, shop, as_: As) -> None:
    answer = as_("bob").post(NEW, FORM | change)
    assert [*faults_of(answer)] == [f"0.{field}"]
    assert "something in them is wrong" in answer.content.decode()
    assert not App.objects.exists()


@pytest.mark.parametrize(
    "change", [{"component": []}, {"component": ["x"]}, {"component": ["1"]}], ids=str
)
def test_an_app_needs_components(change: JSON, shop, as_: As) -> None:
    assert as_("bob").post(NEW, FORM | change).status_code == 422


def test_a_component_bears_a_name_of_its_own_in_the_project(site, as_: As) -> None:
    answer = as_("bob").post(NEW, FORM | {"component-0-name": "web"})
    assert faults_of(answer) == {"0.name": ["App site has a component of this name."]}


def test_the_name_of_an_app_is_taken_once(site, as_: As) -> None:
    answer = as_("bob").post(NEW, FORM | {"name": "site"})
    assert answer.context["form"].errors["name"] == ["This name is taken. Choose another."]


def test_scaling_and_a_new_image_make_a_revision(site, as_: As) -> None:
    change = {"component-0-replicas": "4", "component-0-image": "nginx:1.28"}
    assert as_("bob").post(f"{SITE}/edit", edited(site, **change))["Location"] == SITE
    app = App.objects.get(pk=site.pk)
    assert app.revision == 2
    assert app.components == [
        with_traits(component(image="nginx:1.28"), scaler={"replicas": 4}),
    ]


def test_what_the_form_does_not_show_is_kept(site, as_: As) -> None:
    probe = {"httpGet": {"path": "/", "port": 80}}
    declared = component(readinessProbe=probe, cmd=["serve"], ports=[{"port": 80, "name": "web"}])
    site.components = [with_traits(declared, env={"env": {"X": "1"}})]
    site.declare(by="bob")
    ports = {
        "component-0-ports-port": ["80"],
        "component-0-ports-protocol": ["TCP"],
        "component-0-ports-expose": ["no"],
    }
    text = as_("bob").get(f"{SITE}/edit").content.decode()
    assert "readinessProbe" in text
    as_("bob").post(f"{SITE}/edit", edited(site, **ports, **{"component-0-image": "nginx:2"}))
    (kept,) = App.objects.get(pk=site.pk).components
    assert kept["properties"]["readinessProbe"] == probe
    assert kept["properties"]["cmd"] == ["serve"]
    assert kept["properties"]["ports"] == [{"port": 80, "name": "web"}]
    assert kept["traits"] == [{"type": "env", "properties": {"env": {"X": "1"}}}]


def test_what_the_form_cannot_show_of_ports_variables_and_waits_is_kept(site, as_: As) -> None:
    key = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "keys", "key": "a"}}}
    ports = [{"port": 80, "containerPort": 8080}]
    web = with_traits(component(type_="statefulset", ports=ports, env=[key]), hpa=STATEFUL)
    site.components = [{**web, "dependsOn": ["jobs"]}, component("jobs", "task")]
    site.declare(by="bob")
    text = as_("bob").get(f"{SITE}/edit").content.decode()
    assert all(word in text for word in ("env A", "trait hpa", "dependsOn"))
    jobs = {
        "component": ["0", "1"],
        "component-0-type": "statefulset",
        "component-0-image": "nginx:2",
        "component-0-ports-port": ["80"],
        "component-0-ports-protocol": ["TCP"],
        "component-0-ports-expose": ["no"],
        "component-1-original": "jobs",
        "component-1-name": "jobs",
        "component-1-type": "cron-task",
        "component-1-schedule": "@daily",
        "component-1-image": "nginx:1.27",
        "component-1-replicas": "1",
    }
    as_("bob").post(f"{SITE}/edit", edited(site, **jobs))
    kept, often = App.objects.get(pk=site.pk).components
    assert kept == {
        **with_traits(component(type_="statefulset", ports=ports, env=[key]), hpa=STATEFUL),
        "properties": {"image": "nginx:2", "ports": ports, "env": [key]},
        "dependsOn": ["jobs"],
    }
    assert often == component("jobs", "cron-task", schedule="@daily")


def test_saving_an_unchanged_form_makes_no_revision(site, as_: As) -> None:
    answer = as_("bob").post(f"{SITE}/edit", edited(site), follow=True)
    assert "Nothing changed." in answer.content.decode()
    assert App.objects.get(pk=site.pk).revision == 1


def test_a_change_made_meanwhile_is_not_overwritten(site, as_: As) -> None:
    form = edited(site, **{"component-0-image": "nginx:mine"})
    site.components = [component(image="nginx:theirs")]
    site.declare(by="alice")
    answer = as_("bob").post(f"{SITE}/edit", form)
    assert "changed meanwhile" in answer.content.decode()
    assert App.objects.get(pk=site.pk).components == [component(image="nginx:theirs")]


def test_one_more_component_gets_a_number_of_its_own(shop, as_: As) -> None:
    answer = as_("bob").get(MORE, {"component": ["0", "3", "x"]})
    assert 'name="component" value="4"' in answer.content.decode()


def offered(answer) -> list[list[str]]:
    """The types that each component of a page may have."""
    forms = re.findall(r'<select[^>]* name="component-\d+-type".*?</select>', answer, re.S)
    return [re.findall(r'<option value="([^"]+)"', form) for form in forms]


def test_only_types_that_the_tenant_may_use_are_offered(shop, as_: As) -> None:
    App(project=shop, name="agents", components=[component("agent", "daemon")]).declare(by="bob")
    TypeList.allow(shop.tenant, by="olga", components=["webservice"])
    bob = as_("bob")
    assert offered(bob.get(MORE).content.decode()) == [["webservice"]]
    assert offered(bob.get(NEW).content.decode()) == [["webservice"]]
    edit = bob.get(f"{NEW.removesuffix('new-app')}apps/agents/edit")
    assert offered(edit.content.decode()) == [["webservice", "daemon"]], "what it has, it keeps"


def test_a_type_that_is_not_allowed_is_refused_with_those_that_are(shop, as_: As) -> None:
    TypeList.allow(shop.tenant, by="olga", components=["webservice"])
    text = yaml.safe_dump([component("agent", "daemon")])
    form = {"name": "agents", "health_deadline": "300", "text": text}
    answer = as_("bob").post(f"{NEW}?as=yaml", form)
    assert answer.status_code == 422
    assert "may not use component type daemon (agent). Use the components webservice" in (
        answer.content.decode()
    )


def test_components_are_written_as_yaml_too(shop, as_: As) -> None:
    text = yaml.safe_dump([with_traits(component("front"), scaler={"replicas": 2})])
    form = {"name": "shopfront", "health_deadline": "300", "text": text}
    assert as_("bob").post(f"{NEW}?as=yaml", form).status_code == 302
    app = App.objects.get(name="shopfront")
    assert app.components == [with_traits(component("front"), scaler={"replicas": 2})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- name: [", "not valid YAML"),
        ("a: &x 1\nb: *x", "anchor"),
        ("- !!python/object:os.system {}", "tag"),
        ("- name: a\n  name: b", "given twice"),
        ("- name: front\n  type: webservice\n  properties: {image: 7}", "properties → image"),
        ("- name: []", "1 → name"),
        ("just words", "at least one component"),
        ("- name: front\n  type: webservice\n  properties: {image: x, ports: [{port: a}]}", "port"),
    ],
    ids=["broken", "anchor", "tag", "twice", "type", "name", "words", "port"],
)
def test_it_says_what_is_wrong_with_the_yaml(text: str, said: str, shop, as_: As) -> None:
    form = {"name": "shopfront", "health_deadline": "300", "text": text}
    answer = as_("bob").post(f"{NEW}?as=yaml", form)
    assert answer.status_code == 422
    assert said in " ".join(answer.context["form"].errors.get("text", []))


def test_the_yaml_of_an_app_can_be_saved_as_it_is(site, as_: As) -> None:
    client, path = as_("bob"), f"{SITE}/edit?as=yaml"
    form = client.get(path).context["form"]
    sent = {"text": form["text"].value(), "health_deadline": 300, "generation": site.generation}
    assert "Nothing changed." in client.post(path, sent, follow=True).content.decode()


def test_a_rollback_makes_a_new_revision(deployed, as_: As) -> None:
    deployed.components = [component(image="nginx:bad")]
    deployed.declare(by="bob")
    page = as_("bob").get(f"{SITE}/revisions/1/rollback").content.decode()
    assert "nginx:bad" in page
    assert as_("bob").post(f"{SITE}/revisions/1/rollback", {"message": "Broken"}).status_code == 302
    app = App.objects.get(pk=deployed.pk)
    assert (app.revision, app.components) == (3, [component()])
    assert app.revisions.get(number=3).message == "Broken"


def test_a_reader_rolls_nothing_back(deployed, as_: As) -> None:
    assert as_("carol").post(f"{SITE}/revisions/1/rollback").status_code == 403
    assert App.objects.get(pk=deployed.pk).revision == 1


def test_a_rollback_that_is_refused_says_why(deployed, as_: As) -> None:
    deployed.components = [component("other")]
    deployed.declare(by="bob")
    deployed.refresh_from_db()
    App(project=deployed.project, name="second", components=[component("web")]).declare(by="bob")
    answer = as_("bob").post(f"{SITE}/revisions/1/rollback")
    assert answer.status_code == 422
    assert "component of this name" in answer.content.decode()


def test_revisions_tell_what_changed(deployed, as_: As) -> None:
    deployed.components = [component(image="nginx:1.28")]
    deployed.declare(by="bob")
    answer = as_("carol").get(f"{SITE}/revisions/2")
    diff = [(line.kind, line.text.strip()) for line in answer.context["diff"]]
    assert ("removed", "image: nginx:1.27") in diff
    assert ("added", "image: nginx:1.28") in diff
    assert as_("carol").get(f"{SITE}/revisions/9").status_code == 404


def test_an_app_goes_when_its_name_is_typed(site, as_: As) -> None:
    answer = as_("bob").post(f"{SITE}/delete", {"name": "site"})
    assert answer["Location"] == "/tenants/acme/projects/shop"
    assert App.objects.get(pk=site.pk).deleting
