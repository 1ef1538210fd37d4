"""The form that asks for a kubeconfig."""

import secrets
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User

from access.intents import Verbs
from access.models.grant import verbs_of
from reconcile.pages.fields import Checks
from reconcile.pages.forms import PageForm
from reconcile.refusals import Refusal
from tenancy.models import Project, Tenant

_TIMES = (
    (600, "10 minutes"),
    (3600, "1 hour"),
    (4 * 3600, "4 hours"),
    (8 * 3600, "8 hours"),
    (24 * 3600, "1 day"),
)
_MEANING = {
    Verbs.VIEW: "view: read everything but Secrets",
    Verbs.LOGS: "logs: read the logs of pods",
    Verbs.EDIT: "edit: create, change and delete workloads",
    Verbs.EXEC: "exec: run commands in pods",
    Verbs.PORT_FORWARD: "port-forward: reach ports of pods",
    Verbs.SECRETS: "secrets: read and write Secrets",
}


class AskForm(PageForm):
    """What a kubeconfig shall allow: at first all that the role does, less Secrets.

    `ticket` is good for one kubeconfig: a page that is loaded again makes no second one.
    """

    ticket = forms.CharField(widget=forms.HiddenInput, max_length=40)
    verbs = forms.MultipleChoiceField(widget=Checks, label="What it may do")
    clusters = forms.MultipleChoiceField(widget=Checks, label="On which clusters")
    ttl_seconds = forms.TypedChoiceField(coerce=int, label="How long it is valid")
    namespaces = forms.MultipleChoiceField(
        widget=Checks,
        required=False,
        label="Only in these namespaces",
        help_text="Choose none for all of the tenant's, those of later projects included.",
    )
    description = forms.CharField(
        required=False,
        max_length=300,
        label="What for",
        widget=forms.TextInput(attrs={"placeholder": "Shown in the list of kubeconfigs"}),
    )

    def __init__(self, *args: Any, user: User, above: Tenant | Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tenant = above.tenant if isinstance(above, Project) else above
        allowed = verbs_of(user, above)
        self._offer("verbs", [(verb, _MEANING[verb]) for verb in _MEANING if verb in allowed])
        prepared = set(self.initial.get("verbs", allowed - {Verbs.SECRETS}))
        self.initial["verbs"] = sorted(prepared & allowed)
        names = placed_on(above)
        self._offer("clusters", [(name, name) for name in names])
        self.initial["clusters"] = names
        self._offer_times()
        self.initial["ticket"] = secrets.token_urlsafe(16)
        if isinstance(above, Project):
            del self.fields["namespaces"]
        else:
            projects = Project.objects.filter(tenant=tenant, deletion_requested_at=None)
            self._offer("namespaces", [(row.namespace, row.namespace) for row in projects])

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def _offer_times(self) -> None:
        least, most = settings.GRANT_MIN_SECONDS, settings.GRANT_MAX_SECONDS
        known = dict(_TIMES)
        known |= {edge: known.get(edge, f"{edge // 60} minutes") for edge in (least, most)}
        fitting = sorted((each, text) for each, text in known.items() if least <= each <= most)
        self.fields["ttl_seconds"].choices = fitting  # type: ignore[attr-defined]
        self.initial.setdefault("ttl_seconds", settings.GRANT_DEFAULT_SECONDS)

    def wanted(self) -> dict[str, Any]:
        """Return what was asked for, as `grant_for` takes it."""
        values = {name: value for name, value in self.cleaned_data.items() if name != "ticket"}
        return values | {"namespaces": values.get("namespaces") or None}

    def show(self, refusal: Refusal) -> None:
        """Show a refusal beside the fields that it is about."""
        for fault in refusal.errors:
            name = fault.pointer.split("/")[1] if fault.pointer.count("/") else ""
            self.add_error(name if name in self.fields else None, fault.detail)
        if not refusal.errors:
            self.add_error(None, refusal.detail)


def placed_on(above: Tenant | Project) -> list[str]:
    """Name the clusters that a tenant or project is placed on, and stays on."""
    rows = above.placements.filter(unselected=False, deletion_requested_at=None)
    return list(rows.order_by("cluster__name").values_list("cluster__name", flat=True))
