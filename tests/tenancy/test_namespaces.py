"""What a tenant's namespace options ask of its projects, before any cluster hears of them."""

from functools import partial

import pytest
from rest_framework.test import APIClient

from reconcile.refusals import LimitReached
from reconcile.values import TENANT as TENANT_LABEL
from reconcile.values import Ref
from tenancy.adapters.objects import NAMESPACE
from tenancy.models import Project, ProjectPlacement, Tenant
from tenancy.rules.namespaces import label_problems
from tests.api.conftest import pointers, problem, signed_in
from tests.clusters.steps import settle
from tests.people import make_acme
from tests.threads import in_threads

PROJECTS = "/api/v1/tenants/acme/projects"
TENANT = "/api/v1/tenants/acme"
SHOP = Ref(NAMESPACE, "", "acme--shop")


@pytest.fixture
def as_olga(olga) -> APIClient:
    return signed_in(olga)


def options(**namespaces: object) -> Tenant:
    """The tenant acme with these namespace options."""
    return make_acme(restrictions={"namespaces": namespaces})


def project(client: APIClient, name: str = "shop", **body: object):
    return client.post(PROJECTS, {"name": name, **body}, format="json")


# --- Labels.


@pytest.mark.parametrize(
    ("rules", "labels", "wrong"),
    [
        pytest.param({}, {"team": "blue"}, [], id="no rules"),
        pytest.param({"required_labels": {"team": ""}}, {"team": "blue"}, [], id="any value"),
        pytest.param({"required_labels": {"team": ""}}, {"team": ""}, [], id="an empty value"),
        pytest.param({"required_labels": {"team": ""}}, {}, ["team"], id="missing"),
        pytest.param({"required_labels": {"tier": "gold"}}, {"tier": "gold"}, [], id="the value"),
        pytest.param(
            {"required_labels": {"tier": "gold"}}, {"tier": "tin"}, ["tier"], id="another value"
        ),
        pytest.param({"forbidden_labels": ["team"]}, {"tier": "gold"}, [], id="none forbidden"),
        pytest.param({"forbidden_labels": ["b", "a"]}, {"a": "", "b": ""}, ["a", "b"], id="two"),
        pytest.param(
            {"required_labels": {"team": ""}, "forbidden_labels": ["tier"]},
            {"tier": "gold"},
            ["team", "tier"],
            id="both kinds",
        ),
    ],
)
def test_it_names_the_labels_that_are_wrong(rules, labels, wrong):
    found = list(label_problems(rules, labels))
    assert [key for key, _ in found] == wrong
    assert all(key in text for key, text in found)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rules", "labels", "pointer"),
    [
        pytest.param(
            {"required_labels": {"example.org/team": ""}},
            {},
            "/labels/example.org~1team",
            id="required",
        ),
        pytest.param(
            {"required_labels": {"tier": "gold"}}, {"tier": "tin"}, "/labels/tier", id="value"
        ),
        pytest.param({"forbidden_labels": ["tier"]}, {"tier": ""}, "/labels/tier", id="forbidden"),
    ],
)
def test_a_project_whose_labels_do_not_fit_is_refused_by_the_label(as_olga, rules, labels, pointer):
    options(**rules)
    answer = project(as_olga, labels=labels)
    assert pointers(problem(answer, 400, "KN-INVALID")) == [pointer]
    assert not Project.objects.exists()


@pytest.mark.django_db
def test_the_labels_of_the_tenant_count_for_its_projects(as_olga):
    make_acme(
        labels={"team": "blue"}, restrictions={"namespaces": {"required_labels": {"team": ""}}}
    )
    assert project(as_olga).status_code == 201


@pytest.mark.django_db
def test_a_project_cannot_take_off_a_label_that_is_required(as_olga):
    options(required_labels={"team": ""})
    assert project(as_olga, labels={"team": "blue"}).status_code == 201
    answer = as_olga.patch(f"{PROJECTS}/shop", {"labels": {"team": None}}, format="json")
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/labels/team"]


@pytest.mark.django_db
def test_a_tenant_admin_cannot_forbid_and_carry_a_label(as_olga):
    answer = as_olga.post(
        "/api/v1/tenants",
        {
            "name": "acme",
            "labels": {"tier": "gold"},
            "restrictions": {"namespaces": {"forbidden_labels": ["tier"]}},
        },
        format="json",
    )
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/labels/tier"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rules", "pointer"),
    [
        pytest.param(
            {"required_labels": {"team": ""}},
            "/restrictions/namespaces/required_labels",
            id="required",
        ),
        pytest.param(
            {"forbidden_labels": ["tier"]},
            "/restrictions/namespaces/forbidden_labels",
            id="forbidden",
        ),
        pytest.param({"count": 1}, "/restrictions/namespaces/count", id="count"),
    ],
)
def test_a_rule_that_a_project_breaks_is_refused_until_the_project_fits(as_olga, rules, pointer):
    make_acme()
    for name in ("shop", "site"):
        assert project(as_olga, name, labels={"tier": "gold"}).status_code == 201
    body = {"restrictions": {"namespaces": rules}}
    found = problem(as_olga.patch(TENANT, body, format="json"), 409, "KN-CONFLICT")
    assert pointers(found) == [pointer]
    assert Tenant.objects.get().restrictions == {}


# --- Count.


@pytest.mark.django_db
def test_one_project_more_than_allowed_is_refused_with_the_numbers(as_olga):
    options(count=2)
    assert [project(as_olga, name).status_code for name in ("shop", "site")] == [201, 201]

    found = problem(project(as_olga, "third"), 409, "KN-LIMIT")
    assert (found["limit"], found["found"]) == (2, 2)
    assert "namespaces.count" in found["detail"] and "has 2" in found["detail"]
    assert project(as_olga, "shop").status_code == 200, "the same again is none more"


@pytest.mark.django_db
def test_a_project_that_is_there_may_change_where_no_more_may_come(as_olga):
    options(count=1)
    project(as_olga)
    answer = as_olga.patch(f"{PROJECTS}/shop", {"description": "A shop."}, format="json")
    assert answer.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_that_come_at_once_no_more_come_than_may(olga):
    options(count=2)
    made: list[str] = []

    def make(number: int) -> None:
        try:
            Project(tenant=Tenant.objects.get(), name=f"p{number}").declare(by="olga")
        except LimitReached:
            return
        made.append(f"p{number}")

    assert in_threads(*(partial(make, number) for number in range(5))) == []
    assert len(made) == 2
    assert sorted(made) == sorted(Project.objects.values_list("name", flat=True))


# --- Names.


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["kube", "kube-public", "kubenova", "kubenova-grants"])
def test_a_tenant_whose_namespaces_would_look_like_the_platform_s_is_refused_a12(as_olga, name):
    answer = as_olga.post("/api/v1/tenants", {"name": name}, format="json")
    assert f"{name}--" in problem(answer, 409, "KN-CONFLICT")["detail"]
    assert not Tenant.objects.exists()


@pytest.mark.django_db
def test_nor_may_one_that_was_there_before_get_such_projects_a12(as_olga):
    make_acme()
    Tenant.objects.update(name="kube")
    answer = as_olga.post("/api/v1/tenants/kube/projects", {"name": "system"}, format="json")
    assert "kube--system" in problem(answer, 409, "KN-CONFLICT")["detail"]
    changed = as_olga.patch("/api/v1/tenants/kube", {"description": "Old."}, format="json")
    assert changed.status_code == 200


# --- Adopted ones.


@pytest.mark.django_db
def test_an_adopted_namespace_that_is_gone_is_not_made_anew(fleet):
    fleet.register("sandbox")
    Project(tenant=make_acme(placement={"clusters": ["sandbox"]}), name="shop").declare(by="olga")
    settle()
    row = ProjectPlacement.objects.get()
    ProjectPlacement.objects.update(adopted=row.namespace)
    fleet["sandbox"].edit(SHOP, "owner", lambda body: body["metadata"].update(labels={"a": "b"}))
    row.mark()
    settle()
    labels = fleet["sandbox"].body(SHOP)["metadata"]["labels"]
    assert labels[TENANT_LABEL] == "acme" and labels["a"] == "b", "one that is there is repaired"

    fleet["sandbox"].remove(SHOP)
    row.mark()
    settle()
    row.refresh_from_db()
    assert not fleet["sandbox"].exists(SHOP)
    assert (row.phase, row.conditions[0]["reason"]) == ("Error", "Refused")
    assert "adopted and is gone" in row.conditions[0]["message"]


# --- Foreign ones.


@pytest.fixture
def squatted(fleet):
    """A cluster on which somebody else has the namespace that acme's shop would have."""
    cluster = fleet.register("prod-a")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "acme--shop"}}
    fleet["prod-a"].apply_as("kubectl", SHOP, body)
    return cluster


def probed(cluster) -> None:
    """Have the cluster looked at, as it is each few minutes."""
    cluster.placements.get().mark()
    settle()


def refused(answer) -> str:
    found = problem(answer, 409, "KN-CONFLICT")
    assert pointers(found) == ["/name"]
    return found["detail"]


def test_a_project_whose_namespace_is_foreign_is_refused_with_the_way_out(as_olga, squatted):
    probed(squatted)
    make_acme(placement={"clusters": ["prod-a"]})
    told = refused(project(as_olga))
    assert "acme--shop is there already on cluster prod-a and is not KubeNova's." in told
    assert ":adopt" in told and "Choose another name" in told
    assert not Project.objects.exists()
    assert project(as_olga, "blog").status_code == 201


def test_the_whole_onboarding_is_refused_with_it(as_olga, squatted):
    probed(squatted)
    body = {"name": "acme", "placement": {"clusters": ["prod-a"]}, "projects": [{"name": "shop"}]}
    refused(as_olga.post("/api/v1/tenants", body, format="json"))
    assert not Tenant.objects.exists()


def test_a_tenant_does_not_move_to_where_a_namespace_of_its_projects_is_foreign(as_olga, squatted):
    probed(squatted)
    make_acme()
    assert project(as_olga).status_code == 201
    move = {"placement": {"clusters": ["prod-a"]}}
    refused(as_olga.patch(TENANT, move, format="json"))
    assert not ProjectPlacement.objects.exists()


def test_what_a_project_has_met_is_known_at_once_and_forgotten_when_it_is_gone(
    as_olga, squatted, fleet
):
    make_acme(placement={"clusters": ["prod-a"]})
    assert project(as_olga).status_code == 201  # nobody has looked yet
    settle()
    assert ProjectPlacement.objects.get().phase == "Error"
    squatted.refresh_from_db()
    assert squatted.foreign_namespaces == ["acme--shop"]
    assert project(as_olga).status_code == 200, "what is declared stays declared"
    fleet["prod-a"].delete(SHOP, fleet["prod-a"].body(SHOP)["metadata"]["uid"])
    probed(squatted)
    squatted.refresh_from_db()
    assert squatted.foreign_namespaces == []


def test_our_own_namespaces_and_those_that_no_project_could_meet_are_not_foreign(as_olga, fleet):
    cluster = fleet.register("prod-a")
    make_acme(placement={"clusters": ["prod-a"]})
    assert project(as_olga).status_code == 201
    settle()
    other = Ref(NAMESPACE, "", "legacy")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "legacy"}}
    fleet["prod-a"].apply_as("kubectl", other, body)
    probed(cluster)
    cluster.refresh_from_db()
    assert fleet["prod-a"].exists(SHOP)
    assert cluster.foreign_namespaces == []
