"""Whether a tenant's projects fit its namespace options: asked whenever one of them is declared."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from clusters.models import Cluster
from reconcile.errors import Refused
from reconcile.locks import lock_alone
from reconcile.refusals import Conflicting, Fault, Invalid, LimitReached
from reconcile.spelling import escaped
from reconcile.values import JSON, Plan, Verb
from tenancy.models.serving import refuse_unsafe
from tenancy.rules.names import namespace_of, of_platform
from tenancy.rules.namespaces import label_problems

if TYPE_CHECKING:
    from tenancy.models.project import Project
    from tenancy.models.tenant import Tenant


def refuse_project(project: "Project", *, created: bool) -> None:
    """Raise LimitReached for one project too many, Invalid for labels that are not to be.

    Raises Conflicting for a namespace that would look like one of the platform's, or is foreign,
    and Unserved where an operator has to accept something of a cluster first.

    Projects of a tenant are declared one after the other: of two at once, one is the last.
    """
    if created:
        refuse_unsafe(project.tenant)
        _refuse_platform(project.namespace)
        _refuse_foreign(project, Cluster.objects.filter(pk__in=project.targets()))
    lock_alone(_key(project.tenant))
    tenant = type(project.tenant).objects.get(pk=project.tenant_id)
    options = _options(tenant)
    if created and "count" in options:
        _refuse_too_many(tenant, options["count"])
    _refuse_labels(options, {**tenant.labels, **project.labels})


def refuse_tenant(tenant: "Tenant", *, created: bool) -> None:
    """Raise Invalid for own labels that it forbids, Conflicting for projects that do not fit.

    Raises Conflicting for a name that no project could have a namespace under.
    A rule that its own projects break would only be true for some of them: they change first.
    """
    if created:
        _refuse_platform(namespace_of(tenant.name, "any"))
    if not (options := _options(tenant)):
        return
    lock_alone(_key(tenant))
    forbidden = {"forbidden_labels": options.get("forbidden_labels", ())}
    _refuse_labels(forbidden, tenant.labels)
    rows = list(tenant.projects.order_by("name"))
    limit = options.get("count", len(rows))
    if len(rows) > limit:
        raise _conflict("count", f"There are {len(rows)} projects, and count would be {limit}.")
    for row in rows:
        for key, text in label_problems(options, {**tenant.labels, **row.labels}):
            side = "required_labels" if key in options.get("required_labels", {}) else ""
            raise _conflict(side or "forbidden_labels", f"{row} does not fit: {text}")


def misfits(tenant: "Tenant", options: JSON) -> Iterator[str]:
    """Say what of a tenant and its projects, as they are now, other options would not let be."""
    forbidden = {"forbidden_labels": options.get("forbidden_labels", ())}
    for _, text in label_problems(forbidden, tenant.labels):
        yield f"{tenant} does not fit: {text}"
    rows = tenant.projects.all()
    if len(rows) > options.get("count", len(rows)):
        yield f"{tenant} has {len(rows)} projects, and count would be {options['count']}."
    for row in rows:
        for _, text in label_problems(options, {**tenant.labels, **row.labels}):
            yield f"{row} does not fit: {text}"


def _refuse_platform(namespace: str) -> None:
    if of_platform(namespace):
        raise Conflicting(
            f"The namespace {namespace} would look like one of the platform's: those begin with "
            "kube- and kubenova-. Choose another name for the tenant."
        )


def refuse_moving_in(tenant: "Tenant", clusters: Sequence[Cluster]) -> None:
    """Raise Conflicting where projects come to clusters on which their namespaces are foreign."""
    for project in tenant.projects.filter(deletion_requested_at=None):
        there = project.placements.values_list("cluster_id", flat=True)
        _refuse_foreign(project, [each for each in clusters if each.pk not in set(there)])


def _refuse_foreign(project: "Project", clusters: Iterable[Cluster]) -> None:
    """Nothing is asked of a cluster here: its last look at its namespaces has told."""
    name = project.namespace
    if held := sorted(each.name for each in clusters if name in each.foreign_namespaces):
        where = f"cluster{'s' * (len(held) > 1)} {', '.join(held)}"
        text = (
            f"The namespace {name} is there already on {where} and is not KubeNova's. Choose "
            f"another name: an operator may have {name} adopted by that project (:adopt). Or have "
            "it removed, and the cluster looked at anew (POST /api/v1/clusters/"
            f"{held[0]}:reprobe)."
        )
        raise Conflicting(text, errors=[Fault("taken", f"{name} is not to be had.", "/name")])


def refuse_making(namespace: str, plan: Plan) -> None:
    """Raise Refused where a plan would make a namespace that was there before KubeNova.

    What its people had in it is gone with it: one of the same name would only look like it.
    """
    for step in plan.steps:
        if step.verb is Verb.APPLY and step.ref.kind.name == "Namespace" and not step.uid:
            raise Refused(
                f"The namespace {namespace} was adopted and is gone; KubeNova does not make it "
                "anew. Delete the project, or restore the namespace and adopt it again."
            )


def _key(tenant: "Tenant") -> str:
    return f"{tenant.key}/namespaces"


def _options(tenant: "Tenant") -> JSON:
    found: JSON = tenant.in_force().get("namespaces", {})
    return found


def _refuse_too_many(tenant: "Tenant", limit: int) -> None:
    """The new one is counted already; one that is being deleted counts until it is gone."""
    before = tenant.projects.count() - 1
    if before >= limit:
        raise LimitReached(
            f"{tenant} may have {limit} projects (restrictions.namespaces.count) and has {before}.",
            limit=limit,
            found=before,
        )


def _refuse_labels(options: JSON, labels: dict[str, str]) -> None:
    faults = [
        Fault("label", text, pointer=f"/labels/{escaped(key)}")
        for key, text in label_problems(options, labels)
    ]
    if faults:
        raise Invalid("Parts of the request are wrong.", errors=faults)


def _conflict(side: str, text: str) -> Conflicting:
    fault = Fault("namespaces", text, pointer=f"/restrictions/namespaces/{side}")
    return Conflicting(f"{text} Change the projects first.", errors=[fault])
