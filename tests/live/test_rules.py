"""Each kind of restriction on a real API server, in the name of a tenant's developer."""

import pytest

from clusters.intents import TENANT_DEV
from sandbox.api import APPLY, MERGE
from tenancy.models import Project, Tenant
from tenancy.rules.encoding import KEPT_HERE
from tenancy.rules.images import permitted
from tenancy.rules.kinds import KINDS
from tenancy.rules.named import NAMED
from tests.clusters.steps import settle_until
from tests.live.ruled import (
    ADMISSION,
    Person,
    Ruled,
    claim,
    cron,
    home,
    ingress,
    job,
    keys,
    place,
    pod,
    refusal,
    registered,
    service,
    stateful,
    until,
    workload,
)
from tests.live.workload_cases import WORKLOAD_CASES

__all__ = ["home", "keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db]

OURS, HUB, EVIL = "r.example.org/acme/web:1", "nginx:1.27", "evil.io:8443/x@sha256:00"
PINNED = f"r.example.org/acme/web@sha256:{'0' * 64}"
NODES = {"nodeSelector": {"pool": "acme"}}
INIT = {"initContainers": [{"name": "init", "image": HUB}]}
BETA = {"volume.beta.kubernetes.io/storage-class": "fast"}
LEGACY = {"kubernetes.io/ingress.class": "private"}
ALIAS = {"nginx.ingress.kubernetes.io/server-alias": "shop.acme.org, evil.org"}
VOLUME = {"volumes": [{"name": "model", "image": {"reference": HUB}}]}


@pytest.fixture
def bob(home: Ruled) -> Person:
    """A developer of the tenant."""
    return home.person(TENANT_DEV)


CASES = [
    (
        "image_registries",
        {"allow": ["r.example.org/acme"]},
        [("pods", pod()), ("deployments", workload()), ("cronjobs", cron()), ("jobs", job())],
        [
            ("pods", pod(image=HUB), f"The image {HUB} is not allowed here. Allowed: r.example.o"),
            ("pods", pod(**INIT), HUB),
            ("pods", pod(image="r.example.org/acmes/web"), "r.example.org/acmes/web"),
            ("deployments", workload(image=HUB), HUB),
            ("statefulsets", stateful(image=HUB), HUB),
            ("jobs", job(image=HUB), HUB),
            ("cronjobs", cron(image=HUB), HUB),
        ],
    ),
    (
        "image_registries",
        {"deny": ["evil.io", "docker.io"]},
        [("pods", pod()), ("pods", pod(image="not-evil.io/x"))],
        [
            ("pods", pod(image=EVIL), f"The image {EVIL} is not allowed here."),
            ("pods", pod(image="EVIL.io/x"), "EVIL.io/x"),
            ("pods", pod(image="evil.io:443/x"), "evil.io:443/x"),
            ("pods", pod(image=HUB), HUB),
            ("pods", pod(image="registry-1.docker.io/library/nginx"), "registry-1.docker.io"),
            ("pods", pod(**VOLUME), HUB),
        ],
    ),
    (
        "image_references",
        ["digest"],
        [("pods", pod(image=PINNED)), ("deployments", workload(image=PINNED))],
        [
            ("pods", pod(), f"The image reference {OURS} is not allowed here. Allowed: digest."),
            ("cronjobs", cron(), OURS),
            ("pods", pod(image=PINNED, **INIT), HUB),
        ],
    ),
    (
        "image_pull_policies",
        ["Always"],
        [
            ("pods", pod(container={"imagePullPolicy": "Always"})),
            ("pods", pod(image="r.example.org/acme/web:latest")),
        ],
        [("pods", pod(), "IfNotPresent"), ("deployments", workload(), "Allowed: Always.")],
    ),
    (
        "service_types",
        ["ClusterIP", "ExternalName"],
        [("services", service()), ("services", service("ExternalName"))],
        [
            ("services", service("NodePort"), "The Service type NodePort is not allowed here."),
            ("services", service("LoadBalancer"), "Allowed: ClusterIP, ExternalName."),
        ],
    ),
    (
        "ingress_classes",
        ["public"],
        [("ingresses", ingress("a.org", ingressClassName="public"))],
        [
            ("ingresses", ingress("a.org"), "An Ingress without a class is not allowed here."),
            ("ingresses", ingress("a.org", ingressClassName="private"), "private"),
            ("ingresses", ingress("a.org", annotations=LEGACY), "private"),
        ],
    ),
    (
        "ingress_hosts",
        ["*.acme.org", "acme.com"],
        [("ingresses", ingress("shop.acme.org", "acme.com")), ("ingresses", ingress("*.acme.org"))],
        [
            ("ingresses", ingress("acme.org"), "The host name acme.org is not allowed here."),
            ("ingresses", ingress("a.b.acme.org"), "a.b.acme.org"),
            ("ingresses", ingress("shop.acme.org", "evil.org"), "evil.org"),
            ("ingresses", ingress(""), "The host name * "),
            ("ingresses", ingress(), "The host name * "),
            ("ingresses", ingress("acme.com", tls=[{"hosts": ["evil.org"]}]), "evil.org"),
            ("ingresses", ingress("acme.com", annotations=ALIAS), "evil.org"),
        ],
    ),
    (
        "storage_classes",
        ["standard"],
        [
            ("persistentvolumeclaims", claim("standard")),
            ("statefulsets", stateful([claim("standard")])),
            ("statefulsets", stateful([claim()])),
        ],
        [
            ("persistentvolumeclaims", claim("fast"), "The storage class fast is not allowed"),
            ("persistentvolumeclaims", claim(), "A claim without a storage class"),
            ("persistentvolumeclaims", claim("standard", annotations=BETA), "fast"),
            ("statefulsets", stateful([claim("fast")]), "fast"),
        ],
    ),
    (
        "priority_classes",
        ["batch"],
        [("pods", pod()), ("deployments", workload(priorityClassName="batch"))],
        [("deployments", workload(priorityClassName="urgent"), "The priority class urgent")],
    ),
    (
        "runtime_classes",
        ["gvisor"],
        [("deployments", workload()), ("cronjobs", cron(runtimeClassName="gvisor"))],
        [("cronjobs", cron(runtimeClassName="kata"), "The runtime class kata")],
    ),
    (
        "node_selector",
        {"pool": "acme", "zone": ""},
        [("pods", pod(nodeSelector={"pool": "acme", "zone": "", "disk": "ssd"}))],
        [
            ("pods", pod(), "Pods have to select nodes with pool=acme, zone= here."),
            ("deployments", workload(**NODES), "nodes with zone= here."),
            ("pods", pod(nodeSelector={"pool": "other", "zone": ""}), "with pool=acme here."),
        ],
    ),
    *WORKLOAD_CASES,
]


@pytest.mark.parametrize(
    ("kind", "value", "passing", "refused"),
    CASES,
    ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)],
)
def test_what_a_restriction_allows_passes_and_the_rest_is_refused(
    home, bob, kind, value, passing, refused
):
    for plural, body, _ in refused:
        assert refusal(lambda plural=plural, body=body: bob.make(plural, body)) == ""

    home.bind({kind: value})
    for plural, body in passing:
        bob.make(plural, body)
    for plural, body, told in refused:
        said = refusal(lambda plural=plural, body=body: bob.make(plural, body))
        assert f"kubenova-{kind.replace('_', '-')}' with binding" in said
        assert told in said


def test_the_cluster_reads_names_of_images_as_we_do(home, bob):
    value = {
        "allow": ["docker.io", "localhost", "r.io:5000/a", "q.io"],
        "deny": ["docker.io/library/bad", "q.io/b_c", "index.docker.io/evil"],
    }
    home.bind({"image_registries": value})
    for image in (
        *("nginx", "nginx:1", "bad", "bad:1@sha256:00", "library/bad", "docker.io/bad", "evil/x"),
        *("index.docker.io/evil/x", "registry-1.docker.io/evil/x", "docker.io/evils/x", "a.b"),
        *(
            "localhost/x",
            "localhost:5000/x",
            "LOCALHOST/x",
            "r.io/a",
            "r.io:5000/a",
            "r.io:5000/a:1",
        ),
        *("r.io:5000/ab", "r.io:5000:1/a", "q.io", "q.io:443/x", "q.io:80/x", "q.io:80/b_c/d"),
        *("Q.IO/b_c@sha256:00", "q.io/b_cd", "q.io/B_C:2", "x.io/q.io/y", "//x", "q.io//b_c", ":1"),
    ):
        said = refusal(lambda image=image: bob.make("pods", pod(image=image)))
        assert bool(said) is not permitted(image, value["allow"], value["deny"]), (image, said)
        assert not said or f"The image {image} is not allowed here." in said


def test_every_kind_that_a_cluster_enforces_is_tried():
    elsewhere = {"network"}  # test_rules_network.py: it takes who may write NetworkPolicies
    assert {case[0] for case in CASES} | elsewhere == set(KINDS) - KEPT_HERE - {NAMED}


def test_a_kind_that_only_the_cluster_s_admin_may_make_is_bound_as_well(home):
    home.bind({"runtime_classes": ["gvisor"]})
    body = workload(replicas=None, runtimeClassName="kata")
    path = place(home.namespace, "daemonsets")
    assert "kata" in refusal(lambda: home.api.create(path, body, dryRun="All"))


def test_a_debug_container_is_bound_as_well(home):
    home.api.create(place(home.namespace, "pods"), pod(nodeName="none"))
    home.bind({"image_registries": {"allow": ["r.example.org"]}})
    path = place(home.namespace, "pods", "web/ephemeralcontainers")
    patch = {"spec": {"ephemeralContainers": [{"name": "debug", "image": HUB}]}}
    kind = "application/strategic-merge-patch+json"
    assert HUB in refusal(lambda: home.api.patch(path, patch, kind))


def test_nothing_is_made_where_the_parameters_are_missing(home, bob):
    home.api.delete(place(home.namespace, "configmaps", "kubenova-rules"))
    for plural, body in (("pods", pod()), ("services", service()), ("ingresses", ingress("a.org"))):
        until(
            lambda plural=plural, body=body: (
                "no params found" in refusal(lambda: bob.make(plural, body))
            ),
            f"{plural} are made without parameters",
        )


def test_what_was_there_before_can_be_scaled_labelled_and_deleted_but_not_made_worse(home, bob):
    bob.make("deployments", workload(replicas=2, image=HUB), dry=False)
    home.bind({"image_registries": {"allow": ["r.example.org"]}})
    path = place(home.namespace, "deployments", "web")

    bob.send("PATCH", path, {"spec": {"replicas": 0}}, MERGE)
    bob.send("PATCH", path, {"metadata": {"labels": {"team": "blue"}}}, MERGE)
    worse = {"metadata": {"name": "web"}, "spec": workload(image="evil.io/x")["spec"]}
    worse |= {"apiVersion": "apps/v1", "kind": "Deployment"}
    said = refusal(lambda: bob.send("PATCH", path, worse, APPLY, fieldManager="bob", force="true"))
    assert "The image evil.io/x is not allowed here." in said
    bob.send("DELETE", path)


def test_a_service_is_not_opened_afterwards(home, bob):
    bob.make("services", service(), dry=False)
    home.bind({"service_types": ["ClusterIP"]})
    path = place(home.namespace, "services", "web")
    said = refusal(lambda: bob.send("PATCH", path, {"spec": {"type": "NodePort"}}, MERGE))
    assert "The Service type NodePort is not allowed here." in said


def test_a_namespace_goes_away_with_a_claim_that_a_controller_has_to_release(home, bob):
    bob.make("persistentvolumeclaims", claim("slow"), dry=False)
    home.bind({"storage_classes": ["standard"]})
    home.api.delete(place(home.namespace, "configmaps", "kubenova-rules"))
    path = place(home.namespace, "persistentvolumeclaims", "data")
    home.api.delete(path)
    home.api.wait(path, lambda found: found is None)


def test_the_cluster_understands_every_policy(home):
    for policy in home.api.items(f"{ADMISSION}/validatingadmissionpolicies"):
        path = f"{ADMISSION}/validatingadmissionpolicies/{policy['metadata']['name']}"
        checked = home.api.wait(path, lambda found: "typeChecking" in found.get("status", {}))
        assert checked["status"]["typeChecking"] == {}


# --- Through the product.


def phase(row: Tenant | Project) -> str:
    row.refresh_from_db()
    return row.phase


def test_a_tenant_s_restrictions_are_proven_in_each_of_its_namespaces(admin_api, admin_kubeconfig):
    registered(admin_kubeconfig)
    restrictions = {name: kind.example for name, kind in KINDS.items() if name != NAMED}
    tenant = Tenant(name="bound", placement={"clusters": ["real"]}, restrictions=restrictions)
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    settle_until(lambda: phase(project) == "Deployed", 40)
    placement = project.placements.get()
    proved = placement.facts["proved"]
    path, services = place(project.namespace, "pods"), place(project.namespace, "services")
    said = refusal(lambda: admin_api.create(path, pod(), dryRun="All"))
    assert 'violates PodSecurity "restricted' in said
    said = refusal(lambda: admin_api.create(services, service("NodePort"), dryRun="All"))
    assert "kubenova-service-types" in said

    tenant.refresh_from_db()
    tenant.restrictions = {}
    tenant.declare(by="olga")
    settle_until(lambda: not refusal(lambda: admin_api.create(path, pod(), dryRun="All")), 40)
    settle_until(lambda: phase(project) == "Deployed", 40)
    placement.refresh_from_db()
    assert proved
    assert placement.facts.get("proved", "") != proved
    project.request_deletion(by="alice")
    settle_until(lambda: not Project.objects.filter(pk=project.pk).exists(), 60)
