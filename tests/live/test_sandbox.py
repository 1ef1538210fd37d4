"""The sandbox is a real cluster: what KubeNova relies on works on it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.api import APPLY, AdminApi, ApiError
from sandbox.components import ISSUER
from tests.kubenova.roles import eventually

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]


def deployment(replicas: int = 3, image: str = "nginx:1.29") -> dict:
    labels = {"app": "web"}
    container = {"name": "web", "image": image}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@contextmanager
def forbidding(admin_api: AdminApi, namespace: str) -> Iterator[None]:
    """A policy that denies a ConfigMap named `forbidden` in a namespace."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object.metadata.name != 'forbidden'"}],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding = {
        "policyName": namespace,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": selector},
    }
    group = "/apis/admissionregistration.k8s.io/v1"
    specs = {
        f"{group}/validatingadmissionpolicies": policy,
        f"{group}/validatingadmissionpolicybindings": binding,
    }
    for path, spec in specs.items():
        admin_api.create(path, {"metadata": {"name": namespace}, "spec": spec})
    yield
    for path in specs:
        admin_api.delete(f"{path}/{namespace}")


class TestCluster:
    def test_it_reports_the_version_that_it_was_built_from(self, admin_api):
        pinned = (ROOT / "sandbox" / "go.mod").read_text()

        version = admin_api.get("/version")["gitVersion"]

        assert f"k8s.io/kubernetes {version}\n" in pinned

    def test_it_runs_a_deployment(self, admin_api, scratch_namespace):
        path = f"/apis/apps/v1/namespaces/{scratch_namespace}/deployments"
        admin_api.create(path, deployment(replicas=3))

        ready = admin_api.wait(f"{path}/web", lambda web: web["status"].get("readyReplicas") == 3)

        assert ready["status"]["observedGeneration"] == ready["metadata"]["generation"]
        pods = admin_api.items(f"/api/v1/namespaces/{scratch_namespace}/pods")
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node-0"}
        assert {pod["status"]["phase"] for pod in pods} == {"Running"}

    def test_it_cannot_pull_what_no_registry_can_have(self, admin_api, scratch_namespace):
        path = f"/apis/apps/v1/namespaces/{scratch_namespace}/deployments"
        admin_api.create(path, deployment(replicas=1, image="registry.invalid/team/web:1"))
        pods = f"/api/v1/namespaces/{scratch_namespace}/pods"

        def states():
            found = [each["status"].get("containerStatuses", []) for each in admin_api.items(pods)]
            return [each["state"]["waiting"] for statuses in found for each in statuses]

        (waiting,) = eventually(states)

        assert waiting["reason"] == "ImagePullBackOff"
        assert "registry.invalid/team/web:1" in waiting["message"]
        time.sleep(2.0)
        assert admin_api.get(f"{path}/web")["status"]["unavailableReplicas"] == 1
        assert [each["status"]["phase"] for each in admin_api.items(pods)] == ["Pending"]

    def test_it_finishes_the_deletion_of_a_namespace(self, admin_api, scratch_namespace):
        deployments = f"/apis/apps/v1/namespaces/{scratch_namespace}/deployments"
        admin_api.create("/api/v1/namespaces", {"metadata": {"name": f"{scratch_namespace}-x"}})
        inside = deployments.replace(scratch_namespace, f"{scratch_namespace}-x")
        admin_api.create(inside, deployment())

        admin_api.delete(f"/api/v1/namespaces/{scratch_namespace}-x")

        path = f"/api/v1/namespaces/{scratch_namespace}-x"
        assert admin_api.wait(path, lambda seen: seen is None) is None

    def test_it_issues_and_reviews_tokens(self, admin_api, scratch_namespace):
        account = f"/api/v1/namespaces/{scratch_namespace}/serviceaccounts/default"
        request = admin_api.create(f"{account}/token", {"spec": {"expirationSeconds": 600}})
        token = request["status"]["token"]

        review = admin_api.create(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {
                "kind": "TokenReview",
                "apiVersion": "authentication.k8s.io/v1",
                "spec": {"token": token},
            },
        )

        assert review["status"]["authenticated"] is True
        expected = f"system:serviceaccount:{scratch_namespace}:default"
        assert review["status"]["user"]["username"] == expected

    def test_it_publishes_the_keys_of_its_tokens(self, admin_api):
        discovery = admin_api.get("/.well-known/openid-configuration")
        keys = admin_api.get("/openid/v1/jwks")["keys"]

        assert discovery["issuer"] == ISSUER
        assert [key["alg"] for key in keys] == ["RS256"]

    def test_it_denies_a_service_account_what_nobody_granted(
        self, control_plane, admin_api, scratch_namespace
    ):
        account = f"/api/v1/namespaces/{scratch_namespace}/serviceaccounts/default"
        token = admin_api.create(f"{account}/token", {"spec": {}})["status"]["token"]
        stranger = AdminApi(control_plane.port, admin_api.certificates, user="")
        headers = {"Authorization": f"Bearer {token}"}

        answer = stranger.request("GET", "/api/v1/secrets", headers=headers)

        assert answer.status == 403

    def test_it_lets_nobody_in_without_credentials(self, control_plane, admin_api):
        nobody = AdminApi(control_plane.port, admin_api.certificates, user="")

        with pytest.raises(ApiError) as refused:
            nobody.get("/api/v1/namespaces")

        assert refused.value.status == 403
        assert "system:anonymous" in refused.value.message

    def test_it_applies_on_the_server_and_remembers_managers(self, admin_api, scratch_namespace):
        path = f"/api/v1/namespaces/{scratch_namespace}/configmaps/settings"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
        admin_api.apply(path, {**body, "data": {"colour": "blue"}}, manager="alice")

        with pytest.raises(ApiError) as refused:
            admin_api.apply(path, {**body, "data": {"colour": "red"}}, manager="bob")
        forced = admin_api.apply(path, {**body, "data": {"colour": "red"}}, "bob", force=True)

        assert refused.value.status == 409
        managers = {entry["manager"]: entry for entry in forced["metadata"]["managedFields"]}
        assert "f:colour" in managers["bob"]["fieldsV1"]["f:data"]
        assert "alice" not in managers

    def test_it_answers_a_dry_run_without_writing(self, admin_api, scratch_namespace):
        path = f"/api/v1/namespaces/{scratch_namespace}/configmaps/planned"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "planned"}}

        admin_api.patch(path, body, APPLY, fieldManager="alice", dryRun="All")

        assert admin_api.find(path) is None

    def test_it_serves_validating_admission_policies(self, admin_api, scratch_namespace):
        path = f"/api/v1/namespaces/{scratch_namespace}/configmaps"
        body = {"metadata": {"name": "forbidden"}}
        status = 201

        with forbidding(admin_api, scratch_namespace):
            # A new policy takes a moment to be enforced.
            deadline = time.monotonic() + 60
            while status == 201 and time.monotonic() < deadline:
                status = admin_api.request("POST", path, body, params={"dryRun": "All"}).status
                time.sleep(0.1)

        assert status == 422

    def test_its_kubectl_speaks_to_it(self, control_plane, scratch_namespace):
        body = json.dumps(deployment(replicas=1))

        control_plane.kubectl("apply", "-n", scratch_namespace, "-f", "-", stdin=body)

        names = control_plane.kubectl("get", "deployments", "-n", scratch_namespace, "-o", "name")
        assert names == "deployment.apps/web\n"


class TestSideBySide:
    def test_two_run_at_once_and_share_nothing(self, admin_api, second_admin_api):
        kube_system = "/api/v1/namespaces/kube-system"
        first, second = (api.get(kube_system) for api in (admin_api, second_admin_api))

        assert admin_api.port != second_admin_api.port
        assert first["metadata"]["uid"] != second["metadata"]["uid"]

    def test_one_does_not_accept_the_admin_of_the_other(self, admin_api, second_admin_api):
        intruder = AdminApi(admin_api.port, second_admin_api.certificates)

        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            intruder.get("/version")
