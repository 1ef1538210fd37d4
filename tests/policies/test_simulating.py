"""Simulations: from the request over pages of objects to findings, and what a death leaves."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from clusters.intents import SIMULATION_NAMESPACE
from clusters.kinds import CONFIG_MAP, DEPLOYMENT
from policies.models import (
    PolicySet,
    PolicyVersion,
    Simulation,
    SimulationFinding,
    SimulationRun,
    simulation_page,
)
from policies.rules.binding import Attached
from policies.rules.replaying import replayed
from policies.tasks import tidy
from reconcile.errors import Refused, Unreachable
from reconcile.models import Event, Work
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.refusals import Invalid
from reconcile.values import Ref
from tenancy.models import Project
from tenancy.rules.modes import Mode
from tests.clusters.steps import hurry, settle
from tests.policies.conftest import attach, make_set
from tests.policies.simulated import HUB, POD, containers, deployment, owned, put, service

pytestmark = pytest.mark.django_db


def begin(policy_set: PolicySet, **whom: object) -> Simulation:
    """Have olga simulate the newest version, by default for every tenant."""
    whom = whom or {"every_tenant": True}
    attached = Attached(
        policy_set.name, policy_set.version, "", Mode.ENFORCE, policy_set.rules, **whom
    )
    return Simulation.begin(policy_set, attached, "olga")


def rest() -> None:
    """Settle; what waits for parameters or for others looks again."""
    for _ in range(6):
        settle()
        hurry()


def found(row: Simulation) -> list[tuple[str, str, str, str]]:
    rows = row.findings.order_by("name", "rule")
    return [(each.verdict, each.kind, each.name, each.rule) for each in rows]


def state(row: Simulation) -> str:
    return Simulation.objects.get(pk=row.pk).state


def left_behind(fleet) -> list[Ref]:
    return [ref for ref in fleet["prod-a"].refs() if "kn-sim" in ref.name] + [
        ref for ref in fleet["prod-a"].refs(CONFIG_MAP) if ref.namespace == SIMULATION_NAMESPACE
    ]


def test_it_lists_what_would_be_refused_and_writes_nothing_but_its_parameters(fleet, shop):
    deployment(fleet, "bad", "nginx:1")
    deployment(fleet, "good", "r.example.org/web:1")
    service(fleet, "open", "NodePort")
    fleet["prod-a"].writes.clear()
    row = begin(make_set(**HUB, service_types=["ClusterIP"]))
    rest()
    assert found(row) == [
        ("denied", "Deployment", "bad", "image_registries"),
        ("denied", "Service", "open", "service_types"),
    ]
    first = row.findings.get(name="bad")
    assert first.message == "The image nginx:1 is not allowed here."
    assert (first.tenant, first.project, first.namespace) == ("acme", "shop", "acme--shop")
    run = row.runs.get()
    assert (state(row), run.phase, run.tried, run.done, run.places) == ("done", "Deployed", 3, 1, 1)
    assert {ref.namespace for _, ref in fleet["prod-a"].writes} == {SIMULATION_NAMESPACE}
    assert left_behind(fleet) == []
    assert not Work.objects.filter(kind="policies.simulationrun").exists()


def test_the_namespaces_tell_which_pods_break_a_profile(fleet, shop):
    put(fleet, POD, "bad", containers("nginx"))
    context = {
        **{"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **{"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    strict = {"containers": [{"name": "main", "image": "nginx", "securityContext": context}]}
    put(fleet, POD, "good", strict)
    fleet["prod-a"].writes.clear()
    row = begin(make_set(pod_security="restricted"))
    rest()
    assert found(row) == [("denied", "Pod", "bad", "pod_security")]
    assert "runAsNonRoot != true" in row.findings.get().message
    assert (state(row), row.objects_tried) == ("done", 1)
    assert {ref.namespace for _, ref in fleet["prod-a"].writes} == {SIMULATION_NAMESPACE}


def test_pods_that_break_a_profile_alike_are_told_one_by_one_unless_something_makes_them(
    fleet, shop
):
    for name in ("a", "b", "c"):
        put(fleet, POD, name, containers("nginx"))
    put(fleet, POD, "made", containers("nginx"), ownerReferences=owned("ReplicaSet", "web"))
    fleet["prod-a"].writes.clear()
    row = begin(make_set(pod_security="restricted"))
    rest()
    assert [name for *_, name, _ in found(row)] == ["a", "b", "c"]
    told = [each.message for each in row.findings.order_by("name")]
    assert told[0] == f"{told[1]} (and 1 other pod)" and told[1] == told[2]
    assert {ref.namespace for _, ref in fleet["prod-a"].writes} == {SIMULATION_NAMESPACE}


def test_where_pods_cannot_be_tried_alone_they_stay_counted(fleet, shop):
    for name in ("a", "b"):
        put(fleet, POD, name, containers("nginx"))
    copy = Ref(DEPLOYMENT, PLAN_NAMESPACE, "b-kn-sim")
    fleet["prod-a"].fail_on("apply", copy, Refused("webhook gate.example.org says no"))
    row = begin(make_set(pod_security="restricted"))
    rest()
    assert found(row) == [("denied", "Pod", "a", "pod_security")]
    assert row.findings.get().message.endswith("(and 1 other pod)")


def test_its_set_tells_when_it_began_and_how_it_ended(fleet, shop):
    deployment(fleet, "bad", "nginx")
    strict = make_set(**HUB)
    begin(strict)
    rest()
    told = Event.objects.filter(object_uid=strict.uid, reason__startswith="Simulation")
    assert told.get(reason="SimulationStarted").actor == "olga"
    assert "1 denied, 0 predicted, 0 unjudged" in told.get(reason="SimulationEnded").message


def test_a_workload_is_told_once_and_a_pod_by_itself_as_well(fleet, shop):
    deployment(fleet, "bad", "nginx")
    put(fleet, POD, "bad-1-x", containers("nginx"), ownerReferences=owned("ReplicaSet", "bad-1"))
    put(fleet, POD, "alone", containers("nginx"))
    rollout = owned("Rollout", "canary", "argoproj.io/v1alpha1")
    put(fleet, POD, "canary-x", containers("nginx"), ownerReferences=rollout)
    put(fleet, POD, "canary-y", containers("nginx"), ownerReferences=rollout)
    row = begin(make_set(**HUB))
    rest()
    assert [each[1:3] for each in found(row)] == [
        ("Pod", "alone"),
        ("Deployment", "bad"),
        ("Rollout", "canary"),
    ]


def test_what_no_dry_run_tells_is_predicted(fleet, shop):
    Project(tenant=shop.tenant, name="blog").declare(by="olga")
    settle()
    row = begin(make_set(namespaces={"count": 1}))
    rest()
    assert found(row) == [("predicted", "Tenant", "acme", "namespaces")]
    assert "has 2 projects" in row.findings.get().message
    assert state(row) == "done"
    assert not any(ref.namespace == SIMULATION_NAMESPACE for _, ref in fleet["prod-a"].writes[-3:])


def test_what_the_cluster_refuses_for_another_reason_is_no_denial(fleet, shop):
    ref = deployment(fleet, "odd", "nginx")
    copy = Ref(ref.kind, SIMULATION_NAMESPACE, "odd-kn-sim")
    fleet["prod-a"].fail_on("apply", copy, Refused("webhook gate.example.org says no"))
    row = begin(make_set(**HUB))
    rest()
    assert found(row) == [("unjudged", "Deployment", "odd", "")]
    assert row.findings.get().message == "webhook gate.example.org says no"
    assert row.totals() == {"denied": 0, "predicted": 0, "unjudged": 1}


def test_only_those_meant_are_looked_at(fleet, shop, globex):
    Project(tenant=shop.tenant, name="blog").declare(by="olga")
    Project(tenant=globex, name="shop").declare(by="olga")
    settle()
    for namespace in ("acme--shop", "acme--blog", "globex--shop"):
        deployment(fleet, "bad", "nginx", namespace=namespace)
    strict = make_set(**HUB)
    named = begin(strict, tenants=frozenset({"globex"}))
    single = begin(strict, projects=frozenset({"acme/blog"}))
    rest()
    assert [each.namespace for each in named.findings.all()] == ["globex--shop"]
    assert [each.namespace for each in single.findings.all()] == ["acme--blog"]


def test_nobody_is_refused(acme):
    with pytest.raises(Invalid, match="nobody to simulate"):
        begin(make_set(), tenants=frozenset({"unknown"}))


def test_an_exception_spares_what_it_spares(fleet, shop):
    deployment(fleet, "bad", "nginx")
    service(fleet, "open", "NodePort")
    bound = attach(make_set(**HUB, service_types=["ClusterIP"]), mode="audit")
    until = timezone.now() + timedelta(days=1)
    bound.make_exception(
        "olga",
        tenant="acme",
        project="shop",
        kind="service_types",
        reason="they move",
        expires_at=until,
    )
    settle()
    row = Simulation.begin(bound.policy_set, bound.attached, "olga")
    rest()
    assert [each[3] for each in found(row)] == ["image_registries"]


# --- Pages, deaths and clusters that do not answer.


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(simulation_page, "_PAGE", 2)


def five(fleet) -> list[str]:
    names = [f"bad-{number}" for number in range(5)]
    for name in names:
        deployment(fleet, name, "nginx")
    return names


class Killed(BaseException):
    """The worker dies here."""


@pytest.mark.parametrize("written", [False, True], ids=["before the page is kept", "after"])
@pytest.mark.parametrize("death", range(3))
def test_a_killed_worker_repeats_one_page_and_neither_loses_nor_doubles(
    fleet, shop, small_pages, monkeypatch, death, written
):
    names = five(fleet)
    row = begin(make_set(**HUB))
    keep, seen = SimulationRun._keep, []

    def die(self, *args, **counts):
        seen.append(counts["tried"])
        if len(seen) != death + 1:
            return keep(self, *args, **counts)
        if written:
            keep(self, *args, **counts)
        raise Killed

    monkeypatch.setattr(SimulationRun, "_keep", die)
    with pytest.raises(Killed):
        rest()
    Work.objects.filter(kind="policies.simulationrun").update(lease_until=None, lease_token=None)
    rest()
    assert [each[2] for each in found(row)] == names
    assert row.runs.get().tried == 5 and state(row) == "done"
    pages = 3 + len(replayed(HUB)) - 1  # three of Deployments, an empty one of each other kind
    assert len(seen) == pages + (not written)


def test_its_progress_is_told_page_by_page(fleet, shop, small_pages):
    five(fleet)
    row = begin(make_set(**HUB))
    told = []
    for _ in range(30):
        due = Work.objects.filter(kind="policies.simulationrun").first()
        if due is None:
            break
        Work.objects.filter(pk=due.pk).update(due_at=timezone.now() - timedelta(seconds=1))
        lease = Work.objects.claim(due.pk)
        run = SimulationRun.objects.get()
        lease.release(run.step(lease).look_in)
        told.append(SimulationRun.objects.get().tried)
    assert [each for each in dict.fromkeys(told) if each] == [2, 4, 5]
    assert state(row) == "done"


def test_it_goes_on_when_the_cluster_answers_again(fleet, shop):
    deployment(fleet, "bad", "nginx")
    row = begin(make_set(**HUB))
    fleet["prod-a"].always(Unreachable("down"))
    settle()
    assert state(row) == "running"
    assert "down" in str(row.runs.get().conditions)
    fleet["prod-a"].heal()
    rest()
    assert state(row) == "done" and len(found(row)) == 1


def test_it_ends_at_its_deadline(fleet, shop):
    row = begin(make_set(**HUB))
    fleet["prod-a"].always(Unreachable("down"))
    settle()
    past = timezone.now() - timedelta(hours=2)
    Simulation.objects.filter(pk=row.pk).update(created_at=past)
    rest()
    assert state(row) == "failed"
    assert row.runs.get().fault == "It did not come to an end in time."


def test_it_ends_at_so_many_objects_and_says_so(fleet, shop, small_pages, settings):
    settings.SIMULATION_OBJECTS = 3
    five(fleet)
    row = begin(make_set(**HUB))
    rest()
    assert (state(row), row.runs.get().tried) == ("failed", 4)
    assert "ended at 4 objects" in row.runs.get().fault
    assert left_behind(fleet) == []


def test_an_older_baseline_is_told_instead_of_a_guess(fleet, shop, prod):
    prod.capabilities.filter(name__startswith="baseline.").delete()
    deployment(fleet, "bad", "nginx")
    row = begin(make_set(**HUB))
    rest()
    assert state(row) == "failed" and "baseline.5" in row.runs.get().fault
    assert found(row) == []


def test_two_on_one_cluster_take_turns(fleet, shop):
    deployment(fleet, "bad", "nginx")
    service(fleet, "open", "NodePort")
    first = begin(make_set("one", **HUB))
    second = begin(make_set("two", service_types=["ClusterIP"]))
    rest()
    assert [each[2] for each in found(first)] == ["bad"]
    assert [each[2] for each in found(second)] == ["open"]


def test_nothing_is_believed_before_the_cluster_judges_by_the_rules(fleet, shop, monkeypatch):
    """Parameters that were just written are not seen by every API server at once."""
    deployment(fleet, "bad", "nginx")
    row = begin(make_set(**HUB))
    monkeypatch.setattr(type(fleet["prod-a"]), "_advise", lambda *_: ())
    rest()
    assert (state(row), row.runs.get().tried) == ("running", 0)
    monkeypatch.undo()
    rest()
    assert [each[2] for each in found(row)] == ["bad"]


def test_its_result_outlives_its_set_and_goes_after_a_while(fleet, shop, settings):
    deployment(fleet, "bad", "nginx")
    strict = make_set(**HUB)
    row = begin(strict)
    strict.request_deletion(by="olga")
    rest()
    assert not PolicySet.objects.exists() and not PolicyVersion.objects.exists()
    assert len(found(row)) == 1 and tidy() == 0
    with time_machine.travel(timezone.now() + timedelta(days=settings.SIMULATION_DAYS + 1)):
        assert tidy() > 0
    assert not Simulation.objects.exists() and not SimulationFinding.objects.exists()
