"""Forms of policy sets, attachments and exceptions."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.utils import timezone

from policies.models import Attachment, PolicyException, PolicySet
from reconcile.pages.forms import DeclaredForm, PageForm
from reconcile.refusals import Refusal
from tenancy.restricting import RestrictionsField, words
from tenancy.rules.kinds import KINDS
from tenancy.rules.modes import Mode

_QUIET = {"autocomplete": "off", "spellcheck": "false"}
_NAME_HELP = "Lower-case letters, digits and single dashes. It never changes."
MODES = (
    (Mode.AUDIT, "Audit: it passes, and the audit log of the cluster tells"),
    (Mode.WARN, "Warn: it passes, and who asked is warned"),
    (Mode.ENFORCE, "Enforce: what breaks a rule is refused"),
)
_LONGEST_DAYS = 366


class WordsField(forms.CharField):
    """A list of names, separated by commas, spaces or lines."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={**_QUIET, "rows": 2, "class": "mono"})
        super().__init__(**{"required": False, "widget": widget, **kwargs})

    def prepare_value(self, value: Any) -> Any:
        """Return the names as a person types them."""
        return ", ".join(str(each) for each in value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """Return the names, each once."""
        return list(dict.fromkeys(words(str(super().clean(value) or ""))))


class PolicySetForm(DeclaredForm):
    """A policy set."""

    instance: PolicySet
    rules = RestrictionsField(
        label="Rules",
        help_text="Separate several by commas. Blank does not restrict; - allows nothing at all.",
    )

    class Meta:
        model = PolicySet
        fields = ("name", "description", "rules")
        help_texts: ClassVar[dict[str, str]] = {"name": _NAME_HELP}
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "name": forms.TextInput(attrs={**_QUIET, "autofocus": True}),
            "description": forms.TextInput(attrs={"placeholder": "What it is for, in a sentence"}),
        }


class AttachmentForm(DeclaredForm):
    """Whom a set binds."""

    instance: Attachment
    mode = forms.ChoiceField(choices=MODES, label="How hard it holds")
    version = forms.TypedChoiceField(coerce=int, empty_value=None, required=False)
    every_tenant = forms.BooleanField(
        required=False, label="Every tenant", help_text="Those to come as well."
    )
    tenants = WordsField(label="Tenants", help_text="Names, separated by commas.")
    projects = WordsField(label="Projects", help_text="Each as tenant/project.")
    clusters = WordsField(label="Clusters", help_text="Names, separated by commas.")

    class Meta:
        model = Attachment
        fields = (
            *("name", "mode", "version", "every_tenant"),
            *("tenants", "tenant_selector", "projects"),
            *("clusters", "cluster_selector"),
        )
        labels: ClassVar[dict[str, str]] = {
            "tenant_selector": "Tenants by their labels",
            "cluster_selector": "Clusters by their labels",
        }
        help_texts: ClassVar[dict[str, str]] = {
            "name": _NAME_HELP,
            "tenant_selector": "As in team=web, stage in (prod,qa), !legacy.",
            "cluster_selector": "As in region=eu, stage!=test.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "name": forms.TextInput(attrs={**_QUIET, "autofocus": True}),
            "tenant_selector": forms.TextInput(attrs={**_QUIET, "class": "mono"}),
            "cluster_selector": forms.TextInput(attrs={**_QUIET, "class": "mono"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        policy_set = self.instance.policy_set
        numbers = policy_set.versions.values_list("number", flat=True)
        newest = ("", f"The newest, now {policy_set.version}")
        choices = [newest, *((number, f"Version {number}") for number in numbers)]
        self.fields["version"].choices = choices  # type: ignore[attr-defined]


class PromotionForm(DeclaredForm):
    """How hard an attachment holds from now on."""

    instance: Attachment
    mode = forms.ChoiceField(choices=MODES, label="How hard it holds")

    class Meta:
        model = Attachment
        fields = ("mode",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["mode"] = self.instance.harder or self.instance.mode


class ExceptionForm(PageForm):
    """Spares somebody one kind of an attachment's rules."""

    subject = forms.CharField(
        label="For whom",
        max_length=81,
        help_text="A tenant, or one project of it as tenant/project.",
        widget=forms.TextInput(attrs={**_QUIET, "placeholder": "e.g. acme/shop"}),
    )
    kind = forms.ChoiceField(label="From which rule")
    reason = forms.CharField(label="Why", min_length=3, max_length=300)
    days = forms.IntegerField(
        label="For how many days", min_value=1, max_value=_LONGEST_DAYS, initial=30
    )

    def __init__(self, *args: Any, attachment: Attachment, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.attachment = attachment
        kinds = [(kind, KINDS[kind].title) for kind in sorted(attachment.attached.rules)]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]

    def make(self, by: str) -> PolicyException | None:
        """Make the exception; None when that was refused, which the form tells then."""
        found = self.cleaned_data
        tenant, _, project = found["subject"].strip().partition("/")
        try:
            return self.attachment.make_exception(
                by,
                tenant=tenant,
                project=project,
                kind=found["kind"],
                reason=found["reason"],
                expires_at=timezone.now() + timedelta(days=found["days"]),
            )
        except Refusal as refusal:
            for fault in refusal.errors:
                named = {"/tenant": "subject", "/project": "subject"}
                self.add_error(named.get(fault.pointer), fault.detail)
            return None
