"""Pages of one cluster for operators: what it offers, what is wrong with it, how to mend that."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters.bundles import MAX_BYTES
from clusters.credentials import Given
from clusters.models import Cluster, Finding
from clusters.models.bootstrap import STEPS, usual_namespace
from clusters.models.bundling import Asked, apply_bundle, plan_bundle, refuse_outdated
from clusters.models.runbook import runbook
from clusters.uploads import content, credential_in, refused
from reconcile.pages.finding import PageRequest, abilities, find, page, sent
from reconcile.pages.forms import PageForm
from reconcile.pages.polling import Poll, fragment
from reconcile.pages.writing import PREVIEW, show_form
from reconcile.planning.values import Report
from reconcile.refusals import Refusal
from reconcile.spelling import name_fault
from reconcile.values import JSON


class ReasonForm(PageForm):
    """Why a finding may stay as it is."""

    reason = forms.CharField(label="Why it may stay as it is", max_length=500)


class BundleForm(PageForm):
    """A rendered bundle, and what it is applied with; `plan` is what it would do."""

    plan: Report | None = None
    bundle = forms.FileField(
        label="Bundle",
        help_text="Rendered manifests (YAML), at most 1 MiB, as helm template prints them.",
    )
    kubeconfig = forms.FileField(
        label="Kubeconfig",
        required=False,
        help_text="Of an administrator of this cluster. Sealed, and dropped once the bundle is "
        "applied; an hour at most. Leave it out while that of the registration is at hand.",
    )
    namespace = forms.CharField(
        label="Namespace",
        required=False,
        max_length=63,
        help_text="Where objects go that name none. It is made if it is absent.",
    )
    force = forms.BooleanField(
        label="Take over fields that others hold, as Helm does", required=False
    )

    def clean_bundle(self) -> bytes:
        """Return the text. Raises ValidationError where it is too large."""
        return content(self.cleaned_data["bundle"], MAX_BYTES)

    def clean_kubeconfig(self) -> Given | None:
        """Return the credential. Raises ValidationError that names the field inside."""
        return credential_in(self.cleaned_data["kubeconfig"])

    def clean_namespace(self) -> str:
        """Return the name. Raises ValidationError for what is none."""
        name: str = self.cleaned_data["namespace"]
        if name and (fault := name_fault(name)):
            raise refused(f"The name {fault}.")
        return name


@require_safe
@page
def cluster(request: PageRequest, name: str) -> HttpResponse:
    """One cluster."""
    row = find(Cluster.objects.all(), request, name=name)
    return render(request, "portal/cluster.html", _cluster(request, row))


@require_safe
@page
def cluster_fragment(request: PageRequest, name: str) -> HttpResponse:
    """The part of it that moves."""
    row = find(Cluster.objects.all(), request, name=name)
    context = _cluster(request, row)
    return fragment(request, "portal/_cluster.html", context, context["poll"])


def _cluster(request: PageRequest, row: Cluster) -> JSON:
    runs = list(row.bootstrap_runs.all())
    return {
        "cluster": row,
        "capabilities": row.capabilities.all(),
        "findings": row.findings.all(),
        "steps": [
            {"step": step, "run": run, "open": step.name in STEPS} for step, run in runbook(row)
        ],
        "may": abilities(row, request.user, ("change",)),
        "poll": Poll.of(request, reverse("cluster-state", args=[row.name]), [row, *runs]),
    }


@require_http_methods(["GET", "HEAD", "POST"])
@page
def accept(request: PageRequest, name: str, code: str) -> HttpResponse:
    """Say why a finding may stay as it is."""
    row = find(Cluster.objects.all(), request, "change", name=name)
    finding = _finding(row, code)
    form = ReasonForm(sent(request))
    if form.is_valid():
        finding.accept(form.cleaned_data["reason"], by=request.user.get_username())
        messages.success(request, f"{finding} was accepted.")
        return redirect("cluster", name)
    return show_form(request, "portal/accept.html", form, {"cluster": row, "finding": finding})


@require_POST
@page
def revoke(request: PageRequest, name: str, code: str) -> HttpResponse:
    """Take an acceptance back."""
    row = find(Cluster.objects.all(), request, "change", name=name)
    finding = _finding(row, code)
    if finding.revoke(by=request.user.get_username()):
        messages.success(request, f"{finding} is no longer accepted.")
    return redirect("cluster", name)


def _finding(row: Cluster, code: str) -> Finding:
    found = row.findings.filter(code=code).first()
    if found is None:
        raise Http404
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@page
def bootstrap(request: PageRequest, name: str, step: str) -> HttpResponse:
    """Have a bundle applied for a step of the runbook, or see first what it would do."""
    row = find(Cluster.objects.all(), request, "change", name=name)
    if step not in STEPS:
        raise Http404
    form = BundleForm(sent(request), request.FILES or None)
    if form.is_valid() and _brought(request, form, _asked(request, row, step, form.cleaned_data)):
        messages.success(request, f"The bundle is on its way to {row}.")
        return redirect("cluster", name)
    context = {"cluster": row, "step": step, "usual": usual_namespace(step)}
    return show_form(request, "portal/bootstrap.html", form, context)


def _brought(request: PageRequest, form: BundleForm, asked: Asked) -> bool:
    """Have it applied; False where that was refused, or where only its plan was asked for."""
    planned = request.POST.get("plan", "")
    try:
        if PREVIEW in request.POST:
            form.plan = plan_bundle(asked)
            return False
        if planned:  # what was seen is what is applied
            refuse_outdated(asked, planned)
        apply_bundle(asked)
    except Refusal as refusal:
        told = [fault.detail for fault in refusal.errors] or [refusal.detail]
        form.add_error(None, [refused(each) for each in told])
        return False
    return True


def _asked(request: PageRequest, row: Cluster, step: str, data: dict[str, Any]) -> Asked:
    return Asked(
        cluster=row,
        step=step,
        raw=data["bundle"],
        given=data["kubeconfig"],
        namespace=data["namespace"],
        force=data["force"],
        by=request.user.get_username(),
    )
