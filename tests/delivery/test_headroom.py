"""What an app's pods ask of a quota. Pure."""

from fractions import Fraction

import pytest

from delivery.adapters.native import DEPLOYMENT, LIMIT_RANGE, RESOURCE_QUOTA, NativeApps
from delivery.rules.headroom import defaults_of, demand_of, headroom
from reconcile.values import JSON, Live, Ref
from tests.delivery.samples import NAMESPACE, component, intent, with_traits

ADAPTER = NativeApps()
QUOTA = Ref(RESOURCE_QUOTA, NAMESPACE, "kubenova")
LIMITS = Ref(LIMIT_RANGE, NAMESPACE, "kubenova")
NOTHING: JSON = {"requests": {}, "limits": {}}
DEFAULTS: JSON = {
    "requests": {"cpu": "100m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "128Mi"},
}


def deployment(replicas: int = 1, **resources: object) -> JSON:
    container = {"name": "web", "resources": resources}
    return {"spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}}}


DEMANDS = {
    "says nothing, gets nothing": (deployment(), NOTHING, {}),
    "says nothing, gets defaults": (
        deployment(),
        DEFAULTS,
        {"requests.cpu": "1/10", "limits.cpu": "1", "requests.memory": 64 * 1024**2},
    ),
    "asks by request": (
        deployment(requests={"cpu": "500m"}),
        NOTHING,
        {"requests.cpu": "1/2", "cpu": "1/2", "limits.cpu": 0},
    ),
    "asks by limit": (
        deployment(limits={"cpu": "2"}),
        NOTHING,
        {"requests.cpu": 2, "limits.cpu": 2},
    ),
    "a limit goes before the default request": (
        deployment(limits={"cpu": "2"}),
        DEFAULTS,
        {"requests.cpu": 2},
    ),
    "replicas multiply": (
        deployment(3, requests={"memory": "1Gi"}),
        NOTHING,
        {"requests.memory": 3 * 1024**3, "pods": 3, "count/deployments.apps": 1},
    ),
    "no replicas": (deployment(0, requests={"cpu": "1"}), NOTHING, {"requests.cpu": 0, "pods": 0}),
    "no quantity": (deployment(requests={"cpu": "lots"}), NOTHING, {"requests.cpu": 0}),
    "nothing in it": ({"spec": {}}, NOTHING, {"pods": 1, "requests.cpu": 0}),
}


def of_kind(kind: str, spec: JSON, status: JSON | None = None) -> JSON:
    return {"kind": kind, "spec": spec, "status": status or {}}


POD = {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}
SPEC = {"template": {"spec": POD}}
PARALLEL = {"parallelism": 2, **SPEC}
GREEDY = {**POD, "initContainers": [{"resources": {"requests": {"cpu": "3"}}}]}
CLAIM = {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}
DEMANDS |= {
    "a stateful set": (
        of_kind("StatefulSet", {"replicas": 3, **SPEC}),
        NOTHING,
        {"count/statefulsets.apps": 1, "pods": 3, "cpu": 3, "count/deployments.apps": 0},
    ),
    "a daemon set on four nodes": (
        of_kind("DaemonSet", SPEC, {"desiredNumberScheduled": 4}),
        NOTHING,
        {"count/daemonsets.apps": 1, "pods": 4, "cpu": 4},
    ),
    "a daemon set on nobody knows": (of_kind("DaemonSet", SPEC), NOTHING, {"pods": 1}),
    "a job": (of_kind("Job", PARALLEL), NOTHING, {"count/jobs.batch": 1, "pods": 2, "cpu": 2}),
    "a job that is done": (
        of_kind("Job", PARALLEL, {"conditions": [{"type": "Complete", "status": "True"}]}),
        NOTHING,
        {"count/jobs.batch": 1, "pods": 0, "cpu": 0},
    ),
    "a cron job needs room for a run": (
        of_kind("CronJob", {"jobTemplate": {"spec": PARALLEL}}),
        NOTHING,
        {"count/cronjobs.batch": 1, "pods": 2, "cpu": 2},
    ),
    "an init container goes before": (
        of_kind("Deployment", {"template": {"spec": GREEDY}}),
        NOTHING,
        {"pods": 1, "cpu": 3},
    ),
    "a claim": (
        of_kind("PersistentVolumeClaim", CLAIM),
        NOTHING,
        {
            "persistentvolumeclaims": 1,
            "requests.storage": 2 * 1024**3,
            "fast.storageclass.storage.k8s.io/requests.storage": 2 * 1024**3,
            "pods": 0,
        },
    ),
    "a service on every node": (
        of_kind("Service", {"type": "NodePort"}),
        NOTHING,
        {"services": 1, "services.nodeports": 1, "services.loadbalancers": 0},
    ),
    "a service inside": (
        of_kind("Service", {"type": "ClusterIP"}),
        NOTHING,
        {"services": 1, "services.nodeports": 0},
    ),
    "a config map": (of_kind("ConfigMap", {}), NOTHING, {"configmaps": 1, "pods": 0}),
}


@pytest.mark.parametrize(("body", "defaults", "wanted"), DEMANDS.values(), ids=DEMANDS)
def test_the_demand_of_a_deployment(body, defaults, wanted):
    found = demand_of([body], defaults)
    assert {name: found.get(name, 0) for name in wanted} == {
        name: Fraction(amount) for name, amount in wanted.items()
    }


def test_demands_add_up():
    two = demand_of([deployment(requests={"cpu": "1"}), deployment(requests={"cpu": "2"})], NOTHING)
    assert (two["requests.cpu"], two["pods"]) == (3, 2)


def test_defaults_are_those_of_containers():
    items = [
        {"type": "Pod", "max": {"cpu": "9"}},
        {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}},
    ]
    assert defaults_of({"spec": {"limits": items}}) == {
        "requests": {"cpu": "100m"},
        "limits": {"cpu": "1"},
    }
    assert defaults_of({}) == NOTHING


def room(hard: JSON, used: JSON, before: JSON, after: JSON) -> dict[str, tuple[str, str, bool]]:
    quota = {"spec": {"hard": hard}, "status": {"used": used}}
    demands = [
        {name: Fraction(amount) for name, amount in each.items()} for each in (before, after)
    ]
    found = headroom(NAMESPACE, quota, *demands)
    return {each.resource: (each.asked, each.left, each.fits) for each in found}


ROOMS = {
    "enough": ({"pods": "5"}, {"pods": "2"}, {}, {"pods": 3}, ("3", "0", True)),
    "too little": ({"pods": "5"}, {"pods": "3"}, {}, {"pods": 3}, ("3", "-1", False)),
    "only the difference": (
        {"pods": "5"},
        {"pods": "4"},
        {"pods": 4},
        {"pods": 5},
        ("1", "0", True),
    ),
    "some comes back": ({"pods": "5"}, {"pods": "5"}, {"pods": 4}, {"pods": 1}, ("-3", "3", True)),
    "all comes back": ({"pods": "5"}, {"pods": "5"}, {"pods": 4}, {}, ("-4", "4", True)),
    "not counted yet": ({"pods": "5"}, {}, {}, {"pods": 3}, ("3", "2", True)),
}


@pytest.mark.parametrize(("hard", "used", "before", "after", "told"), ROOMS.values(), ids=ROOMS)
def test_what_a_quota_leaves(hard, used, before, after, told):
    assert room(hard, used, before, after) == {"pods": told}


def test_quantities_are_written_as_people_write_them():
    hard = {"requests.cpu": "2", "limits.memory": "4Gi", "requests.memory": "1000"}
    after = {"requests.cpu": "3/2", "limits.memory": 512 * 1024**2, "requests.memory": "7"}
    found = room(hard, {}, {}, after)
    assert found == {
        "limits.memory": ("512Mi", "3584Mi", True),
        "requests.cpu": ("1500m", "500m", True),
        "requests.memory": ("7", "993", True),
    }


def test_what_no_pod_counts_against_is_left_out():
    assert room({"services": "3", "pods": "5"}, {}, {}, {"pods": 1}) == {"pods": ("1", "4", True)}


# --- The adapter.


def live(ref: Ref, **body: object) -> dict[Ref, Live]:
    return {ref: Live(ref, {"metadata": {"name": ref.name, "uid": "u"}, **body})}


def test_it_looks_at_the_quota_and_the_defaults_of_the_project():
    assert ADAPTER.beside(intent(component())) == [QUOTA, LIMITS]


def test_it_compares_what_runs_with_what_is_wanted():
    wanted = intent(with_traits(component(cpu="1"), scaler={"replicas": 3}))
    seen = {
        **live(QUOTA, status={"hard": {"pods": "4"}, "used": {"pods": "3"}}),
        **live(Ref(DEPLOYMENT, NAMESPACE, "web"), **deployment(2)),
        **live(Ref(DEPLOYMENT, NAMESPACE, "old"), **deployment(1)),
    }
    (found,) = ADAPTER.headroom(wanted, seen, {})
    assert (found.resource, found.asked, found.left, found.fits) == ("pods", "0", "1", True)


def test_a_quota_of_the_same_plan_goes_before_the_one_that_stands():
    seen = live(QUOTA, spec={"hard": {"pods": "1"}}, status={"used": {"pods": "1"}})
    planned = {QUOTA: {"spec": {"hard": {"pods": "9"}}}}
    (found,) = ADAPTER.headroom(intent(component()), seen, planned)
    assert (found.hard, found.used, found.left) == ("9", "1", "7")


def test_without_a_quota_there_is_nothing_to_tell():
    assert ADAPTER.headroom(intent(component()), {}, {}) == []
