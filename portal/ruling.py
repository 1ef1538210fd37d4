"""Rules up front: leave a field, or whatever another manager owns, to others from the start."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from delivery.models import App
from portal.deciding import IgnoreForm
from portal.objects import page_of
from reconcile.models.declared import Declared
from reconcile.pages.finding import PageRequest, find, page, sent
from reconcile.pages.writing import show_form
from reconcile.refusals import Deleting, Refusal
from reconcile.values import JSON
from tenancy.api.drift_bodies import RuleSerializer
from tenancy.drift import declare_rule
from tenancy.models import Project, Tenant

_MODELS: dict[str, type[Declared]] = {"tenant": Tenant, "project": Project, "app": App}
_FIELDS = {"object": "kind", "expires_at": "until"}


class RuleForm(IgnoreForm):
    """Which fields of which objects, why, and until when. Judged by the rules of the API."""

    kind = forms.CharField(
        required=False,
        max_length=63,
        label="Kind of object",
        help_text="Leave it blank for any.",
        widget=forms.TextInput(attrs={"placeholder": "Deployment"}),
    )
    name = forms.CharField(
        required=False,
        max_length=253,
        label="Name of the object",
        help_text="Leave it blank for all of that kind.",
    )
    pointer = forms.CharField(
        required=False,
        max_length=1000,
        label="Field",
        help_text="A JSON pointer (RFC 6901), with all below it. Or name who owns the fields:",
        widget=forms.TextInput(attrs={"placeholder": "/spec/replicas"}),
    )
    manager = forms.CharField(
        required=False,
        max_length=150,
        label="Field manager",
        help_text="As managedFields names it. With a field: only while this manager owns it.",
        widget=forms.TextInput(attrs={"placeholder": "keda-operator"}),
    )
    field_order = ("kind", "name", "pointer", "manager", "reason", "until")
    rule: JSON

    def clean(self) -> dict[str, Any]:
        """Keep what the API would take as `rule`; tell what it would not at its field."""
        values = super().clean() or {}
        target = {name: values[name] for name in ("kind", "name") if values.get(name)}
        named = {name: values[name] for name in ("pointer", "manager") if values.get(name)}
        given = {**named, "reason": values.get("reason", ""), "expires_at": values.get("until")}
        body = RuleSerializer(data=given | ({"object": target} if target else {}))
        if body.is_valid():
            self.rule = body.validated_data
        for field, faults in body.errors.items():
            name = _FIELDS.get(field, field)
            for fault in _flat(faults):
                if name not in self.errors:
                    self.add_error(name if name in self.fields else None, fault)
        return values


def _flat(faults: object) -> list[str]:
    """Every text in the errors of a serializer, however deep."""
    if isinstance(faults, dict):
        return [text for each in faults.values() for text in _flat(each)]
    return [str(each) for each in faults] if isinstance(faults, list) else [str(faults)]


@require_http_methods(["GET", "HEAD", "POST"])
@page
def leave(request: PageRequest, kind: str, uid: UUID) -> HttpResponse:
    """Ask which fields of an object are left to others, then have it so."""
    model = _MODELS.get(kind)
    if model is None:
        raise Http404
    row = find(model._default_manager.all(), request, "change", uid=uid)
    form = RuleForm(sent(request))
    if form.is_valid() and _declared(request, row, form):
        return redirect(page_of(row))
    context = {"row": row, "back": page_of(row)}
    return show_form(request, "portal/drift_rule.html", form, context)


def _declared(request: PageRequest, row: Declared, form: RuleForm) -> bool:
    try:
        if row.deleting:
            raise Deleting(f"{row} is being deleted.")
        _, created = declare_rule(request.user, row, form.rule)
    except Refusal as refusal:
        form.add_error("kind" if refusal.errors else None, refusal.detail)
        return False
    said = "From now on this is left to others." if created else "This was so already."
    messages.success(request, said)
    return True
