"""The form that begins a simulation."""

from typing import Any

from django import forms

from policies.forms import WordsField
from policies.models import PolicySet, Simulation
from policies.models.validators import validate_selector
from policies.simulating import simulate
from reconcile.pages.forms import PageForm
from reconcile.refusals import Refusal


class SimulationForm(PageForm):
    """A version, and whom it would bind."""

    version = forms.TypedChoiceField(coerce=int, label="Version")
    attachment = forms.ChoiceField(
        required=False, label="Whom an attachment binds", help_text="With its exceptions."
    )
    every_tenant = forms.BooleanField(required=False, label="Every tenant")
    tenants = WordsField(label="Tenants", required=False, help_text="Names, separated by commas.")
    tenant_selector = forms.CharField(
        required=False,
        max_length=1000,
        validators=[validate_selector],
        label="Tenants by their labels",
        help_text="As in team=web, stage in (prod,qa), !legacy.",
    )

    def __init__(self, *args: Any, policy_set: PolicySet, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy_set = policy_set
        numbers = policy_set.versions.values_list("number", flat=True)
        names = policy_set.attachments.order_by("name").values_list("name", flat=True)
        versions = [(number, f"Version {number}") for number in numbers]
        named = [("", "None: those named below"), *((name, name) for name in names)]
        self.fields["version"].choices = versions  # type: ignore[attr-defined]
        self.fields["attachment"].choices = named  # type: ignore[attr-defined]

    def begin(self, by: str) -> Simulation | None:
        """Begin it; None when that was refused, which the form tells then."""
        try:
            return simulate(self.policy_set, by, **self.cleaned_data)
        except Refusal as refusal:
            for fault in refusal.errors:
                name = fault.pointer.strip("/")
                self.add_error(name if name in self.fields else None, fault.detail)
            return None
