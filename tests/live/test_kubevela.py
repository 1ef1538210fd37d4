"""What an API server with KubeVela's real definitions lets through the policy before Applications.

KubeVela's CRDs lie beside the repository, in `../shared/crds`; where they do not, this is skipped.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
import yaml

from clusters.preflight import APPLICATION_POLICY
from delivery.rules.applications import ACCOUNT, DEPLOYER, policies
from reconcile.values import MANAGED_BY, MANAGER, TENANT
from sandbox.api import DEFINITIONS, AdminApi, ApiError, JsonObject
from tests.live.platforms import ADMISSION, CRDS

pytestmark = pytest.mark.live

CRD = f"{DEFINITIONS}/applications.core.oam.dev"
USER, GROUP = "app.oam.dev/username", "app.oam.dev/group"
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


def app(name: str, image: str = "nginx:1.27", **annotations: str) -> JsonObject:
    """An Application of one webservice."""
    component = {"name": "web", "type": "webservice", "properties": {"image": image}}
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"components": [component]},
    }


def refused(act) -> str:
    """What the API server says to it; fails when it lets it pass."""
    with pytest.raises(ApiError) as caught:
        act()
    assert APPLICATION_POLICY in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def home(admin_api: AdminApi) -> Iterator[str]:
    """The Applications of a project's namespace; in it `old` was there before the policy."""
    path = CRDS / "core.oam.dev_applications.yaml"
    if not path.exists():
        pytest.skip("KubeVela's CRDs are not at hand: ../shared/crds is absent")
    admin_api.apply(CRD, yaml.safe_load(path.read_text()), "helm", force=True)
    name = f"acme--{uuid.uuid4().hex[:8]}"
    labels = {MANAGED_BY: MANAGER, TENANT: "acme"}
    meta = {"name": name, "labels": labels}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
    admin_api.create("/api/v1/namespaces", space)
    found = f"/apis/core.oam.dev/v1beta1/namespaces/{name}/applications"
    written = {
        f"{ADMISSION}/{PLURALS[body['kind']]}/{body['metadata']['name']}": body
        for body in policies()
    }
    try:
        for where in reversed(written):  # a baseline of an earlier test may have left them
            with suppress(ApiError):
                admin_api.delete(where)
        until = time.monotonic() + 60
        while not admin_api.find(f"{found}/old") and time.monotonic() < until:
            with suppress(ApiError):
                admin_api.create(found, app("old"))
        for where, body in written.items():
            admin_api.apply(where, body, "helm", force=True)
        await_refusals(admin_api, found)
        yield found
    finally:
        for where in (*reversed(written), f"/api/v1/namespaces/{name}", CRD):
            admin_api.delete(where)
        admin_api.wait(CRD, lambda crd: crd is None)


def await_refusals(api: AdminApi, path: str) -> None:
    """A new policy takes a few seconds to bite."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            api.create(path, app("try"), dryRun="All")
        except ApiError:
            return
        time.sleep(0.3)
    raise TimeoutError("the policy does not bite")


def test_the_cluster_understands_the_policy(admin_api, home):
    path = f"{ADMISSION}/validatingadmissionpolicies/{APPLICATION_POLICY}"
    body = admin_api.wait(
        path, lambda found: found and (found.get("status") or {}).get("observedGeneration")
    )
    assert not (body["status"].get("typeChecking") or {}).get("expressionWarnings")


def test_an_application_of_the_project_passes(admin_api, home):
    admin_api.create(home, app("ours", **{ACCOUNT: DEPLOYER}))
    change = {"spec": app("ours", "nginx:1.28")["spec"]}
    admin_api.patch(f"{home}/ours", change)
    assert admin_api.get(f"{home}/ours")["spec"] == change["spec"]


FORGED = [
    pytest.param({}, id="nobody: it would run as cluster administrator"),
    pytest.param({ACCOUNT: "default"}, id="another account"),
    pytest.param({ACCOUNT: ""}, id="an empty account"),
    pytest.param({ACCOUNT: DEPLOYER, USER: "admin"}, id="a user"),
    pytest.param({ACCOUNT: DEPLOYER, GROUP: "system:masters"}, id="a group"),
]


@pytest.mark.parametrize("annotations", FORGED)
def test_a_forged_one_is_denied_even_to_an_administrator_a15(admin_api, home, annotations):
    refused(lambda: admin_api.create(home, app("forged", **annotations)))
    assert admin_api.find(f"{home}/forged") is None


@pytest.mark.parametrize("annotations", FORGED[1:])
def test_it_is_denied_to_become_forged_a15(admin_api, home, annotations):
    name = f"turned-{uuid.uuid4().hex[:8]}"
    admin_api.create(home, app(name, **{ACCOUNT: DEPLOYER}))
    change = {"metadata": {"annotations": annotations}}
    refused(lambda: admin_api.patch(f"{home}/{name}", change))


def test_an_older_one_is_let_go_on_and_not_changed(admin_api, home):
    noted = {"metadata": {"annotations": {"app.oam.dev/restart-workflow": "true"}}}
    admin_api.patch(f"{home}/old", noted)
    change = {"spec": app("old", "nginx:1.28")["spec"]}
    assert DEPLOYER in refused(lambda: admin_api.patch(f"{home}/old", change))
    admin_api.patch(f"{home}/old", {**change, "metadata": {"annotations": {ACCOUNT: DEPLOYER}}})
