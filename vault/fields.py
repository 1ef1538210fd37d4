"""The model field that seals its text, and the list of all such columns."""

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.apps import apps
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connection, models
from django.db.models.lookups import Exact, IsNull, Lookup
from django.db.models.query_utils import DeferredAttribute
from encrypted_fields.fields import EncryptedTextField

from vault import envelope
from vault.envelope import Place
from vault.errors import KeyFileMissing, MisplacedSecret
from vault.keys import KeyFile, key_file
from vault.sealed import MASK, Draft, Sealed, Secret, looks_masked


class ColumnText(str):
    """Sealed text on its way into the column of its own row."""

    __slots__ = ()


class SealedAttribute(DeferredAttribute):
    """Gives a row its secret as Sealed, Draft or None, and takes plain text."""

    field: "SealedTextField"

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        held = super().__get__(instance, cls)
        return held.at(self.field.place(instance)) if isinstance(held, Sealed) else held

    def __set__(self, instance: models.Model, value: object) -> None:
        instance.__dict__[self.field.attname] = self.field.accept(value)


if TYPE_CHECKING:  # the given base has no types: this is what a row takes and gives
    SealedText = models.TextField[str | Secret | None, Secret | None]
else:
    SealedText = EncryptedTextField


class SealedTextField(SealedText):
    """Text that the database holds sealed; a row gives it as `Secret`, opened by `.reveal()`.

    The value is bound to its table, its row and the field's name: a sealed text copied to another
    place does not open. The row is known by its `uid`, a unique UUIDField with a default, because
    the primary key is unknown before the insert; a `uid` never changes. To rename the table or
    the field, reveal and assign the values in the same migration.

    Assign plain text and save. Blank is None. The mask and sealed text are refused, so a value
    that a client got shown cannot come back as a secret. `save()` writes the column only when a
    value was assigned to this very object: neither a rotation nor a newer secret is overwritten
    by a row that was loaded before. What knows no row (`update`, `bulk_update`, fixtures, a
    lookup by value) is refused with MisplacedSecret.

    Of EncryptedTextField remains the column; SECRET_KEY and SALT_KEY are not used. The field is
    always nullable and by default not editable: no form or serializer picks it up by itself.
    """

    description = "Sealed text"
    descriptor_class = SealedAttribute
    _lookups: "ClassVar[dict[str, type[Lookup[Any]]]]" = {"exact": Exact, "isnull": IsNull}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["null"] = True
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    @property
    def keys(self) -> list[bytes]:
        """Refuse what the base class would derive from SECRET_KEY."""
        raise AttributeError("a sealed field has no keys of its own: they are in vault.keys")

    f = keys

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Add to Django's checks that the rows have a lasting identity."""
        try:
            uid = self.model._meta.get_field("uid")
        except FieldDoesNotExist:
            uid = None
        found: list[checks.CheckMessage] = super().check(**kwargs)
        if isinstance(uid, models.UUIDField) and uid.unique and uid.has_default():
            return found
        problem = checks.Error(
            "a sealed field needs a unique UUIDField `uid` with a default beside it",
            obj=self,
            id="vault.E002",
        )
        return [*found, problem]

    def get_lookup(self, lookup_name: str) -> "type[Lookup[Any]] | None":
        """Offer `isnull` and `exact` (for None) alone: nothing can be found by its secret."""
        return self._lookups.get(lookup_name)

    def place(self, row: models.Model) -> Place:
        """Return where this field's value of `row` lives."""
        uid = getattr(row, "uid", None)
        if uid is None:
            raise MisplacedSecret(f"{self.model._meta.label} has no uid: nothing can be sealed")
        row_uid = uid if isinstance(uid, UUID) else UUID(str(uid))
        return Place(self.model._meta.db_table, row_uid, self.name)

    def accept(self, value: object) -> Secret | None:
        """Return what a row holds once `value` is assigned to it.

        Raises ValidationError for a mask or sealed text, TypeError for anything but text.
        """
        if value is None or value == "":
            return None
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str):
            raise TypeError(f"{self.name} takes text, not {type(value).__name__}")
        self._refuse_what_is_no_secret(value)
        return Draft(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> object:
        """Return what the row's INSERT or UPDATE writes: sealed text, None, or the column as is.

        Raises MisplacedSecret or TamperedSeal for a value that belongs to another row.
        """
        untouched = models.F(self.attname)
        if not add and self.attname not in model_instance.__dict__:
            return untouched
        held = getattr(model_instance, self.attname)
        if held is None:
            return None
        place = self.place(model_instance)
        if isinstance(held, Draft):
            text = envelope.seal(held.reveal(), place, key_file_for_sealing())
            setattr(model_instance, self.attname, Sealed(text, place, assigned=True))
            return ColumnText(text)
        if held.place != place:
            raise MisplacedSecret(f"{place} was given another place's secret: assign .reveal()")
        if not add and not held.assigned:
            return untouched
        held.reveal()
        return ColumnText(envelope.rewrap(held.text, place, key_file()))

    def get_prep_value(self, value: Any) -> str | None:
        """Pass on sealed text of a row and None; refuse everything that knows no row."""
        if value is None or value == "":
            return None
        if isinstance(value, ColumnText):
            return str(value)
        raise MisplacedSecret(
            f"{self.name} is written by assigning plain text and save(), and found by no value"
        )

    def from_db_value(self, value: str | None, expression: object, connection: object) -> object:
        """Return the column as Sealed without a place; the row's attribute adds the place."""
        return Sealed(value) if value else None

    def to_python(self, value: Any) -> Any:
        """Return `value` as it is: there is no guessing whether a text is sealed."""
        return value

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        """Validate plain text; what is sealed was valid when it was assigned."""
        if isinstance(value, Sealed):
            return value
        plain = value.reveal() if isinstance(value, Draft) else value
        self.validate(plain, model_instance)
        self.run_validators(plain)
        return value

    def value_to_string(self, obj: models.Model) -> str:
        """Return the mask: a dump of fixtures holds no secret."""
        return MASK if self.value_from_object(obj) else ""

    def _refuse_what_is_no_secret(self, value: str) -> None:
        message = ""
        if looks_masked(value):
            message = "This is what is shown in the place of a secret, not a secret."
        elif not _is_unicode(value):
            message = "This is not valid Unicode text."
        if message:
            raise ValidationError({self.name: message}, code="invalid")


def sealed_fields() -> list[SealedTextField]:
    """Return every sealed field of every installed model, in a lasting order."""
    fields = [
        field
        for model in apps.get_models()
        if model._meta.managed and not model._meta.proxy
        for field in model._meta.local_concrete_fields
        if isinstance(field, SealedTextField)
    ]
    return sorted(fields, key=lambda field: (field.model._meta.db_table, field.name))


def key_file_for_sealing() -> KeyFile:
    """Return the key file, made at first use.

    Raises KeyFileMissing when something is sealed already: the file got lost or its path is
    wrong, and a new ring beside it would split the secrets between two files.
    """
    keys = key_file()
    if keys.exists():
        return keys
    tables = connection.introspection.table_names()
    for field in sealed_fields():
        rows: models.QuerySet[models.Model] = models.QuerySet(field.model).filter(
            **{f"{field.name}__isnull": False}
        )
        if field.model._meta.db_table in tables and rows.exists():
            raise KeyFileMissing(f"the key file {keys.path} is absent: restore it from its backup")
    keys.make()
    return keys


def _is_unicode(value: str) -> bool:
    """Lone surrogates cannot be encoded, and the error of trying would hold the secret."""
    return not any("\ud800" <= sign <= "\udfff" for sign in value)
