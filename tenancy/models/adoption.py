"""A namespace that was there before becomes that of a project: asked for, never forced."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import models

from reconcile.errors import ClusterError, Taken
from reconcile.loop import Outcome
from reconcile.models import Event, Lease, marking, touch
from reconcile.plan import Task
from reconcile.refusals import Conflicting, Deleting, Fault, Invalid
from reconcile.values import (
    MANAGED_BY,
    MANAGER,
    OWNER,
    TENANT,
    WAITING,
    Condition,
    Kind,
    Live,
    Plan,
    Ref,
    Status,
)
from tenancy.models.adapted import Adapted
from tenancy.models.namespaces import refuse_making
from tenancy.rules.names import of_platform

if TYPE_CHECKING:
    from tenancy.models.project import Project, ProjectPlacement

REASON = "WaitingForAdoption"
_LOOK = 15.0
_CAPSULE_TENANT = "capsule.clastix.io/tenant"
_NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)


class Adoptable(Adapted):
    """A placement that may come into a namespace which was there before KubeNova."""

    # Where an operator had one adopted; else the namespace follows the name.
    adopted = models.CharField(max_length=63, blank=True, default="", editable=False)

    if TYPE_CHECKING:
        project: "Project"

    class Meta:
        abstract = True

    def task(self, lease: Lease | None = None) -> Task:
        """As for any row; an adopted namespace is looked at before anything is written."""
        task = super().task(lease)
        return replace(task, blind=False) if self.adopted else task

    def allow(self, plan: Plan) -> None:
        """As for any row; an adopted namespace is never made."""
        if self.adopted:
            refuse_making(self.adopted, plan)
        super().allow(plan)

    def record_failure(self, error: ClusterError, generation: int, lease: Lease) -> Outcome:
        """As for any row; a namespace that was not handed over yet is waited for."""
        foreign = isinstance(error, Taken) and error.message.startswith("Namespace ")
        if foreign and not self.adopted:
            self.cluster.note_foreign(self.project.namespace)
        if not (self.adopted and foreign):
            return super().record_failure(error, generation, lease)
        message = f"An operator hands {self.adopted} over first: {command_of(self)}"
        synced = Condition("Synced", Status.UNKNOWN, REASON, message)
        self._conclude(lease, synced, Condition("Ready", Status.UNKNOWN, WAITING, message))
        return Outcome(_LOOK)


def command_of(placement: Adoptable) -> str:
    """Return the one command by which an operator hands the namespace over.

    KubeNova's own guard forbids it to take over what bears no mark of its own.
    """
    labels = f"{MANAGED_BY}={MANAGER} {OWNER}={placement.owner}"
    return f"kubectl label namespace {placement.adopted} {labels} --overwrite"


def adopt(placement: "ProjectPlacement", namespace: str, *, by: str) -> bool:
    """Let a namespace be the project's on that cluster from now on; False when it is already.

    Nothing on the cluster changes before the operator has handed it over. Raises Invalid for what
    is no name, Conflicting for what is not to be had, Deleting.
    """
    if placement.adopted == namespace:
        return False
    check_name(namespace)
    if placement.deleting or placement.project.deleting:
        raise Deleting(f"{placement.project} is being deleted.")
    _refuse_used(placement, namespace)
    with marking():
        _refuse_moving(placement)
        rows = type(placement).objects.filter(pk=placement.pk)
        rows.update(adopted=namespace)
        placement.adopted = namespace
        message = f"{by} asked to adopt the namespace {namespace} as {placement}."
        Event.record(placement, "AdoptionRequested", message, actor=by)
        placement.mark()
        for row in placement.inside():
            row.mark()
        touch(placement.key)
    return True


def check_name(namespace: str) -> None:
    """Refuse what is no name of a namespace, and those of the platform."""
    if not _LABEL.fullmatch(namespace):
        raise Invalid("Parts of the request are wrong.", errors=[_fault("name", "No DNS label.")])
    if of_platform(namespace):
        raise _taken("It belongs to the platform.")


def _refuse_used(placement: "ProjectPlacement", namespace: str) -> None:
    rows = type(placement).objects.filter(cluster=placement.cluster).exclude(pk=placement.pk)
    for other in rows.select_related("project__tenant"):
        if namespace in {other.namespace, other.project.namespace}:
            raise _taken(f"It belongs to {other.project}.")


def _refuse_moving(placement: "ProjectPlacement") -> None:
    """What stands stays: a project is never moved from one namespace to another."""
    if placement.adopted and placement.observed_generation:
        raise Conflicting(f"{placement} is {placement.adopted} already, and is never moved.")
    if inside := placement.inside():
        raise Conflicting(
            f"{inside[0]} lives in {placement.namespace} already, and a project is never moved. "
            "Create a new project, have the namespace adopted there, and deliver into it."
        )


def check_found(placement: "ProjectPlacement", found: Live | None) -> None:
    """Refuse what the cluster tells of the namespace. Raises Conflicting."""
    if found is None:
        raise _taken("There is no such namespace on the cluster.")
    if found.terminating:
        raise _taken("It is being deleted on the cluster.")
    manager, owner = found.labels.get(MANAGED_BY, ""), found.labels.get(OWNER, "")
    tenant = found.labels.get(_CAPSULE_TENANT) or found.labels.get(TENANT) or ""
    if (manager not in {"", MANAGER}) or (owner not in {"", placement.owner}):
        raise _taken(f"It is managed by {owner or manager}.")
    if tenant not in {"", placement.tenant_name}:
        raise _taken(f"It belongs to the tenant {tenant}.")


def ref_of(namespace: str) -> Ref:
    """Return the reference of a namespace."""
    return Ref(_NAMESPACE, "", namespace)


def _taken(text: str) -> Conflicting:
    return Conflicting("This namespace is not to be had.", errors=[_fault("taken", text)])


def _fault(code: str, text: str) -> Fault:
    return Fault(code, text, "/namespace")
