"""A24, generated from the OpenAPI document: to a stranger a foreign object is a missing one.

Every operation with names in its path is asked by charlie, once with the names of acme's objects
and once with names of nothing, with several bodies: status, headers and bytes are the same, and
nothing of acme has changed.
"""

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from access.models import KubeconfigGrant
from clusters.models import Cluster
from delivery.models import App, ProjectObject, ProjectSecret, Workflow, WorkflowRun
from policies.models import Attachment, CelRule, PolicyException, PolicySet
from reconcile.models import Decision, Drift
from tenancy.models import Invitation, Project, Tenant
from tests.api.conftest import signed_in

DIFFERENCE = "0d5f6a3e-6b6a-4c55-9d7e-3f0f5f0c1a01"
NONE_SUCH = "0d5f6a3e-6b6a-4c55-9d7e-3f0f5f0c1a02"
FOREIGN = {
    "tenant": "acme",
    "project": "shop",
    "username": "alice",
    "number": "1",
    "uid": DIFFERENCE,
    "policyset": "strict",
    "attachment": "everyone",
}
MISSING = {
    "tenant": "nope",
    "project": "none",
    "username": "nobody",
    "number": "7",
    "uid": NONE_SUCH,
    "policyset": "loose",
    "attachment": "nobody",
}
NAMES = {
    "tenants": "acme",
    "projects": "shop",
    "apps": "web",
    "secrets": "db",
    "workflows": "release",
    "components": "webservice",
    "traits": "scaler",
    "steps": "notify",
    "objects": "configmap-settings",
    "clusters": "prod-a",
    "grants": "grant-a",
    "policysets": "strict",
    "celrules": "closed",
    "attachments": "everyone",
}
BODIES = [None, {}, {"unknown": 1}, {"name": "web"}, {"role": "read-only"}, {"revision": 1}]
BODIES += [{"username": "charlie", "role": "tenant-admin"}]
_MODELS = (
    Tenant,
    Project,
    App,
    ProjectSecret,
    Workflow,
    WorkflowRun,
    ProjectObject,
    Cluster,
    KubeconfigGrant,
    Drift,
    Decision,
    Invitation,
    PolicySet,
    CelRule,
    Attachment,
    PolicyException,
)
METHODS = ("get", "post", "put", "patch", "delete")
VOLATILE = {"x-correlation-id", "x-request-id"}


def operations(method: str) -> Iterator[str]:
    """The paths with names in them that know the method."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    for path, methods in document["paths"].items():
        if method in methods and "{" in path:
            yield path


def filled(path: str, names: dict, missing: bool) -> str:
    def name(match):
        kind, key = match.group(1), match.group(2)
        if key == "name" and not missing:
            return f"{kind}/{NAMES[kind]}"
        return f"{kind}/{names.get(key, 'nothing')}"

    return re.sub(r"(\w+)/\{(\w+)\}", name, path)


@pytest.fixture
def world(acme, globex, alice):
    """Objects of acme that charlie may not see, and a cluster, which is the operators'."""
    project = Project(tenant=acme, name="shop")
    project.declare(by="alice")
    component = {"name": "web", "type": "webservice", "properties": {"image": "nginx:1.27"}}
    App(project=project, name="web", components=[component]).declare(by="alice")
    secret = ProjectSecret(project=project, name="db")
    secret.assign({"password": "hunter2"})
    secret.declare(by="alice")
    steps = [{"name": "approve", "type": "suspend"}]
    workflow = Workflow(project=project, name="release", steps=steps)
    workflow.declare(by="alice")
    workflow.run("alice")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    ProjectObject.apply(workflow, "configmap-settings", body, []).declare("alice")
    Cluster.objects.create(name="prod-a")
    tomorrow = timezone.now() + timedelta(days=1)
    columns = {"tenant": acme, "subject": alice, "ttl_seconds": 3600, "expires_at": tomorrow}
    KubeconfigGrant.objects.create(name="grant-a", **columns)
    differing = {"work": acme.work.get(), "parent_kind": acme.label, "parent_uid": acme.uid}
    place = {"tenant": "acme", "cluster": "prod-a", "row": "Tenant acme on prod-a"}
    thing = {"api_version": "v1", "object_kind": "ConfigMap", "plural": "configmaps"}
    thing |= {"namespaced": True, "object_name": "tenant-acme", "path": ".data.x"}
    Drift.objects.create(uid=DIFFERENCE, **differing, **place, **thing)
    offered = {"username": "dave", "role": "tenant-dev", "invited_by": "alice"}
    Invitation.objects.create(uid=DIFFERENCE, tenant=acme, expires_at=tomorrow, **offered)
    strict = PolicySet.objects.create(name="strict", rules={"service_types": ["ClusterIP"]})
    said = {"validations": [{"expression": "object.spec.type == 'ClusterIP'", "message": "No."}]}
    where = {"resources": ["services"], "operations": ["CREATE"], "variables": []}
    CelRule.keep({"name": "closed"}, {**said, **where}, by="olga")
    bound = Attachment.objects.create(policy_set=strict, name="everyone", tenants=["acme"])
    spared = {"tenant": "acme", "kind": "service_types", "reason": "Old.", "author": "olga"}
    PolicyException.objects.create(uid=DIFFERENCE, attachment=bound, expires_at=tomorrow, **spared)
    return lambda: [
        list(model.objects.order_by("pk").values()) for model in (*_MODELS, acme.memberships.model)
    ]


def answer(client, method, path, body):
    extra = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    response = getattr(client, method)(path, HTTP_X_CORRELATION_ID="same", **extra)
    headers = {key.lower(): value for key, value in response.items() if key.lower() not in VOLATILE}
    return response.status_code, headers, response.content


def test_every_method_is_in_these_tests():
    document = SchemaGenerator().get_schema(request=None, public=True)
    assert {method for methods in document["paths"].values() for method in methods} == {*METHODS}


@pytest.mark.django_db
@pytest.mark.parametrize("method", METHODS)
def test_a24_a_foreign_object_is_byte_equal_to_a_missing_one(world, charlie, method):
    client, before = signed_in(charlie), world()
    for path in operations(method):
        for body in [None] if method in {"get", "delete"} else BODIES:
            foreign = answer(client, method, filled(path, FOREIGN, missing=False), body)
            missing = answer(client, method, filled(path, MISSING, missing=True), body)
            assert foreign == missing, (path, body)
            # What the request lacks or contradicts is the same for every name; else: not found.
            malformed = foreign[0] in {400, 409} and method in {"put", "post"}
            assert foreign[0] == 404 or malformed, (path, body)
        assert world() == before, path


@pytest.mark.django_db
@pytest.mark.parametrize("method", METHODS)
def test_a24_a_foreign_object_costs_as_many_queries_as_a_missing_one(world, charlie, method):
    for path in operations(method):
        costs = []
        for names, missing in ((FOREIGN, False), (MISSING, True)):
            client = signed_in(User.objects.get(pk=charlie.pk))  # permissions are read anew
            with CaptureQueriesContext(connection) as queries:
                body = {} if method != "get" else None
                answer(client, method, filled(path, names, missing), body)
            costs.append(len(queries))
        assert costs[0] == costs[1], path


@pytest.mark.django_db
@pytest.mark.parametrize("method", METHODS)
def test_a24_nobody_is_told_to_sign_in(world, nobody, method):
    for path in operations(method):
        status, headers, _ = answer(nobody, method, filled(path, FOREIGN, missing=False), None)
        assert status == 401, path
        assert headers["www-authenticate"].startswith("Bearer"), path
