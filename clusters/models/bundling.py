"""What an operator asks of a bundle: apply it, or say first what that would do."""

from dataclasses import dataclass

from clusters.bundles import Bundle, read
from clusters.connect import connect
from clusters.credentials import Given
from clusters.epoch import identity
from clusters.installing import rehearse
from clusters.kubeconfig import Credential
from clusters.models.bootstrap import (
    CARRIED,
    BootstrapRun,
    credential_for,
    usual_namespace,
)
from clusters.models.cluster import Cluster
from clusters.plainyaml import Malformed
from reconcile.deadline import within
from reconcile.errors import ClusterError
from reconcile.planning.values import PlannedCluster, Report, State
from reconcile.refusals import Conflicting, Fault, Invalid, PlanOutdated, Unavailable

_NOT_OURS = "Its objects are the operator's afterwards: neither repaired nor removed."
_SECONDS = 10.0


@dataclass(frozen=True)
class Asked:
    """A bundle for a step of the runbook; `given` is the credential that came with it, if any."""

    cluster: Cluster
    step: str
    raw: bytes
    given: Given | None
    namespace: str
    force: bool
    by: str

    @property
    def bundle(self) -> Bundle:
        """What is in it. Raises Invalid."""
        try:
            return read(self.raw, own=self.step in CARRIED)
        except Malformed as error:
            where = f"{error.where} " if error.where else "The bundle "
            raise _wrong(Fault("bundle", f"{where}{error.message}.", "/bundle")) from None

    @property
    def credential(self) -> Credential:
        """What it is applied with. Raises Invalid."""
        found = credential_for(self.cluster, self.given)
        if found is None:
            told = "Send the kubeconfig of an administrator: KubeNova's own rights do not suffice."
            raise _wrong(Fault("required", told, "/kubeconfig"))
        return found


def apply_bundle(asked: Asked) -> BootstrapRun:
    """Have the bundle applied by the loop. Raises Invalid, Conflicting."""
    asked.bundle  # noqa: B018 - tells what is wrong with it
    if asked.cluster.deleting:
        raise Conflicting(f"{asked.cluster} is being deleted.")
    return BootstrapRun.ask(
        asked.cluster,
        asked.step,
        asked.raw,
        credential=asked.credential,
        by=asked.by,
        namespace=asked.namespace,
        force=asked.force,
    )


def plan_bundle(asked: Asked) -> Report:
    """Say what applying the bundle would do now; the cluster is asked, nothing is written.

    Raises Invalid, Conflicting for the credential of another cluster, Unavailable.
    """
    bundle, credential, cluster = asked.bundle, asked.credential, asked.cluster
    namespace = asked.namespace or usual_namespace(asked.step)
    row = f"Bootstrap of {cluster.name}: {asked.step}"
    try:
        with within(_SECONDS), connect(cluster, credential) as api:
            if cluster.kube_system_uid not in ("", identity(api)):
                raise Conflicting(f"The credential is one of another cluster than {cluster.name}.")
            found = rehearse(api, bundle, namespace, row=row, force=asked.force)
    except ClusterError as error:
        raise Unavailable(f"{cluster} did not answer: {error.message}") from None
    notes = [
        _NOT_OURS,
        *(f"{each} is left out: no installation runs it." for each in bundle.skipped),
    ]
    told = PlannedCluster(cluster.name, State.ASKED, notes=tuple(notes), objects=found.objects)
    return Report(found.hash, (told,))


def refuse_outdated(asked: Asked, accepted: str) -> None:
    """Make sure that a plan is what would happen now. Raises PlanOutdated."""
    if plan_bundle(asked).hash != accepted:
        raise PlanOutdated("The cluster or the bundle differs from what was planned. Plan anew.")


def _wrong(fault: Fault) -> Invalid:
    return Invalid("Parts of the request are wrong.", errors=[fault])
