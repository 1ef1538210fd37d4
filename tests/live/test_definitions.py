"""KubeVela's types on a real API server, seen with KubeNova's own rights there.

KubeVela's CRDs lie beside the repository, in `../shared/crds`; where they do not, this is skipped.
"""

from collections.abc import Iterator

import pytest
import yaml

from clusters.adapters.kubevela import DEFINITIONS_NAMESPACE, GROUP
from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Capability, Cluster
from clusters.rules import address_rules
from sandbox.api import DEFINITIONS, AdminApi
from tests.clusters.steps import settle_live, settle_until
from tests.live.platforms import CRDS
from tests.live.test_delivery import keys

__all__ = ["keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

WORKLOAD = {"workload": {"definition": {"apiVersion": "apps/v1", "kind": "Deployment"}}}


@pytest.fixture
def definitions(admin_api: AdminApi) -> Iterator[str]:
    """Where the ComponentDefinitions of KubeVela are."""
    path = CRDS / f"{GROUP}_componentdefinitions.yaml"
    if not path.exists():
        pytest.skip("KubeVela's CRDs are not at hand: ../shared/crds is absent")
    crd = f"{DEFINITIONS}/componentdefinitions.{GROUP}"
    admin_api.apply(crd, yaml.safe_load(path.read_text()), "helm", force=True)
    meta = {"name": DEFINITIONS_NAMESPACE}
    space = f"/api/v1/namespaces/{DEFINITIONS_NAMESPACE}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
    # A test before may have deleted it: it takes in nothing until it is gone.
    admin_api.wait(space, lambda found: not found or "deletionTimestamp" not in found["metadata"])
    admin_api.apply(space, body, "helm", force=True)
    try:
        yield f"/apis/{GROUP}/v1beta1/namespaces/{DEFINITIONS_NAMESPACE}/componentdefinitions"
    finally:
        admin_api.delete(space)
        admin_api.delete(crd)
        admin_api.wait(crd, lambda found: found is None)


def define(api: AdminApi, path: str, name: str) -> None:
    meta = {"name": name, "namespace": DEFINITIONS_NAMESPACE}
    api.apply(
        f"{path}/{name}",
        {
            "apiVersion": f"{GROUP}/v1beta1",
            "kind": "ComponentDefinition",
            "metadata": meta,
            "spec": WORKLOAD,
        },
        "helm",
        force=True,
    )


def known() -> dict[str, bool]:
    rows = Capability.objects.filter(name__startswith="delivery.kubevela.component.")
    return {row.name.rpartition(".")[2]: row.served for row in rows}


def test_kubenova_sees_them_with_its_own_rights(
    definitions: str, admin_api: AdminApi, admin_kubeconfig: str
) -> None:
    define(admin_api, definitions, "webservice")
    cluster = Cluster(name="real")
    cluster.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")

    def stands() -> bool:
        cluster.refresh_from_db()
        return cluster.phase == "Deployed"

    settle_until(stands, 120.0)
    assert cluster.bootstrap is None, "from here on it has no rights but its own"
    define(admin_api, definitions, "task")
    cluster.baseline.mark()
    settle_live()
    served = {name for name, found in known().items() if found}
    assert served == {"webservice", "task"} and len(known()) == 6
