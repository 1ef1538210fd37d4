"""Clusters over HTTP: what operators may do, what is refused, what is never said."""

import base64
import json

import pytest
import yaml
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from clusters.models import Cluster
from reconcile.errors import Unreachable
from reconcile.models import AppliedObject, Event, Work
from tenancy.models import TenantPlacement
from tests.api.conftest import pointers, problem, signed_in
from tests.clusters.certificates import authority, issued
from tests.clusters.steps import hurry, settle
from tests.fleet import Fleet
from tests.people import alice, make_acme, olga, person, quick_passwords
from vault.sealed import MASK

__all__ = ["alice", "olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
CLUSTERS = "/api/v1/clusters"
SERVER = "https://198.51.100.7:6443"


def kubeconfig(token: str = "s3cr3t-t0ken", **user: object) -> str:
    """A kubeconfig in base64, as an operator sends it."""
    ca = base64.b64encode(authority().pem.encode()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": SERVER, "certificate-authority-data": ca}}
        ],
        "users": [{"name": "u", "user": {"token": token, **user}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return base64.b64encode(yaml.safe_dump(config).encode()).decode()


def body(name: str = "prod-a", **fields: object) -> dict[str, object]:
    return {"name": name, "kubeconfig": kubeconfig(), **fields}


@pytest.fixture(autouse=True)
def keys(settings, tmp_path):
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def as_olga(olga) -> APIClient:
    return signed_in(olga)


@pytest.fixture
def as_alice(alice) -> APIClient:
    make_acme()
    return signed_in(alice)


def post(client: APIClient, path: str = CLUSTERS, data: object = None):
    return client.post(path, data, format="json")


# --- Registration.


def test_it_answers_a_registration_at_once_with_pending(as_olga):
    answer = post(as_olga, data=body(labels={"region": "eu-west"}))
    found = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == f"{CLUSTERS}/prod-a"
    assert answer["ETag"] == '"1"'
    assert (found["labels"], found["server"], found["paused"]) == (
        {"region": "eu-west"},
        SERVER,
        False,
    )
    status = found["status"]
    assert (status["phase"], status["observed_generation"], status["version"]) == ("Pending", 0, "")
    assert status["credential"] == {"expires_at": None, "rotated_at": None, "pending": True}
    assert [each["cluster"] for each in status["placements"]] == ["prod-a"]


def test_a20_no_answer_holds_the_credential(as_olga):
    answers = [
        post(as_olga, data=body()),
        as_olga.get(f"{CLUSTERS}/prod-a"),
        as_olga.get(CLUSTERS),
        as_olga.patch(f"{CLUSTERS}/prod-a", {"labels": {"a": "b"}}, format="json"),
        post(as_olga, f"{CLUSTERS}/prod-a:pause"),
    ]
    for answer in answers:
        assert answer.status_code < 300
        assert "kubeconfig" not in answer.json()
        assert "s3cr3t" not in answer.content.decode()
        assert MASK not in answer.content.decode()


def test_a19_nothing_in_the_database_is_readable(as_olga):
    post(as_olga, data=body())
    row = Cluster.objects.values().get()
    assert "s3cr3t" not in str({**row, "bootstrap": row["bootstrap"].text})
    assert not any("s3cr3t" in str(each) for each in Event.objects.values())


def test_it_answers_the_same_registration_with_the_same_cluster(as_olga):
    first = post(as_olga, data=body(labels={"region": "eu"}))
    again = post(as_olga, data=body(labels={"region": "eu"}))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["uid"] == again.json()["uid"]
    assert again.json()["generation"] == 1


def test_it_knows_the_same_credential_after_it_was_dropped(as_olga):
    post(as_olga, data=body())
    cluster = Cluster.objects.get()
    cluster.bootstrap = None
    cluster.save(update_fields=["bootstrap"])
    assert post(as_olga, data=body()).status_code == 200


def test_it_names_what_differs_when_the_name_is_taken(as_olga):
    post(as_olga, data=body())
    other = body(kubeconfig=kubeconfig(token="another"), labels={"a": "b"})
    answer = post(as_olga, data=other)
    assert pointers(problem(answer, 409, "KN-CONFLICT")) == ["/kubeconfig", "/labels"]
    assert "another" not in answer.content.decode()


def test_it_registers_nothing_without_a_credential(as_olga):
    answer = post(as_olga, data={"name": "prod-a"})
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/kubeconfig"]
    assert not Cluster.objects.exists()


REFUSED = {
    "exec": (kubeconfig(exec={"command": "sh"}), "users[0].user.exec"),
    "tokenFile": (kubeconfig(tokenFile="/etc/passwd"), "users[0].user.tokenFile"),
    "impersonation": (kubeconfig(**{"as": "root"}), "users[0].user.as"),
    "basic auth": (kubeconfig(username="root"), "users[0].user.username"),
    "not base64": ("{}", "kubeconfig"),
    "a20-the mask": (MASK, "kubeconfig"),
    "a20-stars": ("********", "kubeconfig"),
    "sealed text": ("kn1:0123abcd:xyz:", "kubeconfig"),
    "empty": ("", ""),
}


@pytest.mark.parametrize(("text", "inside"), REFUSED.values(), ids=REFUSED.keys())
def test_a6_it_names_the_field_of_a_hostile_kubeconfig(as_olga, text, inside):
    answer = post(as_olga, data={"name": "prod-a", "kubeconfig": text})
    found = problem(answer, 400, "KN-INVALID")
    assert pointers(found) == ["/kubeconfig"]
    assert inside in found["errors"][0]["detail"]
    assert not Cluster.objects.exists()


@pytest.mark.parametrize("value", [7, None, ["x"], {"a": "b"}], ids=repr)
def test_it_takes_no_other_type_for_a_kubeconfig(as_olga, value):
    answer = post(as_olga, data={"name": "prod-a", "kubeconfig": value})
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/kubeconfig"]


@pytest.mark.parametrize(
    ("proxy", "at"),
    [
        ({"kind": "nginx", "url": SERVER, "ca_bundle": "x"}, "/access_proxy/kind"),
        ({"kind": "capsule-proxy", "url": SERVER}, "/access_proxy/ca_bundle"),
        (
            {"kind": "capsule-proxy", "url": "http://x", "ca_bundle": authority().pem},
            "/access_proxy/url",
        ),
        ({"kind": "capsule-proxy", "url": SERVER, "ca_bundle": "x"}, "/access_proxy/ca_bundle"),
        (
            {"kind": "capsule-proxy", "url": SERVER, "ca_bundle": "x", "token": "y"},
            "/access_proxy/token",
        ),
    ],
    ids=["kind", "no CA", "a7-no TLS", "no PEM", "unknown field"],
)
def test_it_points_at_what_is_wrong_with_an_access_proxy(as_olga, proxy, at):
    answer = post(as_olga, data=body(access_proxy=proxy))
    assert at in pointers(problem(answer, 400, "KN-INVALID"))


def test_it_keeps_an_access_proxy(as_olga):
    proxy = {"kind": "capsule-proxy", "url": SERVER, "ca_bundle": authority().pem}
    assert post(as_olga, data=body(access_proxy=proxy)).json()["access_proxy"] == proxy
    gone = as_olga.patch(f"{CLUSTERS}/prod-a", {"access_proxy": None}, format="json")
    assert gone.json()["access_proxy"] is None


# --- Changes.


def test_it_changes_labels_by_a_merge_patch(as_olga):
    post(as_olga, data=body(labels={"region": "eu", "tier": "gold"}))
    patch = {"labels": {"tier": None, "team": "blue"}}
    answer = as_olga.patch(f"{CLUSTERS}/prod-a", patch, format="json")
    assert answer.json()["labels"] == {"region": "eu", "team": "blue"}
    assert answer.json()["generation"] == 2


def test_a_put_keeps_the_credential_that_it_cannot_show(as_olga):
    post(as_olga, data=body(labels={"region": "eu"}))
    answer = as_olga.put(f"{CLUSTERS}/prod-a", {"name": "prod-a"}, format="json")
    assert (answer.status_code, answer.json()["labels"]) == (200, {})
    cluster = Cluster.objects.get()
    assert cluster.bootstrap_credential.token == "s3cr3t-t0ken"
    assert cluster.server == SERVER


def test_a_put_creates_as_well(as_olga):
    answer = as_olga.put(f"{CLUSTERS}/prod-a", {"kubeconfig": kubeconfig()}, format="json")
    assert answer.status_code == 201


@pytest.mark.parametrize("field", ["server", "paused", "status", "uid"])
def test_a25_nobody_writes_what_is_observed(as_olga, field):
    post(as_olga, data=body())
    before = as_olga.get(f"{CLUSTERS}/prod-a").json()[field]
    as_olga.patch(f"{CLUSTERS}/prod-a", {field: "x"}, format="json")
    assert as_olga.get(f"{CLUSTERS}/prod-a").json()[field] == before


def test_a_new_credential_counts_as_a_change(as_olga):
    post(as_olga, data=body())
    Work.objects.update(due_at=None)
    path = f"{CLUSTERS}/prod-a/credential"
    answer = as_olga.put(path, {"kubeconfig": kubeconfig("renewed")}, format="json")
    assert (answer.status_code, answer.json()["generation"]) == (200, 2)
    assert Cluster.objects.get().bootstrap_credential.token == "renewed"
    assert "clusters.clusterbaseline" in {work.kind for work in Work.objects.due()}
    again = as_olga.put(path, {"kubeconfig": kubeconfig("renewed")}, format="json")
    assert again.json()["generation"] == 2


def test_a_new_credential_honours_if_match(as_olga):
    post(as_olga, data=body())
    path = f"{CLUSTERS}/prod-a/credential"
    given = {"kubeconfig": kubeconfig("renewed")}
    answer = as_olga.put(path, given, format="json", headers={"If-Match": '"7"'})
    problem(answer, 412, "KN-PRECONDITION")
    assert Cluster.objects.get().bootstrap_credential.token == "s3cr3t-t0ken"


def test_a_new_credential_is_read_as_hostile_as_the_first(as_olga):
    post(as_olga, data=body())
    answer = as_olga.put(
        f"{CLUSTERS}/prod-a/credential",
        {"kubeconfig": kubeconfig(exec={"command": "sh"})},
        format="json",
    )
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/kubeconfig"]


# --- Verbs.


def test_it_pauses_and_resumes(as_olga):
    post(as_olga, data=body())
    paused = post(as_olga, f"{CLUSTERS}/prod-a:pause")
    assert (paused.status_code, paused.json()["paused"]) == (202, True)
    assert post(as_olga, f"{CLUSTERS}/prod-a:pause").json()["generation"] == 2
    Work.objects.update(due_at=None)
    resumed = post(as_olga, f"{CLUSTERS}/prod-a:resume")
    assert (resumed.status_code, resumed.json()["paused"]) == (202, False)
    assert Work.objects.due().count() == 2


def test_it_looks_anew_when_asked(as_olga):
    post(as_olga, data=body())
    Work.objects.update(due_at=None)
    assert post(as_olga, f"{CLUSTERS}/prod-a:reprobe").status_code == 202
    assert [work.kind for work in Work.objects.due()] == ["clusters.clusterbaseline"]


def test_it_lists_what_a_cluster_can_do(as_olga, fleet: Fleet):
    fleet.register("prod-a")
    answer = as_olga.get(f"{CLUSTERS}/prod-a/capabilities")
    found = {each["name"]: each for each in answer.json()["items"]}
    assert found["tenancy.native"]["served"] is True
    assert found["tenancy.capsule"] == found["tenancy.capsule"] | {
        "served": False,
        "reason": "Capsule is not installed.",
    }


# --- The end.


@pytest.fixture
def used(fleet: Fleet, olga: User) -> Cluster:
    """A cluster that the tenant acme is placed on."""
    cluster = fleet.register("prod-a")
    make_acme(placement={"clusters": ["prod-a"]})
    settle()
    return cluster


def test_it_is_not_deleted_while_anything_is_placed_on_it(as_olga, used):
    answer = as_olga.delete(f"{CLUSTERS}/prod-a")
    found = problem(answer, 409, "KN-IN-USE")
    assert found["placements"] == ["Tenant acme on prod-a"]
    assert ":forget" in found["detail"]
    assert not Cluster.objects.get().deleting


def test_it_is_deleted_when_it_is_free(as_olga, fleet: Fleet):
    fleet.register("prod-a")
    answer = as_olga.delete(f"{CLUSTERS}/prod-a")
    assert (answer.status_code, answer.json()["deleting"]) == (202, True)
    problem(post(as_olga, data=body()), 409, "KN-DELETING")
    settle()
    hurry()
    problem(as_olga.get(f"{CLUSTERS}/prod-a"), 404, "KN-NOT-FOUND")


def test_it_is_forgotten_with_all_that_is_on_it_and_untouched(as_olga, used, fleet: Fleet):
    fleet["prod-a"].writes.clear()
    answer = post(as_olga, f"{CLUSTERS}/prod-a:forget", {"name": "prod-a"})
    assert answer.status_code == 200
    stays = answer.json()["stays"]
    assert "ConfigMap kubenova-system/tenant-acme" in stays
    assert "ClusterRole kubenova:manager" in stays
    assert not Cluster.objects.exists()
    assert not TenantPlacement.objects.exists()
    assert not AppliedObject.objects.exists()
    settle()
    assert fleet["prod-a"].writes == []
    assert Event.objects.get(reason="Forgotten").data["stays"] == stays


def test_it_is_not_forgotten_by_mistake(as_olga, used):
    answer = post(as_olga, f"{CLUSTERS}/prod-a:forget", {"name": "prod-b"})
    assert pointers(problem(answer, 400, "KN-INVALID")) == ["/name"]
    assert pointers(problem(post(as_olga, f"{CLUSTERS}/prod-a:forget", {}), 400, "KN-INVALID")) == [
        "/name"
    ]
    assert Cluster.objects.exists()


def test_a_dead_cluster_can_be_forgotten_while_it_is_being_deleted(as_olga, fleet: Fleet):
    fleet.register("prod-a")
    fleet["prod-a"].always(Unreachable("cannot connect"))
    as_olga.delete(f"{CLUSTERS}/prod-a")
    settle()
    assert as_olga.get(f"{CLUSTERS}/prod-a").json()["deleting"] is True
    answer = post(as_olga, f"{CLUSTERS}/prod-a:forget", {"name": "prod-a"})
    assert answer.status_code == 200
    assert not Cluster.objects.exists()


# --- Who may.

WRITES = [
    ("post", CLUSTERS, 403),
    ("put", f"{CLUSTERS}/prod-a", 404),
    ("patch", f"{CLUSTERS}/prod-a", 404),
    ("delete", f"{CLUSTERS}/prod-a", 404),
    ("put", f"{CLUSTERS}/prod-a/credential", 404),
    ("post", f"{CLUSTERS}/prod-a:pause", 404),
    ("post", f"{CLUSTERS}/prod-a:resume", 404),
    ("post", f"{CLUSTERS}/prod-a:reprobe", 404),
    ("post", f"{CLUSTERS}/prod-a:forget", 404),
    ("get", f"{CLUSTERS}/prod-a", 404),
    ("get", f"{CLUSTERS}/prod-a/capabilities", 404),
]
IDS = [f"{verb} {path.removeprefix(CLUSTERS)}" for verb, path, _ in WRITES]


def asked(client: APIClient, verb: str, path: str) -> int:
    data = None if verb == "get" else {"name": "prod-a", "kubeconfig": kubeconfig()}
    return getattr(client, verb)(path, data, format="json").status_code


@pytest.mark.parametrize(("verb", "path", "code"), WRITES, ids=IDS)
def test_a24_tenants_find_no_clusters(as_alice, as_olga, verb, path, code):
    post(as_olga, data=body())
    before = Cluster.objects.values("generation", "paused", "deletion_requested_at").get()
    assert asked(as_alice, verb, path) == code
    assert Cluster.objects.values("generation", "paused", "deletion_requested_at").get() == before
    assert as_alice.get(CLUSTERS).json()["items"] == []


@pytest.mark.parametrize(("verb", "path", "code"), WRITES[1:-2], ids=IDS[1:-2])
def test_a_viewer_sees_clusters_and_changes_none(as_olga, verb, path, code):
    post(as_olga, data=body())
    viewer = person("carol")
    viewer.user_permissions.add(Permission.objects.get(codename="view_cluster"))
    client = signed_in(User.objects.get(pk=viewer.pk))
    assert client.get(f"{CLUSTERS}/prod-a").status_code == 200
    assert asked(client, verb, path) == 403


def test_nobody_gets_in_without_signing_in():
    assert APIClient().get(CLUSTERS).status_code == 401


def test_it_lists_by_labels_and_phase(as_olga):
    post(as_olga, data=body("prod-a", labels={"region": "eu"}))
    post(as_olga, data=body("prod-b", labels={"region": "us"}))
    found = as_olga.get(CLUSTERS, {"labelSelector": "region=us", "phase": "Pending"}).json()
    assert [each["name"] for each in found["items"]] == ["prod-b"]


def test_a_list_asks_the_database_little(as_olga, django_assert_max_num_queries):
    for number in range(20):
        post(as_olga, data=body(f"prod-{number}"))
    with django_assert_max_num_queries(8):
        found = as_olga.get(CLUSTERS).json()["items"]
    assert len(found) == 20
    assert json.dumps(found)


def test_a_client_certificate_will_do(as_olga):
    pair = issued("kubenova-admin")
    config = yaml.safe_load(base64.b64decode(kubeconfig()))
    config["users"][0]["user"] = {
        "client-certificate-data": base64.b64encode(pair.cert.encode()).decode(),
        "client-key-data": base64.b64encode(pair.key.encode()).decode(),
    }
    text = base64.b64encode(yaml.safe_dump(config).encode()).decode()
    assert post(as_olga, data=body(kubeconfig=text)).status_code == 201
