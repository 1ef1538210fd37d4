"""The demo content is made over HTTP, once, and kept as people change it."""

import base64
import json
import stat

import pytest
from django.contrib.auth.models import User

from clusters.models import Cluster
from delivery.models import App
from kubenova.demo import (
    PEOPLE,
    PROJECTS,
    TENANTS,
    Api,
    DemoFailed,
    Record,
    Target,
    make_content,
    make_people,
    wait_deployed,
)
from reconcile.models import Event
from tenancy.models import Membership, Project, Tenant
from tests.clusters.certificates import authority


def kubeconfig(token, **user):
    ca = base64.b64encode(authority().pem.encode()).decode()
    cluster = {"server": "https://198.51.100.7:6443", "certificate-authority-data": ca}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": token, **user}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


@pytest.fixture(autouse=True)
def keys(settings, tmp_path):
    settings.VAULT_KEY_FILE, settings.JWT_KEY_FILE = tmp_path / "vault", tmp_path / "token"


@pytest.fixture
def record(tmp_path):
    return Record(tmp_path / "run" / "demo.json")


@pytest.fixture
def target(tmp_path):
    """A cluster that nobody asks anything: no worker runs."""
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("first"))
    return Target("sandbox", path)


@pytest.fixture
def api(live_server, record):
    passwords = make_people(record)
    return Api(live_server.url, "olga", passwords["olga"])


def test_the_record_is_readable_by_its_owner_alone(record, db):
    make_people(record)
    record.write(url="http://127.0.0.1:8000")
    assert stat.S_IMODE(record.path.stat().st_mode) == 0o600
    content = json.loads(record.path.read_text())
    assert set(content["users"]) == set(PEOPLE)
    assert len({user["password"] for user in content["users"].values()}) == len(PEOPLE)
    assert content["url"] == "http://127.0.0.1:8000"


def test_a_record_that_is_broken_is_made_anew(record):
    record.path.parent.mkdir()
    record.path.write_text("{")
    assert record.read() == {}


def test_people_sign_in_with_the_passwords_that_are_told(record, db):
    for name, password in make_people(record).items():
        user = User.objects.get(username=name)
        assert user.check_password(password)
        assert (user.is_staff, user.is_superuser) == (name == "olga", name == "olga")


def test_passwords_stay_over_restarts(record, db):
    first, hashes = make_people(record), set(User.objects.values_list("password"))
    assert make_people(record) == first
    assert set(User.objects.values_list("password")) == hashes


def test_passwords_stay_when_the_database_is_new(record, db):
    first = make_people(record)
    User.objects.all().delete()
    assert make_people(record) == first
    assert User.objects.get(username="bob").check_password(first["bob"])


def test_people_whose_passwords_were_lost_get_new_ones(record, db):
    first = make_people(record)
    record.path.unlink()
    second = make_people(record)
    assert second["bob"] != first["bob"]
    assert User.objects.get(username="bob").check_password(second["bob"])


def test_it_makes_everything(api, record, target):
    make_content(api, record, target)
    assert [cluster.name for cluster in Cluster.objects.all()] == ["sandbox"]
    assert {tenant.name for tenant in Tenant.objects.all()} == set(TENANTS)
    roles = {(m.tenant.name, m.user.username): m.role for m in Membership.objects.all()}
    assert roles == {
        ("acme", "alice"): "tenant-admin",
        ("acme", "bob"): "tenant-dev",
        ("acme", "carol"): "read-only",
        ("globex", "charlie"): "tenant-admin",
    }
    assert {(p.tenant.name, p.name) for p in Project.objects.all()} == set(PROJECTS)
    assert [str(app.name) for app in App.objects.all()] == ["web"]
    assert record.read()["clusters"]["sandbox"]["kubeconfig"] == str(target.kubeconfig)


def test_a_second_start_changes_nothing(api, record, target):
    make_content(api, record, target)
    events = Event.objects.count()
    generations = [row.generation for row in (*Tenant.objects.all(), *App.objects.all())]
    make_content(api, record, target)
    assert Event.objects.count() == events
    assert [row.generation for row in (*Tenant.objects.all(), *App.objects.all())] == generations


def test_what_people_changed_stays(api, record, target):
    make_content(api, record, target)
    api.send("PATCH", "/tenants/acme", {"description": "Ours"})
    api.send("PUT", "/tenants/acme/members/bob", {"role": "read-only"})
    make_content(api, record, target)
    assert Tenant.objects.get(name="acme").description == "Ours"
    assert Membership.objects.get(user__username="bob").role == "read-only"


def test_a_cluster_that_was_made_anew_gets_its_new_credential(api, record, target):
    make_content(api, record, target)
    before = Cluster.objects.get().generation
    target.kubeconfig.write_text(kubeconfig("second"))
    make_content(api, record, target)
    after = Cluster.objects.get().generation
    make_content(api, record, target)
    assert before < after == Cluster.objects.get().generation


def test_a_kubeconfig_that_is_refused_is_told_in_the_words_of_the_api(api, record, target):
    target.kubeconfig.write_text(kubeconfig("x", exec={"command": "sh"}))
    with pytest.raises(DemoFailed, match="exec"):
        make_content(api, record, target)


def test_it_tells_each_phase_once_and_stops_when_it_is_told(api, record, target):
    make_content(api, record, target)
    told, rounds = [], iter([True, True, False])
    assert not wait_deployed(api, target, told.append, lambda: next(rounds))
    assert told == [
        "cluster sandbox: Pending",
        "tenant acme: Pending",
        "project acme/shop: Pending",
        "app acme/shop/web: Pending",
    ]
