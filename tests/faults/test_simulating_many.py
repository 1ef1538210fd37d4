"""The set "restricted" over 200 live workloads: told is what enforcing denies, and none is written.

The workloads run nothing (no replicas, or no node to run on), so that the cluster is at rest while
its own counters are compared.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.intents import SIMULATION_NAMESPACE
from policies.models import Attachment, PolicySet, Simulation
from policies.rules.catalogue import CATALOGUE
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.values import JSON
from sandbox.api import AdminApi
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_until, settle_until_deployed
from tests.live.network_cases import allowing, block, policy
from tests.live.ruled import (
    cron,
    ingress,
    keys,
    place,
    pod,
    refusal,
    registered,
    service,
    stateful,
    workload,
)

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from _server import WRITES, requests

__all__ = ["keys"]

pytestmark = [pytest.mark.faults, pytest.mark.django_db, pytest.mark.timeout(500)]

WORKLOADS, OTHERS = 200, 20
RULES = next(each.rules for each in CATALOGUE if each.name == "restricted")
PROFILE = "pod-security.kubernetes.io/enforce"
# What the cluster itself writes at rest, and who signs in or asks for rights: kept by nobody.
OWN = {"leases", "nodes", "events", "tokenreviews", "subjectaccessreviews"}
ASKED = {"selfsubjectaccessreviews", "selfsubjectreviews"}

Thing = tuple[str, str, str]  # kind, namespace, name
GOOD: JSON = {
    "imagePullPolicy": "Always",
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
OURS = "r.example.org/acme/web:1"
NOWHERE = {"nodeSelector": {"tests.example.org/none": "true"}}
ADDED = {"securityContext": {**GOOD["securityContext"], "capabilities": {"add": ["SYS_TIME"]}}}
# What a container or pod is made by, in turns: some are as they shall be.
TURNS: tuple[JSON, ...] = (
    {},
    {"image": "nginx"},
    {"container": {"imagePullPolicy": "IfNotPresent"}},
    {"container": {"resources": {}}},
    {"hostNetwork": True},
    {},
    {"container": ADDED},
    {"image": "docker.io/library/nginx", "container": {"resources": {}}},
    {"volumes": [{"name": "node", "hostPath": {"path": "/etc"}}]},
)


def made_by(number: int, name: str) -> JSON:
    """The spec of the pod of the n-th workload; a container of its own name."""
    turn = TURNS[number % len(TURNS)]
    container = {**GOOD, "name": name, **turn.get("container", {})}
    return {"image": OURS, **NOWHERE, **turn, "container": container}


def one(number: int) -> tuple[str, JSON]:
    """The n-th workload: its plural and manifest."""
    name = f"work-{number:03}"
    spec = made_by(number, name)
    if number % 10 == 7:
        return "pods", named(pod(**milder(spec)), name)
    if number % 20 == 3:
        return "statefulsets", named(stateful(**spec), name)
    if number % 20 == 13:
        return "cronjobs", named(cron(**spec), name)
    return "deployments", named(workload(0, **spec), name)


def milder(spec: JSON) -> JSON:
    """What the namespace's profile lets be, which is baseline: a pod is judged by it at once.

    Those that break restricted then do so alike.
    """
    kept = {key: value for key, value in spec.items() if key not in ("hostNetwork", "volumes")}
    if kept != spec or spec["container"]["securityContext"] != GOOD["securityContext"]:
        kept["container"] = {**spec["container"], "securityContext": {}}
    return kept


def other(number: int) -> tuple[str, JSON]:
    name = f"door-{number:02}"
    if number % 5 == 4:
        to = ("10.0.0.0/8", "169.254.169.254/32")[number % 2]
        return "networkpolicies", named(policy(allowing(block(to))), name)
    if number % 2:
        return "services", named(service(("ClusterIP", "NodePort")[number % 4 == 1]), name)
    chosen = {"ingressClassName": ("public", "internal")[number % 4 == 0]}
    return "ingresses", named(ingress(f"{name}.example.org", **chosen), name)


def named(body: JSON, name: str) -> JSON:
    return {**body, "metadata": {**body["metadata"], "name": name}}


@pytest.fixture
def projects(admin_api: AdminApi, admin_kubeconfig: str) -> Iterator[list[Project]]:
    """Two projects of a tenant, in which pods can be made; they and what binds them go again."""
    registered(admin_kubeconfig)
    tenant = Tenant(name="simulated", placement={"clusters": ["real"]})
    tenant.declare(by="olga")
    rows = [Project(tenant=tenant, name=name) for name in ("shop", "blog")]
    for row in rows:
        row.declare(by="olga")
        settle_until_deployed(row)
        admin_api.wait(place(row.namespace, "serviceaccounts", "default"), bool)
    yield rows
    for found in PolicySet.objects.all():
        found.request_deletion(by="olga")
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), 180)


def populated(api: AdminApi, projects: list[Project]) -> dict[Thing, tuple[str, JSON]]:
    """Make every object, in the namespaces in turns; return where each was made, and of what."""
    found = {}
    everything = [one(n) for n in range(WORKLOADS)] + [other(n) for n in range(OTHERS)]
    for number, (plural, body) in enumerate(everything):
        where = projects[number % len(projects)].namespace
        kind = api.create(place(where, plural), body)["kind"]
        found[kind, where, body["metadata"]["name"]] = (plural, body)
    return found


def at_rest(api: AdminApi) -> Counter[tuple[str, str]]:
    """The counters once the cluster's own controllers have done with what was made."""
    seen = kept(requests(api))
    while True:
        time.sleep(2.0)
        now = kept(requests(api))
        if now == seen:
            return requests(api)
        seen = now


def kept(found: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The writes among what the server has answered, but for those that every cluster does."""
    return {
        (verb, resource): count
        for (verb, resource), count in found.items()
        if verb in WRITES and resource not in OWN | ASKED
    }


def denied(api: AdminApi, objects: dict[Thing, tuple[str, JSON]]) -> dict[Thing, str]:
    """What the API server refuses of those who make the same again, and what it says."""
    said = {}
    for thing, (plural, body) in objects.items():
        _, where, name = thing
        again = named(body, f"{name}-again")
        path = place(where, plural)
        if text := refusal(lambda path=path, again=again: api.create(path, again, dryRun="All")):
            said[thing] = text
    return said


def bound(rules: PolicySet) -> Attachment:
    row = Attachment(policy_set=rules, name="hard", mode="audit", tenants=["simulated"])
    row.declare(by="olga")
    settle_until_deployed(row)
    return row


def enforced(api: AdminApi, projects: list[Project], row: Attachment) -> None:
    """Promote to enforce, and wait until every namespace has it."""
    row.promote("olga", "enforce")
    settle_until_deployed(row)
    spaces = [f"/api/v1/namespaces/{each.namespace}" for each in projects]
    settle_until(
        lambda: all(api.get(at)["metadata"]["labels"][PROFILE] == "restricted" for at in spaces)
    )


def test_what_restricted_would_deny_of_200_workloads_is_told_and_nothing_is_written(
    admin_api: AdminApi, projects: list[Project]
) -> None:
    objects = populated(admin_api, projects)
    rules = PolicySet(name="restricted", rules=RULES)
    rules.declare(by="olga")
    row = bound(rules)

    before = at_rest(admin_api)
    began = time.monotonic()
    simulation = Simulation.begin(rules, row.attached, "olga")
    settle_until(lambda: not simulation.runs.filter(finished_at=None).exists(), 240)
    took = time.monotonic() - began
    after = requests(admin_api)

    run = simulation.runs.get()
    assert run.fault == "" and run.tried >= len(objects), (run.fault, run.tried)
    assert simulation.totals()["unjudged"] == 0 and took < 240
    judge_writes(admin_api, before, after, run.tried)
    enforced(admin_api, projects, row)
    judge_findings(simulation, denied(admin_api, objects), len(objects))


def judge_writes(
    api: AdminApi, before: Counter[tuple[str, str]], after: Counter[tuple[str, str]], tried: int
) -> None:
    """Nothing was kept but the parameters of the simulation, and they are gone."""
    written = {key: kept(after).get(key, 0) - kept(before).get(key, 0) for key in kept(after)}
    written = {key: count for key, count in written.items() if count}
    assert {resource for _, resource in written} == {"configmaps"}, written
    # Two ConfigMaps of parameters come and go; the mark of the epoch is due once in five minutes.
    assert written.pop(("DELETE", "configmaps")) == 2, written
    assert sum(written.values()) in (2, 3), written
    dry = sum(count for (verb, _), count in (after - before).items() if verb == "DRY-RUN")
    assert dry >= tried
    assert [
        item["metadata"]["name"]
        for space in (SIMULATION_NAMESPACE, PLAN_NAMESPACE)
        for plural in ("deployments", "pods", "statefulsets", "cronjobs", "services", "ingresses")
        for item in api.items(place(space, plural))
    ] == []


def judge_findings(simulation: Simulation, said: dict[Thing, str], count: int) -> None:
    """What was told is what is refused now: `said` is what the server says of each."""
    columns = ("kind", "namespace", "name", "rule", "message")
    findings = list(simulation.findings.values_list(*columns))
    found = {(kind, where, name) for kind, where, name, *_ in findings}
    assert found <= set(said), "none is told that would be let be"
    assert set(said) <= found, "all is told that is refused"
    profiled = [text for *_, rule, text in findings if rule == "pod_security"]
    assert len(profiled) > len(set(profiled)), "several pods break the profile alike"
    assert not any("other pod" in text for text in profiled), "each of them is named"
    assert 100 < len(said) < count - 20, "some are as they shall be"
    assert {rule for *_, rule, _ in findings} == set(RULES), "every rule has caught something"
    # Of what refuses, the server names the first alone; a profile it words in its own way.
    for thing in found:
        text = said[thing]
        told = [(rule, message) for *key, rule, message in findings if tuple(key) == thing]
        assert any(rule == "pod_security" or message in text for rule, message in told), told
