"""The laws for tenants and projects on Capsule, whose controller is played between the steps."""

from clusters.adapters.capsule import TENANT_KIND, TENANT_LABEL
from clusters.kinds import NAMESPACE
from clusters.models import Capability
from reconcile.values import Ref
from tenancy.models import ProjectPlacement, TenantPlacement
from tests.capsule import act, install
from tests.clusters.steps import settle
from tests.reconcile.laws import STRANGER
from tests.reconcile.worlds import Leaf, editable, scramble, shape, wanted_of
from tests.tenancy.test_laws import TestProjectPlacement as NativeProjectLaws
from tests.tenancy.test_laws import TestTenantPlacement as NativeTenantLaws

__all__: list[str] = []


class OnCapsule:
    """The same laws on a cluster that serves Capsule."""

    def declare(self):
        if not Capability.objects.filter(name="tenancy.capsule", served=True).exists():
            install(self.cluster)
            self.cluster.writes.clear()
            baseline = self.fleet_cluster().baseline
            baseline.mark()
            settle()
        return super().declare()

    def fleet_cluster(self):
        return Capability.objects.filter(name="tenancy.capsule").get().cluster

    def make_ready(self, row) -> None:
        for _ in range(3):
            rows = [*TenantPlacement.objects.all(), *ProjectPlacement.objects.all()]
            if all(each.phase == "Deployed" for each in rows):
                return
            act(self.cluster)
            for each in rows:
                each.mark()
            settle()

    def test_it_is_on_capsule(self) -> None:
        row = self.converged()
        assert (row.adapter_name, row.chosen_adapter) == ("tenancy.capsule", "tenancy.capsule")


def apart(leaves: list[Leaf]) -> list[Leaf]:
    """One leaf of each list: custom resources have lists that are owned, and fought over, whole."""
    found = {}
    for leaf in leaves:
        index = next((at for at, key in enumerate(leaf) if isinstance(key, int)), len(leaf))
        found.setdefault(leaf[:index], leaf)
    return list(found.values())


class TestTenantPlacementOnCapsule(OnCapsule, NativeTenantLaws):
    def test_law_c_every_edited_field_heals(self) -> None:
        row = self.converged()
        for wanted in wanted_of(row):
            for leaf in apart(editable(wanted.manifest)):
                before = shape(self.cluster)
                self.cluster.edit(wanted.ref, STRANGER, scramble(leaf))
                assert shape(self.cluster) != before, f"{wanted.ref} {leaf} was not edited"
                self.look(row)
                assert shape(self.cluster) == before, f"{wanted.ref} {leaf} did not heal"
        self.assert_at_rest(row)

    def test_it_is_capsules_tenant(self) -> None:
        self.converged()
        assert self.cluster.body(Ref(TENANT_KIND, "", "acme"))["spec"]["forceTenantPrefix"] is True


class TestProjectPlacementOnCapsule(OnCapsule, NativeProjectLaws):
    def test_its_namespace_is_the_tenants(self) -> None:
        self.converged()
        labels = self.cluster.body(Ref(NAMESPACE, "", "acme--shop"))["metadata"]["labels"]
        assert labels[TENANT_LABEL] == "acme"


# Imported to be inherited, not to be run once more.
del NativeProjectLaws, NativeTenantLaws
