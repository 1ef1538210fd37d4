"""The lists of allowed types for operators, who edit them here."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from delivery.models import TypeList
from delivery.models.published_types import published_names
from delivery.rules.allowing import COLUMNS, KNOWN
from delivery.rules.definitions import DefinitionKind

_KINDS = {column: kind for kind, column in COLUMNS.items()}


def _types(kind: DefinitionKind) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        choices=lambda: [(name, name) for name in sorted({*KNOWN[kind], *published_names(kind)})],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=f"Allowed {kind} types",
    )


def _open(kind: DefinitionKind) -> forms.BooleanField:
    return forms.BooleanField(
        required=False,
        label=f"No list of {kind} types",
        help_text="Of a tenant: as the platform has it. Of the platform: every type of ours.",
    )


class TypeListForm(forms.ModelForm):  # type: ignore[type-arg]
    """Lists, each of which may be left out; one without any choice allows nothing."""

    open_components = _open(DefinitionKind.COMPONENT)
    components = _types(DefinitionKind.COMPONENT)
    open_traits = _open(DefinitionKind.TRAIT)
    traits = _types(DefinitionKind.TRAIT)
    open_workflow_steps = _open(DefinitionKind.STEP)
    workflow_steps = _types(DefinitionKind.STEP)

    class Meta:
        model = TypeList
        fields = ("tenant", *COLUMNS.values())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, kind in _KINDS.items():
            stored = getattr(self.instance, name)
            self.initial[f"open_{name}"] = stored is None
            self.initial[name] = KNOWN[kind] if stored is None else stored

    def clean(self) -> dict[str, Any] | None:
        """Take a list that is left out for none."""
        values = super().clean() or {}
        return values | {name: None for name in _KINDS if values.get(f"open_{name}")}


@admin.register(TypeList)
class TypeListAdmin(ModelAdmin):  # type: ignore[misc]
    """Which types people may use; what runs goes on, and may be changed otherwise."""

    form = TypeListForm
    list_display = ("__str__", *COLUMNS.values(), "changed_by", "changed_at")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)
    fields = ("tenant", *(name for kind in _KINDS for name in (f"open_{kind}", kind)))
    actions: ClassVar[list[str]] = []

    def get_readonly_fields(self, request: HttpRequest, obj: TypeList | None = None) -> list[str]:
        """A list stays with its tenant."""
        return ["tenant"] if obj else []

    def save_model(
        self, request: HttpRequest, obj: TypeList, form: "forms.ModelForm[Any]", change: bool
    ) -> None:
        """Replace the list as the API does."""
        lists = {name: form.cleaned_data[name] for name in _KINDS}
        saved = TypeList.allow(obj.tenant, by=request.user.get_username(), **lists)
        obj.pk = saved.pk

    def delete_model(self, request: HttpRequest, obj: TypeList) -> None:
        """Take it away as the API does by null."""
        obj.drop(by=request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[TypeList]) -> None:
        """Each of them."""
        for row in queryset.select_related("tenant"):
            self.delete_model(request, row)
