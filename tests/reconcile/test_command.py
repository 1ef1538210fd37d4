"""`manage.py reconcile`: one step in the foreground, with what it plans and does."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from clusters.kinds import CONFIG_MAP, NAMESPACE
from delivery.models import App
from reconcile.errors import Refused, Unreachable
from reconcile.finding import NotFound, find
from reconcile.models import AppliedObject, Event, Read, Work
from reconcile.values import Ref
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.memory_cluster import MemoryCluster
from tests.people import make_acme
from tests.reconcile.models import CLUSTERS, Shelf, Toy, Toybox, ToyPlacement
from tests.reconcile.worlds import expire_leases

pytestmark = pytest.mark.django_db

RULES = Ref(CONFIG_MAP, "train", "rules")


@pytest.fixture
def toy(shelf) -> Toy:
    found = Toy(name="train", maps={"rules": {"a": "1"}}, shelves=["shelf"])
    found.declare(by="alice")
    return found


def run(name: str, *options: str) -> list[str]:
    """The lines that the command writes; CommandError as it ends."""
    out = StringIO()
    call_command("reconcile", name, *options, stdout=out)
    return out.getvalue().splitlines()


def database() -> list[object]:
    """Everything that the engine could have written."""
    models = (Toy, ToyPlacement, Work, Read, AppliedObject, Event)
    return [list(model.objects.order_by("pk").values()) for model in models]


# --- A step.


def test_it_shows_the_plan_and_carries_it_out(toy, shelf):
    lines = run("toy/train")

    assert lines == [
        "Toy train on shelf",
        "  plan     apply Namespace train (new)",
        "           apply ConfigMap train/rules (new, not checked)",
        "  outcome  Deployed, at rest",
        "           Synced True Applied: The cluster equals the intent.",
        "           Ready True Active: ",
        "Toy train",
        "  outcome  Deployed, at rest",
        "           Synced True Applied: ",
        "           Ready True Active: ",
    ]
    assert shelf.exists(RULES)


def test_it_says_that_there_is_nothing_to_do(toy, shelf):
    settle()
    shelf.writes.clear()

    assert "  plan     nothing to do" in run("toy/train@shelf")
    assert shelf.writes == []


def test_it_takes_a_step_though_none_is_due(toy, shelf):
    settle()
    shelf.edit(RULES, "kubectl-edit", lambda body: body["data"].update(a="2"))

    assert "  plan     apply ConfigMap train/rules (drift)" in run("toy/train@shelf")
    assert shelf.body(RULES)["data"] == {"a": "1"}


def test_it_gives_the_row_back_as_a_drain_does(toy, shelf):
    run("toy/train@shelf")
    work = ToyPlacement.objects.get().work.get()

    assert (work.lease_token, work.attempts, work.due_at) == (None, 0, None)


def test_it_serves_one_placement_alone(toy, shelf):
    Shelf.objects.create(name="other")
    CLUSTERS["other"] = MemoryCluster()
    toy.refresh_from_db()
    toy.shelves = ["shelf", "other"]
    toy.declare(by="alice")

    assert run("toy/train@other")[0] == "Toy train on other"
    assert CLUSTERS["other"].exists(RULES) and not shelf.exists(RULES)


def test_it_shows_a_deletion_to_its_end(toy, shelf):
    settle()
    toy.request_deletion(by="alice")
    lines = run("toy/train")

    assert lines[:5] == [
        "Toy train on shelf",
        "  plan     delete ConfigMap train/rules (unwanted)",
        "           delete Namespace train (unwanted)",
        "  outcome  gone",
        "Toy train",
    ]
    assert lines[-1] == "  outcome  gone" and not Toy.objects.exists()


def test_it_says_what_a_row_waits_for(fleet):
    fleet.declare("late")
    make_acme(placement={"clusters": ["late"]})
    lines = run("tenant/acme@late")

    assert lines[1] == "  waits    Cluster late is Pending."
    assert lines[2].startswith("  outcome  Pending, looks again in ")


# --- A plan.


def test_a_plan_writes_nothing_anywhere(toy, shelf):
    before = database()
    lines = run("toy/train", "--plan")

    assert lines == [
        "Toy train on shelf",
        "  plan     apply Namespace train (new)",
        "           apply ConfigMap train/rules (new, not checked)",
        "Toy train",
    ]
    assert shelf.writes == [] and database() == before


def test_a_plan_needs_no_lease(toy, shelf):
    Work.objects.claim(ToyPlacement.objects.get().work.get().pk)
    assert "  plan     apply Namespace train (new)" in run("toy/train@shelf", "--plan")


def test_a_plan_that_cannot_be_made_says_why(toy, shelf):
    shelf.always(Unreachable("connection refused"))
    with pytest.raises(CommandError, match="Toy train on shelf: connection refused"):
        run("toy/train@shelf", "--plan")


def test_a_plan_names_a_foreign_object_in_the_way_a12(toy, shelf):
    home = Ref(NAMESPACE, "", "train")
    shelf.apply_as(
        "vim", home, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "train"}}
    )
    with pytest.raises(CommandError, match="Namespace train exists on the cluster"):
        run("toy/train@shelf", "--plan")


# --- What can go wrong.


def test_a_step_that_fails_ends_with_an_error(toy, shelf):
    shelf.fail_on("apply", RULES, Refused("exceeded quota"))
    with pytest.raises(CommandError, match="Toy train on shelf: Refused: exceeded quota"):
        run("toy/train@shelf")


def test_one_that_fails_does_not_keep_the_others_from_their_steps(toy, shelf):
    shelf.fail_on("apply", RULES, Refused("exceeded quota"))
    with pytest.raises(CommandError):
        run("toy/train")
    toy.refresh_from_db()

    assert toy.phase == "Error"


def test_it_says_that_another_worker_holds_the_lease_f5(toy, shelf):
    Work.objects.claim(ToyPlacement.objects.get().work.get().pk)
    message = r"Another worker holds the lease on Toy train on shelf for 1[45] s more\."

    with pytest.raises(CommandError, match=message):
        run("toy/train@shelf")
    assert shelf.writes == []


def test_it_takes_over_a_lease_that_ran_out(toy, shelf):
    Work.objects.claim(ToyPlacement.objects.get().work.get().pk)
    expire_leases()
    run("toy/train@shelf")

    assert shelf.exists(RULES)


def test_it_shows_the_traceback_of_a_crash_f31(toy, shelf, monkeypatch):
    row = ToyPlacement.objects.get()
    monkeypatch.setattr(Toybox, "assess", lambda self, intent, seen: 1 / 0)

    with pytest.raises(CommandError, match=r"(?s)the step crashed.*ZeroDivisionError"):
        run("toy/train@shelf")
    assert row.work.get().attempts == 1


def test_it_says_that_a_row_was_set_aside_f31(toy, shelf):
    Work.objects.all().update(quarantined_at="2026-01-01T00:00Z", traceback="x\nOops: y")
    with pytest.raises(CommandError, match=r"was set aside after repeated crashes \(Oops: y\)"):
        run("toy/train@shelf")


# --- Names.


@pytest.fixture
def acme_shop(fleet) -> None:
    """A cluster, acme with a shop on it, and an app in it."""
    fleet.register("sandbox")
    tenant = make_acme(placement={"clusters": ["sandbox"]})
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    component = {"name": "web", "type": "webservice", "properties": {"image": "shop:1"}}
    App(project=project, name="site", components=[component]).declare(by="bob")


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        pytest.param("tenant/acme", ["Tenant acme on sandbox", "Tenant acme"], id="tenant"),
        pytest.param("tenant/acme@sandbox", ["Tenant acme on sandbox"], id="tenant on a cluster"),
        pytest.param(
            "project/acme/shop",
            ["Project acme/shop on sandbox", "Project acme/shop"],
            id="project",
        ),
        pytest.param(
            "app/acme/shop/site@sandbox", ["App acme/shop/site on sandbox"], id="app on a cluster"
        ),
        pytest.param("cluster/sandbox", ["Baseline of sandbox", "Cluster sandbox"], id="cluster"),
    ],
)
def test_it_finds_any_row_by_its_name(acme_shop, name, rows):
    assert [str(row) for row in find(name)] == rows


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("castle/x", "There is no kind 'castle'. There are: app, ", id="kind"),
        pytest.param("", "There is no kind ''.", id="nothing"),
        pytest.param("tenant", "Name it as tenant/name.", id="no name"),
        pytest.param("tenant/a/b", "Name it as tenant/name.", id="too many names"),
        pytest.param("project/shop", "Name it as project/tenant/name.", id="no tenant"),
        pytest.param("app/acme/shop", "Name it as app/tenant/project/name.", id="no project"),
        pytest.param("tenant/globex", "There is no tenant globex.", id="no such tenant"),
        pytest.param("project/globex/shop", "There is no project globex/shop.", id="not there"),
        pytest.param(
            "tenant/acme@moon",
            "Tenant acme is not placed on moon. It is placed on sandbox.",
            id="@",
        ),
    ],
)
def test_it_says_why_it_finds_nothing(acme_shop, name, message):
    with pytest.raises(NotFound) as refused:
        find(name)
    assert message in str(refused.value)


def test_the_command_says_so_too(db):
    with pytest.raises(CommandError, match="There is no tenant acme"):
        run("tenant/acme")
