"""The form of one kind of declared object: it builds the same row as the API and declares it."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction
from django.forms.renderers import TemplatesSetting

from reconcile.models.declared import Declared
from reconcile.planning.accepting import accept, plan
from reconcile.planning.values import Report
from reconcile.refusals import Refusal

TAKEN = "This name is taken. Choose another."
_UNIQUE = frozenset({"unique", "unique_together"})


class PageForm(forms.Form):
    """A form whose widgets come from the product's templates."""

    default_renderer = TemplatesSetting


class DeclaredForm(forms.ModelForm):  # type: ignore[type-arg]
    """The spec of a row. The name is asked for once: it never changes.

    `generation` is the one that the person has read; a change made meanwhile is not overwritten.
    """

    default_renderer = TemplatesSetting
    generation = forms.IntegerField(widget=forms.HiddenInput, required=False)
    instance: Declared
    changed = False
    plan: Report | None = None

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        if self.instance.pk:
            self.fields.pop("name", None)
            self.initial["generation"] = self.instance.generation

    def declare(self) -> bool:
        """Declare the row; False when that was refused, which the form's errors tell then.

        `changed` says whether the spec was another one before.
        """
        self.complete()
        created = self.instance.pk is None
        accepted, by = str(self.data.get("plan", "")), self.user.get_username()
        with self._refusals_shown():
            if accepted:  # what was seen is what is applied
                self.changed = accept(self._rehearsed, accepted, by=by)
            else:
                with transaction.atomic():
                    self.changed = self.instance.declare(by=by)
        if created and self.errors:
            self.instance.pk = None  # the transaction is undone, the attribute is not
        return not self.errors

    def preview(self) -> None:
        """Plan what declaring would do, into `plan`; None when it would be refused."""
        self.complete()
        with self._refusals_shown():
            self.plan = plan(self._rehearsed, by=self.user.get_username())

    def complete(self) -> None:
        """Give the row what the form's fields alone do not."""
        if self.instance.pk is not None:
            self.instance.generation = self.cleaned_data.get("generation") or 0

    def _rehearsed(self) -> bool:
        """Declare a copy: the declaration may be undone, or made twice."""
        return copy(self.instance).declare(by=self.user.get_username())

    @contextmanager
    def _refusals_shown(self) -> Iterator[None]:
        try:
            yield
        except ValidationError as error:
            self._show(error)
        except Refusal as refusal:
            self.add_error(None, refusal.detail)
        except IntegrityError:  # somebody took the name at this very moment
            self.add_error("name" if "name" in self.fields else None, TAKEN)

    def _show(self, error: ValidationError) -> None:
        """Put what the model refused beside the field that it is about."""
        found = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: [error]}
        for column, errors in found.items():
            for each in errors:
                taken = getattr(each, "code", "") in _UNIQUE
                field = "name" if taken else column
                text = TAKEN if taken else " ".join(each.messages)
                self.add_error(field if field in self.fields else None, text)

    def _update_errors(self, errors: ValidationError) -> None:
        self._show(errors)


@dataclass(frozen=True)
class FormSection:
    """Some fields of a long form; those that say nothing yet are folded away."""

    title: str
    fields: list[forms.BoundField]
    shown: bool


class SectionedForm(DeclaredForm):
    """A long form: `sections` name its fields by title; the one without a title is always open."""

    sections: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]] = ()

    @property
    def parts(self) -> list[FormSection]:
        """Its fields as the page shows them: what is wrong or filled in is open."""
        found = []
        for title, names in self.sections:
            fields = [self[name] for name in names if name in self.fields]
            shown = any(field.errors or self._filled(field) for field in fields)
            if fields:
                found.append(FormSection(title, fields, shown or not title))
        return found

    def _filled(self, field: forms.BoundField) -> bool:
        columns = {column.name: column for column in self.instance._meta.concrete_fields}
        column = columns.get(field.name)
        return column is not None and bool(field.initial != column.get_default())


class ConfirmNameForm(PageForm):
    """Asks for the name of what is to be deleted or confirmed, typed."""

    name = forms.CharField(
        label="Name",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected

    def clean_name(self) -> str:
        """Refuse any other name. Raises ValidationError."""
        name: str = self.cleaned_data["name"]
        if name != self.expected:
            raise ValidationError("This is not the name. Nothing was done.", code="name")
        return name
