"""The laws that every kind of row obeys which converges on a cluster.

A kind's own suite inherits them and says what to declare:

    class TestTenantPlacement(ConvergenceLaws):
        model = TenantPlacement

        def declare(self):                   # returns the row; no step was taken for it yet
            make_acme(placement={"clusters": ["sandbox"]})
            return TenantPlacement.objects.get()

        def narrow(self, row):               # declare less: fields or objects go
            row.tenant.quota = {}
            row.tenant.declare(by="alice")

`self.fleet` has the cluster `sandbox` registered, `self.cluster` is the one in memory behind it.
A class whose name does not begin with `Test` is not run: this one.
"""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from reconcile.models import AppliedObject, Decision, Drift, Event, Work
from reconcile.models.convergent import Convergent
from reconcile.models.decisions import above
from reconcile.values import MANAGED_BY, OWNER, Ref
from tests.clusters.steps import settle
from tests.fleet import Fleet
from tests.memory_cluster import MemoryCluster
from tests.reconcile.worlds import (
    Killed,
    Leaf,
    editable,
    expire_leases,
    foreign,
    interfere,
    kill_after,
    leave_alone,
    missing_from,
    owned_by,
    scramble,
    shape,
    wanted_of,
)

STRANGER = "kubectl-edit"
_MOST_WRITES = 60
_OURS = frozenset({MANAGED_BY, OWNER})  # tell the row's objects apart: only repaired


def asked(user: User, verb: str, url: str) -> tuple[int, str]:
    """Ask the API as a user; return status and code of the answer."""
    client = APIClient()
    client.force_authenticate(user)
    answer = getattr(client, verb)(url, {} if verb in {"put", "patch"} else None, format="json")
    return answer.status_code, (answer.json() if answer.content else {}).get("code", "")


class ConvergenceLaws:
    """See the module."""

    model: ClassVar[type[Convergent]]
    verbs: ClassVar[tuple[str, ...]] = ("get", "patch", "delete")  # which `urls` answer
    fleet: Fleet

    # --- What a kind says of itself.

    def declare(self) -> Convergent:
        """Declare what is to converge, the same each time, and return its row on `sandbox`."""
        raise NotImplementedError

    def narrow(self, row: Convergent) -> None:
        """Declare less, so that some fields or objects are no longer wanted."""
        raise NotImplementedError

    def change(self, row: Convergent) -> None:
        """Declare something else."""
        self.narrow(row)

    def remove(self, row: Convergent) -> None:
        """Ask for the deletion of what `declare` has declared."""
        row.parent.request_deletion(by="alice")

    def make_ready(self, row: Convergent) -> None:
        """Play the controllers of the cluster until the row is Ready."""

    def repairs(self, ref: Ref) -> bool:
        """Whether KubeNova may repair this object by itself."""
        return True

    def urls(self, row: Convergent) -> list[str]:
        """The paths of the API that show the row or what it belongs to, for its tenant alone."""
        return []

    # --- What the laws do with it.

    @pytest.fixture(autouse=True)
    def world(self, fleet: Fleet, db: None) -> None:
        """A registered cluster."""
        self.fleet = fleet
        fleet.register("sandbox")

    @property
    def cluster(self) -> MemoryCluster:
        """The cluster in memory that the row is on."""
        return self.fleet["sandbox"]

    def converged(self) -> Convergent:
        """A row that is declared, converged and ready; what was written until then is forgotten."""
        row = self.declare()
        assert isinstance(row, self.model)
        self.settle(row)
        self.cluster.writes.clear()
        return row

    def settle(self, row: Convergent) -> None:
        """Take all steps, play the controllers, take what steps follow."""
        settle()
        self.make_ready(row)
        settle()
        if self.model.objects.filter(pk=row.pk).exists():
            row.refresh_from_db()

    def look(self, row: Convergent) -> None:
        """Look again, as after a change that the watcher saw."""
        row.mark()
        self.settle(row)

    def assert_equals_the_intent(self, row: Convergent) -> None:
        """The cluster has what is wanted, nothing else is ours, and all of it is recorded."""
        wanted = {item.ref: item.manifest for item in wanted_of(self.model.objects.get(pk=row.pk))}
        assert owned_by(row, self.cluster) == set(wanted)
        for ref, manifest in wanted.items():
            assert missing_from(self.cluster.body(ref), manifest) == [], str(ref)
        applied = AppliedObject.objects.filter(work__in=row.work)
        assert {record.ref: record.uid for record in applied} == {
            ref: self.cluster.body(ref)["metadata"]["uid"] for ref in wanted
        }

    def assert_at_rest(self, row: Convergent) -> None:
        """Looking again writes nothing."""
        self.cluster.writes.clear()
        self.look(row)
        assert self.cluster.writes == []

    def condition(self, row: Convergent, kind: str = "Synced") -> dict[str, str]:
        """A condition of the row as it is stored."""
        row.refresh_from_db()
        return next(found for found in row.conditions if found["type"] == kind)

    def roots(self, row: Convergent) -> list[Ref]:
        """The wanted objects that are in no namespace of the row's own."""
        refs = [wanted.ref for wanted in wanted_of(row)]
        own = {ref.name for ref in refs if ref.kind.name == "Namespace"}
        return [ref for ref in refs if ref.namespace not in own]

    def a_root_of_each_kind(self, row: Convergent) -> list[Ref]:
        """Of its roots one per kind, the last: objects of one kind go one way."""
        return list({ref.kind: ref for ref in self.roots(row)}.values())

    # --- It converges.

    def test_it_converges_to_its_intent(self) -> None:
        row = self.converged()

        self.assert_equals_the_intent(row)
        assert row.phase == "Deployed", row.conditions
        assert row.observed_generation == row.generation
        assert [found["status"] for found in row.conditions] == ["True", "True"]

    def test_law_a_reconciling_twice_writes_nothing(self) -> None:
        row = self.converged()
        before = shape(self.cluster)
        self.assert_at_rest(row)

        assert shape(self.cluster) == before
        self.assert_equals_the_intent(row)

    def test_rest_costs_no_event_and_no_change_of_status(self) -> None:
        row = self.converged()
        events, stored = Event.objects.count(), self.model.objects.values().get(pk=row.pk)
        self.look(row)

        assert Event.objects.count() == events
        assert self.model.objects.values().get(pk=row.pk) == stored

    def test_law_b_foreign_fields_survive(self) -> None:
        row = self.converged()

        def add(body: dict) -> None:
            body["metadata"].setdefault("labels", {})["example.org/team"] = "blue"
            body["metadata"].setdefault("annotations", {})["example.org/note"] = "kept"

        refs = owned_by(row, self.cluster)
        for ref in refs:
            self.cluster.edit(ref, STRANGER, add)
        self.look(row)

        for ref in refs:
            meta = self.cluster.body(ref)["metadata"]
            assert meta["labels"]["example.org/team"] == "blue", str(ref)
            assert meta["annotations"]["example.org/note"] == "kept", str(ref)
        self.assert_equals_the_intent(row)
        self.assert_at_rest(row)

    # --- Law c: drift heals.

    def test_law_c_every_edited_field_heals(self) -> None:
        row = self.converged()
        for wanted in wanted_of(row):
            for leaf in editable(wanted.manifest) if self.repairs(wanted.ref) else ():
                before = shape(self.cluster)
                self.cluster.edit(wanted.ref, STRANGER, scramble(leaf))
                assert shape(self.cluster) != before, f"{wanted.ref} {leaf} was not edited"
                self.look(row)
                assert shape(self.cluster) == before, f"{wanted.ref} {leaf} did not heal"
        assert Event.objects.filter(reason="DriftRepaired", actor=STRANGER).exists()
        self.assert_at_rest(row)

    def test_law_c_every_deleted_object_comes_back(self) -> None:
        row = self.converged()
        for ref in filter(self.repairs, owned_by(row, self.cluster)):
            before = shape(self.cluster)
            self.cluster.remove(ref)
            assert ref not in self.cluster.refs()
            self.look(row)
            self.look(row)
            assert shape(self.cluster) == before, f"{ref} did not come back"
            self.assert_equals_the_intent(row)
            self.assert_at_rest(row)

    def test_law_c_stripped_labels_heal(self) -> None:
        row = self.converged()
        for ref in filter(self.repairs, owned_by(row, self.cluster)):
            before = shape(self.cluster)
            self.cluster.edit(ref, "kubectl-label", lambda body: body["metadata"].pop("labels"))
            self.look(row)
            assert shape(self.cluster) == before, f"{ref} was not labelled again"
        self.assert_at_rest(row)

    # --- Law h: people decide what becomes of drift.

    def set_mode(self, row: Convergent, mode: str) -> None:
        """Set the repair mode where the row takes it from; skip kinds that have none."""
        own = self.model.repair_mode is not Convergent.repair_mode
        for parent in above(row.parent):
            if own and "repair_mode" in parent.spec_fields:
                parent.refresh_from_db()
                parent.repair_mode = mode  # type: ignore[attr-defined]
                parent.declare(by="alice")
                self.settle(row)
                self.cluster.writes.clear()
                return
        pytest.skip(f"{self.model.__name__} has no repair mode")

    def edits(self, row: Convergent) -> Iterator[tuple[Ref, Leaf]]:
        """A field of each object that may be repaired and whose values are no secret."""
        for wanted in wanted_of(row):
            leaves = [leaf for leaf in editable(wanted.manifest) if leaf[-1] not in _OURS]
            if leaves and wanted.ref.kind.name != "Secret" and self.repairs(wanted.ref):
                yield wanted.ref, leaves[-1]

    def opened(self, row: Convergent) -> set[Ref]:
        """The objects of the row that differ on record."""
        return {drift.ref for drift in Drift.objects.open().filter(work__in=row.work)}

    def test_law_h_in_mode_manual_drift_is_shown_until_its_repair_is_approved(self) -> None:
        row = self.converged()
        self.set_mode(row, "manual")
        for ref, leaf in self.edits(row):
            before = shape(self.cluster)
            self.cluster.edit(ref, STRANGER, scramble(leaf))
            edited = shape(self.cluster)
            self.look(row)
            assert self.cluster.writes == [], f"{ref} {leaf} was repaired"
            assert (self.opened(row), row.phase) == ({ref}, "Drifted"), f"{ref} {leaf}"
            assert shape(self.cluster) == edited
            Drift.request_repair(Drift.objects.open(), "alice", operator=True)
            self.settle(row)
            self.cluster.writes.clear()
            assert (self.opened(row), row.phase) == (set(), "Deployed"), f"{ref} {leaf}"
            assert shape(self.cluster) == before, f"{ref} {leaf} was not repaired"
        self.assert_at_rest(row)

    def test_law_h_in_mode_manual_a_missing_object_stays_away_until_approved(self) -> None:
        row = self.converged()
        self.set_mode(row, "manual")
        for ref in [ref for ref, _ in self.edits(row)][-3:]:
            before = shape(self.cluster)
            self.cluster.remove(ref)
            self.look(row)
            assert self.cluster.writes == [] and not self.cluster.exists(ref)
            assert ref in self.opened(row) and row.phase == "Drifted"
            while rows := Drift.objects.open():
                Drift.request_repair(rows, "alice", operator=True)
                self.settle(row)
            self.cluster.writes.clear()
            assert shape(self.cluster) == before, f"{ref} did not come back"
        self.assert_at_rest(row)

    def test_law_h_an_ignored_field_is_left_to_others_until_the_rule_goes(self) -> None:
        row = self.converged()
        for ref, leaf in self.edits(row):
            before = shape(self.cluster)
            rule = Decision.ignore(
                row.parent,
                "alice",
                reason="theirs",
                pointer="/" + "/".join(str(key).replace("/", "~1") for key in leaf),
                object_kind=ref.kind.name,
                object_name=ref.name,
            )
            self.cluster.edit(ref, STRANGER, scramble(leaf))
            edited = shape(self.cluster)
            self.look(row)
            assert shape(self.cluster) == edited, f"{ref} {leaf} was taken back"
            assert row.phase == "Deployed" and self.opened(row) == set(), f"{ref} {leaf}"
            self.assert_at_rest(row)
            rule.revoke("alice")
            self.settle(row)
            assert shape(self.cluster) == before, f"{ref} {leaf} did not heal"
        self.assert_at_rest(row)

    def test_law_h_what_is_accepted_is_wanted_from_then_on(self) -> None:
        row = self.converged()
        self.set_mode(row, "manual")
        for ref, leaf in self.edits(row):
            self.cluster.edit(ref, STRANGER, scramble(leaf))
            edited = shape(self.cluster)
            self.look(row)
            assert Drift.accept(Drift.objects.open(), "alice", operator=True), f"{ref} {leaf}"
            self.settle(row)
            assert row.phase == "Deployed" and self.opened(row) == set(), f"{ref} {leaf}"
            assert shape(self.cluster) == edited, f"{ref} {leaf} was taken back"
            self.assert_at_rest(row)

    # --- Laws d and e: nothing stays behind.

    def test_law_d_what_is_no_longer_wanted_is_removed(self) -> None:
        row = self.converged()
        before = {item.ref: item.manifest for item in wanted_of(row)}
        self.narrow(row)
        self.settle(row)
        self.look(row)
        after = {item.ref: item.manifest for item in wanted_of(self.model.objects.get(pk=row.pk))}

        gone = {ref: missing_from(after.get(ref, {}), before[ref]) for ref in before}
        assert any(gone.values()), "narrow() took nothing away"
        for ref, fields in gone.items():
            if ref not in after:
                assert not self.cluster.exists(ref), f"{ref} stayed"
                continue
            kept = missing_from(self.cluster.body(ref), before[ref])
            assert set(fields) <= set(kept), f"{ref} kept {set(fields) - set(kept)}"
        self.assert_equals_the_intent(row)
        self.assert_at_rest(row)

    def assert_gone(self, row: Convergent) -> None:
        """Nothing that was the row's is left, and neither is the row."""
        assert owned_by(row, self.cluster) == set()
        assert not self.model.objects.filter(pk=row.pk).exists()
        assert not Work.objects.filter(owner=row.owner).exists()
        assert Event.objects.filter(object_uid=row.uid, reason="Deleted").count() == 1

    def test_law_e_a_deletion_ends_with_nothing_owned_and_then_no_row(self) -> None:
        row = self.converged()
        self.remove(row)
        self.settle(row)

        self.assert_gone(row)

    def test_law_e_it_stays_until_everything_is_seen_gone(self) -> None:
        row = self.converged()
        self.cluster.finishes = False
        for ref in owned_by(row, self.cluster):
            hold = {"finalizers": ["example.org/hold"]}
            self.cluster.edit(ref, STRANGER, lambda body, hold=hold: body["metadata"].update(hold))
        self.remove(row)
        self.settle(row)
        self.look(row)
        row.refresh_from_db()
        assert row.deleting and row.phase in {"Applying", "Pending"}, row.conditions

        for ref in owned_by(row, self.cluster):
            self.cluster.edit(ref, STRANGER, lambda body: body["metadata"].pop("finalizers"))
        self.cluster.finishes = True
        self.cluster.finish_deletions()
        self.look(row)
        self.assert_gone(row)

    def test_law_e_what_lost_its_labels_is_deleted_all_the_same(self) -> None:
        row = self.converged()
        refs = owned_by(row, self.cluster)
        for ref in refs:
            self.cluster.edit(ref, STRANGER, lambda body: body["metadata"].pop("labels"))
        self.remove(row)
        self.settle(row)

        self.assert_gone(row)
        assert [str(ref) for ref in refs if self.cluster.exists(ref)] == []

    def test_law_e_what_was_never_applied_is_deleted_without_a_write(self) -> None:
        row = self.declare()
        wanted = {item.ref for item in wanted_of(row)}
        self.cluster.writes.clear()
        self.remove(row)
        self.settle(row)

        self.assert_gone(row)
        assert wanted.isdisjoint(ref for _, ref in self.cluster.writes)

    # --- Law f: strangers.

    def test_law_f_charlie_finds_nothing(self, charlie: User, olga: User) -> None:
        row = self.converged()
        if not (urls := self.urls(row)):
            pytest.skip(f"{self.model.__name__} has no API")
        for url in urls:
            assert asked(olga, "get", url)[0] == 200, url
        found = self.answers(charlie, urls)
        self.remove(row)
        self.settle(row)
        self.assert_gone(row)

        assert found == self.answers(charlie, urls), "charlie can tell it from what is not there"
        assert {found[verb, url][0] for verb in self.verbs for url in urls} == {404}

    def answers(self, user: User, urls: list[str]) -> dict[tuple[str, str], tuple[int, str]]:
        """What a user is answered: status and code, by verb and path."""
        verbs = ("get", "put", "patch", "delete")
        return {(verb, url): asked(user, verb, url) for verb in verbs for url in urls}

    # --- Law g: nothing that was asked for is lost.

    def test_law_g_a_change_made_meanwhile_is_carried_out(self) -> None:
        row = self.declare()
        happened = interfere(self.cluster, "apply", lambda ref: self.change(self.fresh(row)))
        self.settle(row)
        self.look(row)

        assert happened
        leave_alone(self.cluster)
        self.assert_equals_the_intent(row)
        assert row.observed_generation == row.generation

    def test_law_g_a_deletion_asked_for_meanwhile_is_carried_out(self) -> None:
        row = self.declare()
        happened = interfere(self.cluster, "apply", lambda ref: self.remove(self.fresh(row)))
        self.settle(row)

        assert happened
        self.assert_gone(row)

    def fresh(self, row: Convergent) -> Convergent:
        """The row as another process reads it."""
        return self.model.objects.get(pk=row.pk)

    # --- F1: killed after any write, it converges all the same.

    @pytest.fixture
    def writes(self) -> Iterator[int]:
        """The numbers of the writes after which the worker is killed, one by one."""
        return iter(range(1, _MOST_WRITES))

    def killed(self, row: Convergent, after: int) -> bool:
        """Take all steps with a worker that dies after a write; False when it survived."""
        kill_after(self.cluster, after)
        try:
            self.settle(row)
        except Killed:
            return True
        finally:
            leave_alone(self.cluster)
            expire_leases()
        return False

    def test_killed_after_any_write_of_a_creation_it_converges_f1(self, writes) -> None:
        row = self.converged()
        clean = self.normalised(row)
        self.remove(row)
        self.settle(row)
        for number in writes:
            row = self.declare()
            died = self.killed(row, number)
            self.settle(row)
            self.assert_equals_the_intent(row)
            assert self.normalised(row) == clean, f"after write {number}"
            self.assert_at_rest(row)
            if not died:
                break
            self.remove(row)
            self.settle(row)
            self.assert_gone(row)
        assert number > 1, "nothing was written"

    def normalised(self, row: Convergent) -> dict[Ref, object]:
        """The cluster's shape with the row's own owner label under one name."""
        found = shape(self.cluster)
        for ref in owned_by(row, self.cluster):
            found[ref]["metadata"]["labels"][OWNER] = "this row"
        return found

    def test_killed_after_any_write_of_a_change_it_converges_f1(self, writes) -> None:
        for number in writes:
            row = self.converged()
            self.narrow(row)
            died = self.killed(row, number)
            self.settle(row)
            self.look(row)
            self.assert_equals_the_intent(row)
            self.assert_at_rest(row)
            self.remove(row)
            self.settle(row)
            self.assert_gone(row)
            if not died:
                break
        assert number > 1, "nothing was written"

    def test_killed_after_any_write_of_a_deletion_it_is_gone_f1(self, writes) -> None:
        for number in writes:
            row = self.converged()
            self.remove(row)
            died = self.killed(row, number)
            self.settle(row)
            self.assert_gone(row)
            if not died:
                break
        assert number > 1, "nothing was written"

    # --- A12, F6: what is foreign stays foreign.

    def test_a_foreign_object_in_the_way_is_left_alone_a12(self) -> None:
        row = self.converged()
        for ref in self.a_root_of_each_kind(row):
            manifest = next(item.manifest for item in wanted_of(row) if item.ref == ref)
            self.remove(row)
            self.settle(row)
            self.cluster.apply_as(STRANGER, ref, foreign(manifest))
            before = self.cluster.body(ref)
            row = self.declare()
            self.settle(row)
            condition = self.condition(row)

            assert (condition["status"], condition["reason"]) == ("False", "Taken"), str(ref)
            assert str(ref) in condition["message"] and row.phase == "Error"
            assert self.cluster.body(ref) == before

            self.cluster.remove(ref)
            self.look(row)
            self.assert_equals_the_intent(row)

    def test_a_foreign_object_that_comes_between_plan_and_apply_is_left_alone_a12(self) -> None:
        row = self.converged()
        for ref in self.a_root_of_each_kind(row):
            manifest = next(item.manifest for item in wanted_of(row) if item.ref == ref)
            self.remove(row)
            self.settle(row)
            row = self.declare()
            bodies = []

            def squat(_: Ref, ref=ref, manifest=manifest, bodies=bodies) -> None:
                if not self.cluster.exists(ref):
                    bodies.append(self.cluster.apply_as(STRANGER, ref, foreign(manifest)).body)

            interfere(self.cluster, "apply", squat)
            self.settle(row)
            leave_alone(self.cluster)
            self.look(row)

            assert self.condition(row)["reason"] == "Taken", str(ref)
            assert bodies == [self.cluster.body(ref)]
            self.cluster.remove(ref)
            self.look(row)
            self.assert_equals_the_intent(row)

    def test_a_write_never_reaches_what_a_stranger_made_anew_f6(self) -> None:
        row = self.converged()
        for wanted in wanted_of(row):
            ref = wanted.ref
            if ref.kind.name == "Namespace" or not self.repairs(ref):
                continue
            self.cluster.edit(ref, STRANGER, lambda body: body["metadata"].pop("labels"))
            bodies = []

            def replace(_: Ref, ref=ref, manifest=wanted.manifest, bodies=bodies) -> None:
                self.cluster.remove(ref)
                bodies.append(self.cluster.apply_as(STRANGER, ref, foreign(manifest)).body)

            happened = interfere(self.cluster, "apply", replace)
            row.mark()
            settle()
            leave_alone(self.cluster)
            assert happened == [ref]
            assert bodies == [self.cluster.body(ref)], f"{ref} was written to under the old uid"
            self.cluster.remove(ref)
            self.look(row)
            self.assert_equals_the_intent(row)

    def test_a_deletion_spares_what_a_stranger_made_anew_f6(self) -> None:
        row = self.converged()
        roots = self.roots(row)
        manifests = {item.ref: item.manifest for item in wanted_of(row)}
        for ref in roots:
            self.cluster.remove(ref)
            self.cluster.apply_as(STRANGER, ref, foreign(manifests[ref]))
        before = {ref: self.cluster.body(ref) for ref in roots}
        self.remove(row)
        self.settle(row)

        self.assert_gone(row)
        assert {ref: self.cluster.body(ref) for ref in roots} == before
