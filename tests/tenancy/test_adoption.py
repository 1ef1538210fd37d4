"""Adoption: an existing namespace becomes a project's when operators of both sides say so."""

import pytest

from clusters.kinds import NAMESPACE, ROLE_BINDING
from delivery.models import App
from reconcile.models import Event
from reconcile.values import MANAGED_BY, MANAGER, OWNER, TENANT, Ref
from tenancy.models import Project, ProjectPlacement
from tests.api.conftest import pointers, problem, signed_in
from tests.clusters.steps import settle
from tests.delivery.conftest import acme, fleet, people, prod, quick_passwords
from tests.delivery.samples import component

__all__ = ["acme", "fleet", "people", "prod", "quick_passwords"]

pytestmark = pytest.mark.django_db
LEGACY = Ref(NAMESPACE, "", "legacy")
ADOPT = "/api/v1/tenants/acme/projects/shop:adopt"


def there(cluster, name: str = "legacy", **labels: str) -> Ref:
    """A namespace that somebody made on the cluster."""
    ref = Ref(NAMESPACE, "", name)
    meta = {"name": name, "labels": {"team": "old", **labels}}
    cluster.apply_as("kubectl", ref, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    return ref


@pytest.fixture
def shop(acme) -> Project:
    """A project that nothing was delivered into."""
    row = Project(tenant=acme, name="shop")
    row.declare(by="alice")
    return row


@pytest.fixture
def ask(people, shop):
    """Ask for an adoption."""

    def post(who: str = "olga", path: str = ADOPT, **change):
        body = {"cluster": "prod-a", "namespace": "legacy", "confirm": "legacy"} | change
        body = {name: value for name, value in body.items() if value is not None}
        return signed_in(people[who]).post(path, body, format="json")

    return post


def synced(row: ProjectPlacement) -> dict:
    """Its Synced condition."""
    row.refresh_from_db()
    return next(each for each in row.conditions if each["type"] == "Synced")


@pytest.mark.parametrize("path", [ADOPT, "/api/v1/projects/shop:adopt"])
def test_it_waits_with_the_command_until_the_namespace_is_handed_over(ask, shop, fleet, path):
    there(fleet["prod-a"])
    answer = ask(path=path)
    placement = shop.placements.get()
    command = answer.json()["command"]
    assert answer.status_code == 202 and command.startswith("kubectl label namespace legacy ")
    settle()
    told = synced(placement)
    assert (told["reason"], placement.phase) == ("WaitingForAdoption", "Pending")
    assert command in told["message"]
    labels = fleet["prod-a"].body(LEGACY)["metadata"]["labels"]
    assert not {MANAGED_BY, OWNER, TENANT} & set(labels)
    assert "legacy" not in {ref.namespace for ref in fleet["prod-a"].refs(ROLE_BINDING)}


def test_once_it_is_handed_over_it_is_held_to_the_rules_and_keeps_what_is_in_it(ask, shop, fleet):
    cluster = fleet["prod-a"]
    there(cluster)
    marks = dict(mark.split("=") for mark in ask().json()["command"].split()[4:6])
    cluster.edit(LEGACY, "kubectl", lambda body: body["metadata"]["labels"].update(marks))
    settle()
    placement = shop.placements.get()
    assert (placement.phase, placement.namespace) == ("Deployed", "legacy"), placement.conditions
    labels = cluster.body(LEGACY)["metadata"]["labels"]
    assert (labels["team"], labels[TENANT], labels[OWNER]) == ("old", "acme", placement.owner)
    assert not cluster.exists(Ref(NAMESPACE, "", "acme--shop"))
    app = App(project=shop, name="site", components=[component()])
    app.declare(by="bob")
    assert app.placements.get().intent().namespace == "legacy"


@pytest.mark.parametrize(("who", "status"), [("alice", 403), ("bob", 403), ("charlie", 404)])
def test_it_is_for_operators_alone(ask, shop, fleet, who, status):
    there(fleet["prod-a"])
    assert ask(who).status_code == status
    assert not ProjectPlacement.objects.exclude(adopted="").exists()


@pytest.mark.parametrize(
    "name", ["kube-system", "kube-anything", "default", "kubenova-system", "kubenova-grants"]
)
def test_nothing_of_the_platform_is_to_be_had(ask, fleet, name):
    there(fleet["prod-a"], name)
    found = problem(ask(namespace=name, confirm=name), 409, "KN-CONFLICT")
    assert pointers(found) == ["/namespace"]


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({MANAGED_BY: "Helm"}, id="another manager"),
        pytest.param({MANAGED_BY: MANAGER, OWNER: "tenancy.projectplacement.x"}, id="another row"),
        pytest.param({TENANT: "globex"}, id="another tenant"),
        pytest.param({"capsule.clastix.io/tenant": "globex"}, id="another tenant of Capsule"),
    ],
)
def test_nothing_of_others_is_to_be_had(ask, fleet, labels):
    there(fleet["prod-a"], **labels)
    assert pointers(problem(ask(), 409, "KN-CONFLICT")) == ["/namespace"]
    assert not ProjectPlacement.objects.exclude(adopted="").exists()


def test_that_of_another_project_is_not_to_be_had(ask, acme, fleet):
    Project(tenant=acme, name="blog").declare(by="alice")
    there(fleet["prod-a"], "acme--blog")
    problem(ask(namespace="acme--blog", confirm="acme--blog"), 409, "KN-CONFLICT")
    there(fleet["prod-a"])
    assert ask().status_code == 202
    second = ask(path="/api/v1/projects/blog:adopt")
    problem(second, 409, "KN-CONFLICT")


def test_what_is_not_there_is_not_to_be_had(ask, fleet):
    problem(ask(), 409, "KN-CONFLICT")


def test_its_name_is_asked_for_and_the_same_again_changes_nothing(ask, fleet):
    there(fleet["prod-a"])
    for wrong in (None, "Legacy", "shop"):
        assert problem(ask(confirm=wrong), 409, "KN-CONFIRM")["confirm"] == "legacy"
    assert [ask().status_code for _ in range(2)] == [202, 202]
    assert Event.objects.filter(reason="AdoptionRequested").count() == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"cluster": "prod-z"}, "/cluster"),
        ({"namespace": "Not a name", "confirm": "Not a name"}, "/namespace"),
        ({"force": True}, "/force"),
    ],
)
def test_it_points_at_what_is_wrong(ask, fleet, change, pointer):
    assert pointers(problem(ask(**change), 400, "KN-INVALID"))[0] == pointer


def test_what_something_lives_in_is_never_moved(ask, shop, fleet):
    settle()
    App(project=shop, name="site", components=[component()]).declare(by="bob")
    there(fleet["prod-a"])
    assert "never moved" in problem(ask(), 409, "KN-CONFLICT")["detail"]


@pytest.mark.parametrize("verb", ["patch", "put"])
@pytest.mark.parametrize("change", [{"name": "else"}, {"tenant": "globex"}])
def test_a_project_is_never_renamed_nor_moved_and_the_answer_tells_what_to_do(
    ask, people, verb, change
):
    answer = getattr(signed_in(people["olga"]), verb)(ADOPT[:-6], change, format="json")
    assert "Create the other one" in problem(answer, 409, "KN-CONFLICT")["detail"]


def test_a_plan_shows_what_would_be_changed_and_changes_nothing(ask, shop, fleet):
    there(fleet["prod-a"])
    planned = ask(path=f"{ADOPT}?dryRun=plan", confirm=None)
    assert planned.status_code == 200, planned.content
    assert not ProjectPlacement.objects.exclude(adopted="").exists()
    assert [each["cluster"] for each in planned.json()["clusters"]] == ["prod-a"]


def test_a_cluster_that_is_away_is_told(ask, fleet):
    from reconcile.errors import Unreachable

    there(fleet["prod-a"])
    fleet["prod-a"].always(Unreachable("No route."))
    problem(ask(), 503, "KN-UNAVAILABLE")
