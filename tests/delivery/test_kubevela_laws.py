"""The laws for apps on KubeVela, whose controller is played between the steps."""

from clusters.models import Capability, Cluster
from delivery.models import AppPlacement
from reconcile.models import Decision, Drift
from tests.clusters.steps import settle
from tests.delivery.test_laws import TestAppPlacement as NativeAppLaws
from tests.kubevela import act, applications, install
from tests.reconcile.laws import STRANGER
from tests.reconcile.worlds import Leaf, editable, scramble, shape, wanted_of

__all__: list[str] = []


def apart(leaves: list[Leaf]) -> list[Leaf]:
    """One leaf of each list: custom resources have lists that are owned, and fought over, whole."""
    found = {}
    for leaf in leaves:
        index = next((at for at, key in enumerate(leaf) if isinstance(key, int)), len(leaf))
        found.setdefault(leaf[:index], leaf)
    return list(found.values())


class TestAppPlacementOnKubeVela(NativeAppLaws):
    def declare(self) -> AppPlacement:
        if not Capability.objects.filter(name="delivery.kubevela", served=True).exists():
            install(self.cluster)
            Cluster.objects.get().baseline.mark()
            settle()
            self.cluster.writes.clear()
        return super().declare()

    def make_ready(self, row: AppPlacement) -> None:
        act(self.cluster)
        for found in AppPlacement.objects.filter(pk=row.pk).exclude(phase="Deployed"):
            found.mark()

    def test_it_is_on_kubevela(self) -> None:
        row = self.converged()
        assert (row.adapter_name, row.chosen_adapter) == ("delivery.kubevela", "delivery.kubevela")
        assert [ref.name for ref in applications(self.cluster)] == ["site"]

    def test_law_c_every_edited_field_heals(self) -> None:
        row = self.converged()
        (wanted,) = wanted_of(row)
        for leaf in apart(editable(wanted.manifest)):
            before = shape(self.cluster)
            self.cluster.edit(wanted.ref, STRANGER, scramble(leaf))
            assert shape(self.cluster) != before, f"{leaf} was not edited"
            self.look(row)
            assert shape(self.cluster) == before, f"{leaf} did not heal"
        self.assert_at_rest(row)

    def test_law_h_what_is_accepted_is_wanted_from_then_on(self) -> None:
        """And published: else KubeVela would not roll it out."""
        row = self.converged()
        self.set_mode(row, "manual")
        (wanted,) = wanted_of(row)
        before = row.publications
        image = ("spec", "components", 0, "properties", "image")
        self.cluster.edit(wanted.ref, STRANGER, scramble(image))
        self.look(row)
        assert Drift.accept(Drift.objects.open(), "alice", operator=True)
        assert Decision.objects.filter(verb="accept").exists()
        self.settle(row)
        assert row.phase == "Deployed" and self.opened(row) == set()
        spec = self.cluster.body(wanted.ref)["spec"]
        assert spec["components"][0]["properties"]["image"] == "edited-nginx:1.27"
        assert row.publications == before + 1
        self.assert_at_rest(row)


# Imported to be inherited, not to be run once more.
del NativeAppLaws
