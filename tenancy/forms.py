"""Forms of tenants, projects and members."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from clusters.models import Cluster
from reconcile.pages.fields import PairsField
from reconcile.pages.forms import PageForm, SectionedForm
from reconcile.values import RepairMode
from tenancy.fields import LabelsField, LimitsField, PlacementField
from tenancy.intents import Division, Isolation, Role
from tenancy.models import Project, Tenant
from tenancy.restricting import (
    BindingsField,
    FloorsField,
    NetworkField,
    RestrictionsField,
    SubjectsField,
)
from tenancy.rules.limits import QUOTA_KEYS

_DESCRIPTION = forms.TextInput(attrs={"placeholder": "What it is for, in a sentence"})
_NAME = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autofocus": True})
_NAME_HELP = "Lower-case letters, digits and single dashes. It never changes."
ISOLATION = (
    (Isolation.ISOLATED, "Isolated: the same tenant and DNS alone, in and out"),
    (Isolation.EGRESS_OPEN, "Egress open: only the same tenant comes in, everything may go out"),
    (Isolation.NONE, "None: no network policy"),
)
REPAIR_MODES = (
    (RepairMode.AUTO, "Auto: what differs on a cluster is repaired at once"),
    (RepairMode.MANUAL, "Manual: it is shown until somebody repairs, accepts or ignores it"),
)
DIVISIONS = (
    (Division.EVEN, "Even: the same to every project"),
    (Division.WEIGHT, "Weight: by the weight of each project"),
    (Division.DEMAND, "Demand: where it is used"),
)
_RULES_HELP = (
    "What may pass beside the preset: addresses, or pods by the labels of their namespaces and "
    "their own. No port means every port."
)
_CONTACT = ("e.g. contact", "e.g. payments@example.org")
_AMOUNT = ("e.g. requests.cpu", "e.g. 4")
NO_SUCH_USER = "There is no active user of this name."


class TenantForm(SectionedForm):
    """A tenant. Who may not administer it gets the fields of a tenant-admin alone."""

    instance: Tenant
    owners = forms.CharField(
        required=False,
        label="Tenant admins",
        help_text="User names, separated by commas. You become the admin if you name nobody.",
        widget=forms.TextInput(attrs={"placeholder": "e.g. alice, bob", "autocomplete": "off"}),
    )
    labels = LabelsField(help_text="On every namespace of the tenant.")
    isolation = forms.ChoiceField(choices=ISOLATION, label="Network isolation")
    repair_mode = forms.ChoiceField(choices=REPAIR_MODES, required=False, label="Repair of drift")
    annotations = PairsField(
        noun="annotation",
        examples=_CONTACT,
        label="Annotations",
        help_text="On every namespace of the tenant.",
    )
    network = NetworkField(
        label="Network rules",
        help_text=_RULES_HELP,
    )
    restrictions = RestrictionsField(
        label="Restrictions",
        help_text="Separate several by commas. Blank does not restrict; - allows nothing at all.",
    )
    owner_subjects = SubjectsField(
        label="Groups and service accounts that own it", help_text="As the clusters know them."
    )
    role_bindings = BindingsField(
        label="Roles for others", help_text="In every namespace of the tenant."
    )
    cordoned = forms.BooleanField(
        required=False,
        label="Cordoned",
        help_text="Nothing in its namespaces can be made, changed or deleted.",
    )
    deletion_protection = forms.BooleanField(
        required=False,
        label="Protected from deletion",
        help_text="It cannot be deleted before this is taken off.",
    )
    quota_floors = FloorsField(
        label="Floors", help_text="What each cluster gets at least; the rest is shared."
    )
    quota_division = forms.ChoiceField(choices=DIVISIONS, required=False, label="How it is shared")
    quota = PairsField(
        noun="quota",
        key="Resource",
        value="Quantity",
        examples=_AMOUNT,
        suggestions=sorted(QUOTA_KEYS),
        label="Quota",
        help_text="Hard totals over all clusters and projects of the tenant.",
    )
    limits = LimitsField(label="Limits of containers")
    placement = PlacementField(label="Clusters")

    class Meta:
        model = Tenant
        fields = (
            "name",
            "description",
            "labels",
            "annotations",
            "isolation",
            "network",
            "repair_mode",
            "placement",
            "quota",
            "quota_division",
            "quota_floors",
            "limits",
            "restrictions",
            "owner_subjects",
            "role_bindings",
            "cordoned",
            "deletion_protection",
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {"name": _NAME, "description": _DESCRIPTION}
        help_texts: ClassVar[dict[str, str]] = {"name": _NAME_HELP}

    field_order = ("name", "description", "owners", *Meta.fields[2:])
    sections: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]] = (
        ("", ("name", "description", "owners", "labels", "placement")),
        ("Network", ("isolation", "network")),
        ("Quota and limits", ("quota", "quota_division", "quota_floors", "limits")),
        ("Restrictions", ("restrictions",)),
        ("Access for others", ("owner_subjects", "role_bindings")),
        ("More", ("annotations", "repair_mode", "cordoned", "deletion_protection")),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["owners"]
            if not self.instance.may(self.user, "administer"):
                for name in {*self.fields} - Tenant.own_fields - {"generation"}:
                    del self.fields[name]
        if self.user.is_staff and "owners" in self.fields:
            self.fields["owners"].help_text = "User names, separated by commas."
        placement = self.fields.get("placement")
        if isinstance(placement, PlacementField):
            placement.offer(Cluster.objects.visible_to(self.user).values_list("name", flat=True))

    def clean_owners(self) -> list[str]:
        """Return the names, once each. Raises ValidationError for one that is no active user."""
        text: str = self.cleaned_data["owners"]
        names = sorted({name for part in text.split(",") if (name := part.strip())})
        found = User.objects.filter(username__in=names, is_active=True)
        known = set(found.values_list("username", flat=True))
        if unknown := [name for name in names if name not in known]:
            message = f"{NO_SUCH_USER[:-1]}: %(names)s."
            params = {"names": ", ".join(unknown)[:200]}
            raise ValidationError(message, code="unknown", params=params)
        return names

    def complete(self) -> None:
        """Name its admins."""
        super().complete()
        if names := self.cleaned_data.get("owners"):
            self.instance.owners = names


class ProjectForm(SectionedForm):
    """A project of a tenant. Its own admins get what is theirs to change alone."""

    instance: Project
    labels = LabelsField(help_text="On its namespace, beside those of the tenant.")
    annotations = PairsField(
        noun="annotation", examples=_CONTACT, label="Annotations", help_text="On its namespace."
    )
    network = NetworkField(label="Network rules", help_text=_RULES_HELP)
    quota = PairsField(
        noun="quota",
        key="Resource",
        value="Quantity",
        examples=_AMOUNT,
        suggestions=sorted(QUOTA_KEYS),
        label="Quota",
        help_text="At most so much, inside of what the tenant has.",
    )

    class Meta:
        model = Project
        fields = ("name", "description", "labels", "quota", "weight", "network", "annotations")
        widgets: ClassVar[dict[str, forms.Widget]] = {"name": _NAME, "description": _DESCRIPTION}
        help_texts: ClassVar[dict[str, str]] = {
            "name": _NAME_HELP,
            "weight": "Its part of the tenant's quota beside other projects, where weights count.",
        }

    sections: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]] = (
        ("", ("name", "description", "labels")),
        ("Quota", ("quota", "weight")),
        ("Network", ("network",)),
        ("More", ("annotations",)),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["weight"].required = False
        row = self.instance
        if row.pk and not row.tenant.may(self.user, "add_project"):
            for name in {*self.fields} - Project.own_fields - {"generation"}:
                del self.fields[name]

    def clean_weight(self) -> int:
        """Return the weight; without one it is that of any project."""
        weight: int | None = self.cleaned_data["weight"]
        return 1 if weight is None else weight


class MemberForm(PageForm):
    """Makes a user a member, or changes the role."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    role = forms.ChoiceField(choices=[(role, role) for role in Role], initial=Role.DEV)

    def __init__(self, *args: Any, team: Tenant | Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team = team

    def clean_username(self) -> str:
        """Refuse a name that nobody active has. Raises ValidationError."""
        name: str = self.cleaned_data["username"]
        if not User.objects.filter(username=name, is_active=True).exists():
            raise ValidationError(NO_SUCH_USER, code="unknown")
        return name
