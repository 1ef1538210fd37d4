"""Allowed types: operators say which, apps keep what they have, and nothing more comes in."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from rest_framework.test import APIClient

from delivery.models import App, TypeList
from delivery.models.allowing import allowed_for
from delivery.rules.allowing import KNOWN, Allowed, Use, beyond, list_fault
from delivery.rules.definitions import DefinitionKind
from reconcile.models import Event
from reconcile.refusals import Unlisted
from tenancy.models import Tenant
from tests.api.conftest import problem
from tests.delivery.paths import APPS, BODY, SITE, pointers
from tests.delivery.samples import component, with_traits
from tests.people import make_globex

PLATFORM = "/api/v1/definitions/allowed"
ACME = "/api/v1/tenants/acme/definitions/allowed"
ADMIN = "/admin/delivery/typelist/"
FEW = Allowed(("webservice", "worker"), ("scaler",))
WEB, SCALED = component(), with_traits(component(), scaler={"replicas": 2})
DAEMON = component("agent", "daemon")
ENV = with_traits(component(), env={"env": {"A": "b"}})
COMPONENT, TRAIT = DefinitionKind.COMPONENT, DefinitionKind.TRAIT


def override(**change: object) -> dict:
    return {"clusters": ["prod-a"], "components": [{"name": "web", **change}]}


def only_web(tenant: Tenant | None = None) -> None:
    TypeList.allow(tenant, by="olga", components=["webservice"], traits=["scaler"])


# --- The rule.


@pytest.mark.parametrize(
    ("spec", "before", "expected"),
    [
        pytest.param({"components": [WEB]}, {}, {}, id="allowed"),
        pytest.param(
            {"components": [WEB, DAEMON]},
            {},
            {("components", 1, "type"): Use(COMPONENT, "agent", "daemon")},
            id="a component",
        ),
        pytest.param(
            {"components": [ENV]},
            {},
            {("components", 0, "traits", 0, "type"): Use(TRAIT, "web", "env")},
            id="a trait",
        ),
        pytest.param(
            {"components": [WEB], "overrides": [override(traits=[{"type": "env"}])]},
            {},
            {
                ("overrides", 0, "components", 0, "traits", 0, "type"): Use(TRAIT, "web", "env"),
            },
            id="a trait of an override",
        ),
        pytest.param(
            {
                "components": [WEB],
                "overrides": [override(traits=[{"type": "env", "disable": True}])],
            },
            {},
            {},
            id="a trait that is disabled",
        ),
        pytest.param(
            {"components": [DAEMON, SCALED]}, {"components": [DAEMON]}, {}, id="it was there"
        ),
        pytest.param(
            {"components": [component("agent", "daemon", image="nginx:2")]},
            {"components": [DAEMON]},
            {},
            id="another image of what was there",
        ),
        pytest.param(
            {"components": [DAEMON, component("second", "daemon")]},
            {"components": [DAEMON]},
            {("components", 1, "type"): Use(COMPONENT, "second", "daemon")},
            id="one more of what was there",
        ),
        pytest.param(
            {"components": [component("agent", "daemon")]},
            {"components": [component("agent", "worker")]},
            {("components", 0, "type"): Use(COMPONENT, "agent", "daemon")},
            id="a component that changes its type",
        ),
    ],
)
def test_what_goes_beyond_is_named_by_its_place(spec, before, expected):
    assert beyond(spec, before, FEW) == expected


@pytest.mark.parametrize(
    ("types", "said"),
    [
        (["webservice"], ""),
        ([], ""),
        ("webservice", "list"),
        ([1], "list"),
        ({"webservice": True}, "list"),
        (["helm"], "no component type helm"),
        (["scaler"], "no component type scaler"),
    ],
)
def test_a_list_names_types_that_there_are(types, said):
    fault = list_fault(COMPONENT, types)
    assert said in fault and bool(fault) is bool(said)


def test_lists_are_read_aloud():
    assert str(FEW) == "the components webservice, worker and the traits scaler"
    assert str(Allowed((), ())) == "the components (none) and the traits (none)"


# --- Who may use what.


def test_everything_is_allowed_by_default(acme):
    assert allowed_for(acme) == allowed_for(None) == Allowed(KNOWN[COMPONENT], KNOWN[TRAIT])


def test_a_tenants_list_stands_in_for_that_of_the_platform(acme):
    TypeList.allow(None, by="olga", components=["webservice"], traits=["scaler"])
    assert list(allowed_for(acme).components) == ["webservice"]
    TypeList.allow(acme, by="olga", components=["worker", "daemon", "worker"])
    found = allowed_for(acme)
    assert (list(found.components), list(found.traits)) == (["daemon", "worker"], ["scaler"])
    assert list(allowed_for(None).components) == ["webservice"]


def test_there_is_one_list_each(acme):
    only_web(acme)
    for tenant in (None, acme):
        TypeList.allow(tenant, by="olga", components=["worker"])
        with pytest.raises(IntegrityError), transaction.atomic():
            TypeList.objects.create(tenant=tenant, changed_by="olga")
    assert TypeList.objects.count() == 2


def test_a_list_of_what_there_is_not_is_refused(acme):
    with pytest.raises(ValidationError) as refused:
        TypeList.allow(acme, by="olga", components=["webservice"], traits=["webservice"])
    assert list(refused.value.message_dict) == ["traits"]
    assert not TypeList.objects.exists()


def test_the_story_of_the_tenant_tells_of_its_list(acme):
    only_web(acme)
    TypeList.objects.get().drop(by="olga")
    first, last = Event.objects.filter(reason="TypesAllowed").order_by("pk")
    assert first.message == (
        "Tenant acme may use the components webservice and the traits scaler, by olga."
    )
    assert last.message.startswith("Tenant acme has no list of types of its own any more")
    assert allowed_for(acme) == Allowed()


# --- What becomes of apps.


def test_an_app_with_another_type_is_refused(shop, bobs: APIClient):
    only_web()
    answer = bobs.post(APPS, {**BODY, "components": [ENV, DAEMON]}, format="json")
    body = problem(answer, 422, "KN-TYPE")
    assert pointers(answer) == {"/components/0/traits/0/type": "type", "/components/1/type": "type"}
    assert body["allowed"] == {"components": ["webservice"], "traits": ["scaler"]}
    assert body["detail"] == (
        "Tenant acme may not use component type daemon (agent), trait type env (web). Use the "
        "components webservice and the traits scaler, or ask an operator to allow more."
    )
    assert not App.objects.exists()


def test_operators_are_held_to_it_as_well(shop, as_):
    only_web()
    answer = as_("olga").post(APPS, {**BODY, "components": [DAEMON]}, format="json")
    problem(answer, 422, "KN-TYPE")


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "forbidden"])
def test_the_tenant_decides_not_the_platform(shop, bobs: APIClient, acme, allowed):
    TypeList.allow(None, by="olga", components=["worker"] if allowed else ["daemon"])
    TypeList.allow(acme, by="olga", components=["daemon"] if allowed else ["worker"])
    answer = bobs.post(APPS, {**BODY, "components": [DAEMON]}, format="json")
    assert answer.status_code == (201 if allowed else 422)


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        pytest.param({"components": [{**DAEMON, "properties": {"image": "a:2"}}]}, 200, id="image"),
        pytest.param({"description": "An agent on every node"}, 200, id="not its components"),
        pytest.param({"components": [DAEMON, WEB]}, 200, id="one more that is allowed"),
        pytest.param({"components": [WEB]}, 200, id="without what is forbidden"),
        pytest.param({"components": [DAEMON, component("b", "daemon")]}, 422, id="a second"),
        pytest.param(
            {"components": [with_traits(DAEMON, env={"env": {"A": "b"}})]}, 422, id="a trait"
        ),
        pytest.param(
            {
                "overrides": [
                    {
                        "clusters": ["prod-a"],
                        "components": [
                            {
                                "name": "agent",
                                "traits": [{"type": "env", "properties": {"env": {"A": "b"}}}],
                            }
                        ],
                    }
                ]
            },
            422,
            id="a trait on one cluster",
        ),
    ],
)
def test_what_an_app_has_stays_and_may_be_changed(shop, bobs: APIClient, patch, status):
    App(project=shop, name="site", components=[DAEMON]).declare(by="bob")
    only_web()
    assert bobs.patch(SITE, patch, format="json").status_code == status
    assert App.objects.get().phase != "Error"


def test_a_rollback_brings_back_nothing_that_is_forbidden_by_now(shop):
    app = App(project=shop, name="site", components=[DAEMON])
    app.declare(by="bob")
    app.components = [WEB]
    app.declare(by="bob")
    only_web()
    with pytest.raises(Unlisted, match="daemon"):
        app.rollback(1, by="bob")
    assert App.objects.get().revision == 2


@pytest.mark.parametrize(
    "type_",
    [
        *("k8s-objects", "ref-objects", "raw", "helm", "kustomize", "terraform-aws"),
        *("apply-object", "read-object", "request", "export2secret"),
    ],
)
def test_a3_what_reaches_out_of_the_project_is_no_type_at_all(bobs: APIClient, type_):
    for declared, place in (
        (component(type_=type_), "/components/0/type"),
        (with_traits(component(), **{type_: {}}), "/components/0/traits/0/type"),
    ):
        answer = bobs.post(APPS, {**BODY, "components": [declared]}, format="json")
        problem(answer, 400, "KN-INVALID")
        assert pointers(answer) == {place: "type"}


@pytest.mark.parametrize("key", ["app.oam.dev/service-account-name", "APP.oam.dev./username"])
@pytest.mark.parametrize("where", ["labels", "annotations", "trait", "app", "override"])
def test_a3_annotations_that_name_an_account_are_refused_wherever(bobs: APIClient, key, where):
    forged = {key: "kubenova"}
    body = {**BODY}
    if where in ("labels", "annotations"):
        body["components"] = [component(**{where: forged})]
    if where == "trait":
        body["components"] = [with_traits(component(), annotations=forged)]
    if where == "app":
        body["labels"] = forged
    if where == "override":
        body["overrides"] = [override(properties={"annotations": forged})]
    assert bobs.post(APPS, body, format="json").status_code == 400
    assert not App.objects.exists()


# --- Over HTTP.


def test_operators_replace_lists_and_people_read_them(shop, as_):
    olga, bob = as_("olga"), as_("bob")
    assert bob.get(PLATFORM).json()["components"] is None
    assert bob.get(PLATFORM).json()["effective"]["components"] == list(KNOWN[COMPONENT])
    answer = olga.put(ACME, {"components": ["worker", "webservice"], "traits": []}, format="json")
    assert answer.status_code == 200
    shown = bob.get(ACME).json()
    assert shown == answer.json()
    assert (shown["components"], shown["traits"]) == (["webservice", "worker"], [])
    steps = list(KNOWN[DefinitionKind.STEP])
    lists = {"components": ["webservice", "worker"], "traits": [], "workflow_steps": steps}
    assert shown["effective"] == lists
    assert shown["changed_by"] == "olga"
    assert olga.put(ACME, shown, format="json").status_code == 200, "what was read can be sent back"
    assert olga.put(ACME, {}, format="json").json()["components"] is None


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
def test_nobody_else_writes_them(shop, as_, name):
    for path in (PLATFORM, ACME):
        assert as_(name).put(path, {"components": []}, format="json").status_code == 403
        assert as_(name).get(path).status_code == 200
    assert not TypeList.objects.exists()


def test_strangers_see_no_list_of_a_tenant(shop, as_):
    for method in ("get", "put"):
        assert getattr(as_("charlie"), method)(ACME).status_code == 404


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"components": ["helm"]}, "/components/0"),
        ({"traits": ["scaler", "webservice"]}, "/traits/1"),
        ({"components": "webservice"}, "/components"),
        ({"traits": ["scaler"] * 100}, "/traits"),
        ({"steps": []}, "/steps"),
    ],
)
def test_a_list_that_means_nothing_is_refused(shop, as_, body, place):
    answer = as_("olga").put(PLATFORM, body, format="json")
    problem(answer, 400, "KN-INVALID")
    assert list(pointers(answer)) == [place]


# --- What people are shown.


def types_of(client: APIClient) -> set[str]:
    items = client.get("/api/v1/definitions", {"kind": "component"}).json()["items"]
    return {item["type"] for item in items}


def test_definitions_are_those_that_one_of_the_tenants_may_use(shop, acme, as_, people):
    only_web()
    assert types_of(as_("bob")) == {"webservice"}
    assert as_("bob").get("/api/v1/definitions/components/daemon").status_code == 404
    assert types_of(as_("olga")) == {*KNOWN[COMPONENT]}
    make_globex().admit(people["bob"], "tenant-dev", by="olga")
    TypeList.allow(Tenant.objects.get(name="globex"), by="olga", components=["daemon"])
    assert types_of(as_("bob")) == {"daemon", "webservice"}
    TypeList.allow(acme, by="olga", components=["worker"])
    assert types_of(as_("bob")) == {"daemon", "worker"}


# --- In the admin.


@pytest.fixture
def olgas(people) -> Client:
    people["olga"].is_superuser = True
    people["olga"].save()
    client = Client()
    client.force_login(people["olga"])
    return client


def test_operators_edit_lists_in_the_admin(olgas, acme):
    form = {"tenant": acme.pk, "components": ["worker"], "open_traits": "on"}
    assert olgas.post(f"{ADMIN}add/", form).status_code == 302
    row = TypeList.objects.get()
    assert (row.components, row.traits, row.changed_by) == (["worker"], None, "olga")
    page = f"{ADMIN}{row.pk}/change/"
    assert 'value="worker"' in olgas.get(page).content.decode()
    assert olgas.post(page, {"open_components": "on"}).status_code == 302
    row.refresh_from_db()
    assert (row.tenant, row.components, row.traits) == (acme, None, []), "nothing chosen is nothing"


def test_a_second_list_of_the_platform_is_refused_in_the_admin(olgas):
    for status in (302, 200):
        answer = olgas.post(f"{ADMIN}add/", {"components": ["worker"], "open_traits": "on"})
        assert answer.status_code == status
    assert TypeList.objects.count() == 1


@pytest.mark.parametrize("way", ["one", "several"])
def test_a_list_is_taken_away_in_the_admin(olgas, acme, way):
    only_web(acme)
    pk = TypeList.objects.get().pk
    path = f"{ADMIN}{pk}/delete/" if way == "one" else ADMIN
    chosen = {"action": "delete_selected", "_selected_action": [pk]} if way == "several" else {}
    assert olgas.post(path, {"post": "yes", **chosen}).status_code == 302
    assert not TypeList.objects.exists()
    assert Event.objects.filter(reason="TypesAllowed").count() == 2


# --- Steps of workflows.


def steps_of(*types: str) -> list[dict]:
    properties = {"notification": {"message": "x"}, "deploy": {"app": "site"}}
    return [
        {"name": f"s{index}", "type": type_, "properties": properties.get(type_, {})}
        for index, type_ in enumerate(types)
    ]


def test_steps_of_workflows_are_allowed_like_types_of_apps(shop, as_):
    bob, path = as_("bob"), "/api/v1/tenants/acme/projects/shop/workflows/release"
    body = {"steps": steps_of("notification")}
    assert bob.put(path, body, format="json").status_code == 201
    TypeList.allow(shop.tenant, by="olga", workflow_steps=["deploy"])
    assert bob.put(path, {**body, "description": "x"}, format="json").status_code == 200
    more = {"steps": steps_of("notification", "suspend")}
    answer = bob.put(path, more, format="json")
    body = problem(answer, 422, "KN-TYPE")
    assert list(pointers(answer)) == ["/steps/1/type"]
    assert body["allowed"] == {"workflow_steps": ["deploy"]}
    assert "may not use workflow-step type suspend (s1)" in body["detail"]
    kept = {"steps": steps_of("notification", "deploy")}
    assert bob.put(path, kept, format="json").status_code == 200, "what it has stays"
