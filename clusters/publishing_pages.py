"""What the pages of everything that operators publish share: its forms, and how it fares."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied

from clusters.credentials import Given
from clusters.models import Cluster
from clusters.models.bundling import Asked, plan_bundle, refuse_outdated
from clusters.models.carrying import Carrying
from clusters.models.published import Published
from clusters.uploads import credential_in, refused
from reconcile.pages.finding import PageRequest
from reconcile.pages.forms import PageForm
from reconcile.pages.lists import page_of
from reconcile.pages.writing import PREVIEW
from reconcile.planning.values import Report
from reconcile.refusals import Refusal
from reconcile.values import JSON


def fares(row: Published) -> list[JSON]:
    """Return how it fares on each cluster that it was sent to."""
    told = ((each, *each.state()) for each in row.publications.all())
    return [{"row": each, "phase": phase, "message": text} for each, phase, text in told]


def find_operator(request: PageRequest) -> None:
    """Raises PermissionDenied for whoever is none."""
    if not request.user.is_staff:
        raise PermissionDenied


def listed(request: PageRequest, model: type[Published]) -> JSON:
    """Return a page of them, each with how it fares. Raises PermissionDenied."""
    find_operator(request)
    found = page_of(request, model._default_manager.prefetch_related(*model.shown()))
    return {"page": found, "rows": [(each, fares(each)) for each in found]}


def was_kept(
    request: PageRequest, form: forms.BaseForm, keep: Callable[[], tuple[Published, bool]]
) -> bool:
    """Whether it is kept; False where that was refused."""
    try:
        kept, _ = keep()
    except Refusal as refusal:
        form.add_error(None, refusal.detail)
        return False
    messages.success(request, f"{kept} is kept, as version {kept.version}.")
    return True


def was_let_go(request: PageRequest, form: forms.BaseForm, row: Published) -> bool | None:
    """Whether it is gone at once, once its name was typed; None where it was not, or is refused."""
    if not form.is_valid():
        return None
    try:
        gone = row.request_deletion()
    except Refusal as refusal:
        form.add_error(None, refusal.detail)
        return None
    messages.success(request, f"{row} is {'gone' if gone else 'being deleted'}.")
    return gone


class ClusterField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A cluster, by its name alone."""

    def label_from_instance(self, obj: Any) -> str:
        """Its name."""
        return str(obj.name)


class PublishForm(PageForm):
    """Where something goes, and as whom; `plan` is what that would do."""

    plan: Report | None = None
    cluster = ClusterField(queryset=Cluster.objects.none(), to_field_name="name")
    kubeconfig = forms.FileField(
        label="Kubeconfig",
        required=False,
        help_text="Of an administrator of this cluster. Sealed, and dropped once all is applied; "
        "an hour at most. Leave it out while that of the registration is at hand.",
    )
    force = forms.BooleanField(label="Take over fields that others hold", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Cluster.objects.filter(deletion_requested_at=None).order_by("name")
        field = self.fields["cluster"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = rows

    def clean_kubeconfig(self) -> Given | None:
        """Return the credential. Raises ValidationError that names the field inside."""
        return credential_in(self.cleaned_data["kubeconfig"])


def publish_form(request: PageRequest, row: Published, data: Any) -> PublishForm:
    """Return the form for where a row goes next: first where it is already."""
    there = [each.cluster.name for each in row.publications.all()]
    initial = {"cluster": there[0]} if there else {}
    return PublishForm(data, request.FILES or None, initial=initial)


def was_sent(
    request: PageRequest,
    form: PublishForm,
    row: Published,
    carrying: Callable[[Asked], Carrying],
) -> bool:
    """Whether the row is on its way; False where that was refused or only planned.

    `carrying` makes of what is asked what is carried, or refuses that.
    """
    given, planned = form.cleaned_data, request.POST.get("plan", "")
    by = request.user.get_username()
    asked = Asked(given["cluster"], "", b"", given["kubeconfig"], "", given["force"], by)
    try:
        found = carrying(asked)
        if PREVIEW in request.POST:
            form.plan = plan_bundle(found.asked)
            return False
        if planned:  # what was seen is what is applied
            refuse_outdated(found.asked, planned)
        found.publish()
    except Refusal as refusal:
        told = [each.detail for each in refusal.errors] or [refusal.detail]
        form.add_error(None, [refused(each) for each in told])
        return False
    messages.success(request, f"{row} is on its way.")
    return True
