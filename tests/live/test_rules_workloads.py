"""What restrictions of workloads leave to the cluster, and how much they may cost it."""

import pytest

from clusters.intents import TENANT_DEV
from reconcile.values import MANAGER
from sandbox.api import MERGE
from tenancy.rules.values_workloads import CAPABILITIES
from tests.live.ruled import Person, Ruled, home, keys, place, pod, refusal, workload
from tests.live.workload_cases import adding, balancing, marked, sized

__all__ = ["home", "keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db]


@pytest.fixture
def bob(home: Ruled) -> Person:
    """A developer of the tenant."""
    return home.person(TENANT_DEV)


def scale(bob: Person, count: int, name: str = "web") -> str:
    """What the cluster says to bob when he scales a Deployment; empty when it does."""
    path = place(bob.namespace, "deployments", f"{name}/scale")
    return refusal(lambda: bob.send("PATCH", path, {"spec": {"replicas": count}}, MERGE))


def test_who_scales_is_bound_and_who_rolls_out_is_not(home, bob):
    home.bind({"replicas": {"min": 2, "max": 3}})
    bob.make("deployments", workload(2), dry=False)
    assert "0, fewer than 2." in scale(bob, 0)
    assert "4, more than 3." in scale(bob, 4)
    assert scale(bob, 3) == ""
    path = place(home.namespace, "deployments", "web")
    new = {"spec": {"template": {"metadata": {"annotations": {"turn": "2"}}}}}
    bob.send("PATCH", path, new, MERGE)
    replicas = place(home.namespace, "replicasets")
    home.api.wait(replicas, lambda found: found and len(found["items"]) == 2)


def test_too_many_replicas_from_before_can_be_labelled_and_brought_down(home, bob):
    bob.make("deployments", workload(0), dry=False)
    home.api.patch(place(home.namespace, "deployments", "web"), {"spec": {"replicas": 9}})
    home.bind({"replicas": {"max": 3}})
    path = place(home.namespace, "deployments", "web")
    bob.send("PATCH", path, {"metadata": {"labels": {"team": "blue"}}}, MERGE)
    assert "8, more than 3." in scale(bob, 8)
    assert scale(bob, 0) == ""


def test_nobody_makes_a_denied_kind_but_the_cluster_and_kubenova(home, bob):
    home.bind({"api_kinds": {"deny": ["pods", "configmaps", "replicasets.apps"]}})
    assert "the kind pods cannot be made here." in refusal(lambda: bob.make("pods", pod()))
    bob.make("deployments", workload(1), dry=False)
    home.api.wait(place(home.namespace, "pods"), lambda found: found and found["items"])
    name = "kubenova-rules-warn"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    path = place(home.namespace, "configmaps", name)
    assert "configmaps cannot be made" in refusal(
        lambda: home.api.apply(path, body, manager=MANAGER, force=True)
    )


RANGES = [f"10.{n}.0.0/16" for n in range(100)]
LABELS = {f"{'p' * 200}-{n}.example.org/{'k' * 60}": "v" * 60 for n in range(100)}
LARGE = sized({"cpu": "9", "memory": "9Gi"}) | adding(*CAPABILITIES[:-1])
MANY = [{"name": f"c{n}", "image": "r.example.org/a", **LARGE} for n in range(100)]


@pytest.mark.parametrize(
    ("value", "plural", "body", "told"),
    [
        pytest.param(
            {"load_balancers": {"source_ranges": RANGES, "addresses": RANGES}},
            "services",
            balancing(*(f"11.{n}.0.0/16" for n in range(200)), externalIPs=["11.0.0.1"] * 100),
            "source range 11.0.0.0/16",
            id="load balancers",
        ),
        pytest.param(
            {"workload_metadata": {"required_labels": LABELS, "forbidden_annotations": ["a8"]}},
            "deployments",
            marked(
                workload(), {f"l{n}": "x" for n in range(200)}, {f"a{n}": "x" for n in range(999)}
            ),
            "is missing.",
            id="metadata",
        ),
        pytest.param(
            {"container_resources": {"max": {"cpu": "10", "memory": "8Gi"}}},
            "deployments",
            workload(containers=MANY, initContainers=[]),
            "c0: limits.memory 9Gi is more than 8Gi.",
            id="resources",
        ),
        pytest.param(
            {"capabilities": list(CAPABILITIES[1:])},
            "deployments",
            workload(containers=MANY),
            f"The capability {CAPABILITIES[0]}",
            id="capabilities",
        ),
    ],
)
def test_the_longest_lists_are_within_the_cluster_s_budget(home, bob, value, plural, body, told):
    home.bind(value)
    said = refusal(lambda: bob.make(plural, body))
    assert told in said, said
