"""Every field of a tenant and its project is on the cluster: applied, changed, and gone again."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from sandbox.api import AdminApi, JsonObject
from tenancy.models import Project, Tenant
from tenancy.rules.kinds import KINDS
from tests.api.conftest import signed_in
from tests.clusters.steps import settle_live, settle_until
from tests.live.capsule_fields import CAPSULE
from tests.live.capsule_fields import COLUMN as CAPSULES
from tests.live.fields import ELSEWHERE, NATIVE, NETWORK, TABLE, Field, Place, Shown, label
from tests.live.platforms import installed
from tests.people import person

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

SOON = 60.0
TENANTS = "/api/v1/tenants"
# What makes a bare cluster one of the adapter's, before it is registered.
PLATFORMS: Mapping[str, Callable[[AdminApi], AbstractContextManager[object]]] = {
    NATIVE: nullcontext,
    CAPSULE: installed,
}
# What a platform shows of a field beside what every namespace shows.
COLUMNS: Mapping[str, Mapping[str, Shown]] = {CAPSULE: CAPSULES}
ON_EACH = pytest.mark.parametrize("adapter", list(PLATFORMS))


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def as_olga(olga) -> APIClient:
    for name in ("alice", "anna"):
        person(name)
    return signed_in(olga)


@pytest.fixture
def place(adapter: str, admin_kubeconfig: str, admin_api: AdminApi) -> Iterator[Place]:
    """A cluster that the adapter serves, and where a tenant and its project `shop` will be."""
    with PLATFORMS[adapter](admin_api):
        yield from placed(admin_api, admin_kubeconfig)


def placed(admin_api: AdminApi, admin_kubeconfig: str) -> Iterator[Place]:
    cluster = Cluster(name="real", labels={"region": "eu"})
    cluster.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    tenant = f"fields-{uuid.uuid4().hex[:6]}"
    yield Place(admin_api, tenant, f"{tenant}--shop")
    for row in Tenant.objects.all():
        row.deletion_protection = False
        row.declare(by="olga")
        row.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), SOON)


class Declarer:
    """Declares a tenant and its project over HTTP and waits for them to stand."""

    def __init__(self, client: APIClient, place: Place) -> None:
        self._client, self._tenant = client, f"{TENANTS}/{place.tenant}"
        self._projects = f"{self._tenant}/projects"
        self._names = {"tenant": place.tenant, "project": "shop"}

    def create(self, tenant: JsonObject, project: JsonObject) -> None:
        body = {"name": self._names["tenant"], "placement": {"clusters": ["real"]}, **tenant}
        self._post(TENANTS, body)
        self._post(self._projects, {"name": "shop", **project})
        self._stand()

    def change(self, tenant: JsonObject, project: JsonObject) -> None:
        for path, body in ((self._tenant, tenant), (f"{self._projects}/shop", project)):
            if body:
                answer = self._client.patch(path, body, format="json")
                assert answer.status_code == 200, answer.json()
        self._stand()

    def _post(self, path: str, body: JsonObject) -> None:
        answer = self._client.post(path, body, format="json")
        assert answer.status_code == 201, answer.json()

    def _stand(self) -> None:
        def stands() -> bool:
            rows = [Tenant.objects.get(), Project.objects.get()]
            return all(row.phase == "Deployed" for row in rows)

        settle_live()  # what a change leaves Deployed is stale until its step is taken
        settle_until(stands, SOON)


def body_of(fields: Iterable[Field], of: str, value: Callable[[Field], object]) -> JsonObject:
    """A body in which these fields of a tenant or project have the values."""
    body: JsonObject = {}
    for each in fields:
        if each.of != of:
            continue
        inner: dict[str, Any] = body
        for key in each.path[:-1]:
            inner = inner.setdefault(key, {})
        inner[each.path[-1]] = value(each)
    return body


def bodies(
    fields: Iterable[Field], value: Callable[[Field], object]
) -> tuple[JsonObject, JsonObject]:
    return body_of(fields, "tenant", value), body_of(fields, "project", value)


@ON_EACH
@pytest.mark.parametrize(
    "fields", [pytest.param(TABLE, id="all"), pytest.param(NETWORK, id="network")]
)
def test_every_field_is_on_the_cluster_as_applied_as_changed_and_gone(
    adapter, fields, place, as_olga
):
    declarer = Declarer(as_olga, place)
    shown = {each.name: each.shown(adapter) for each in fields}
    column = COLUMNS.get(adapter, {})
    shown |= {f"{name} beside": column[name] for name in list(shown) if name in column}

    def found() -> dict[str, object]:
        return {name: how.read(place) for name, how in shown.items()}

    declarer.create(*bodies(fields, lambda each: each.first))
    assert found() == {name: how.first for name, how in shown.items()}
    declarer.change(*bodies(fields, lambda each: each.then))
    assert found() == {name: how.then for name, how in shown.items()}
    declarer.change(*bodies(fields, lambda each: None))
    assert found() == {name: how.gone for name, how in shown.items()}


@ON_EACH
def test_a_tenant_goes_where_its_placement_says_and_leaves_when_it_says_so(adapter, place, as_olga):
    declarer = Declarer(as_olga, place)
    declarer.create({"labels": {"tier": "gold"}}, {})
    assert label("tier")(place) == "gold"
    declarer.change({"placement": {"clusters": [], "selector": {"region": "eu"}}}, {})
    assert label("tier")(place) == "gold"
    answer = as_olga.patch(f"{TENANTS}/{place.tenant}", {"placement": None}, format="json")
    assert answer.status_code == 200
    settle_until(lambda: not place.meta(), SOON)


def test_the_table_has_every_field_that_there_is():
    tabled = {each.name for each in (*TABLE, *NETWORK)} | set(ELSEWHERE)
    known = {f"tenant.{name}" for name in (*Tenant.spec_fields, "owners")}
    known |= {f"project.{name}" for name in Project.spec_fields}
    known |= {f"tenant.restrictions.{kind}" for kind in KINDS}
    assert tabled == known - {"tenant.restrictions"}


@pytest.mark.parametrize("each", (*TABLE, *NETWORK), ids=lambda each: each.name)
def test_no_row_of_the_table_could_pass_without_the_field(each):
    assert each.first != each.then
    assert each.native.first not in (each.native.then, each.native.gone)


def test_capsule_shows_every_field_of_a_tenant_that_the_table_has():
    tabled = {each.name for each in (*TABLE, *NETWORK) if each.of == "tenant"}
    assert set(CAPSULES) == tabled
    for name, shown in CAPSULES.items():
        assert shown.first not in (shown.then, shown.gone), name
