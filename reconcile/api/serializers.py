"""Bodies: flat, what a person wants at the top level, what is observed under `status`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import Field

from reconcile.api.bodies import merge_patch
from reconcile.api.fields import KeyField, NameField
from reconcile.models.convergent import Convergent
from reconcile.models.declared import Declared
from reconcile.refusals import HINTS, instead
from reconcile.values import Phase


class StrictSerializer(serializers.Serializer[Any]):
    """A body that names every field it takes; any other is refused, pointing at it.

    Read-only fields are ignored, so that what was read can be edited and sent back.
    """

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the validated values. Raises ValidationError by field."""
        names = set(data) - set(self.fields) if isinstance(data, Mapping) else set()
        unknown = dict(self._unknown(sorted(names, key=str)))
        try:
            values: dict[str, Any] = super().to_internal_value(data)
        except ValidationError as error:
            if unknown and isinstance(error.detail, dict):
                raise ValidationError({**error.detail, **unknown}) from None
            raise
        if unknown:
            raise ValidationError(unknown)
        return values

    def _unknown(self, names: Sequence[str]) -> Iterator[tuple[str, list[ErrorDetail]]]:
        """Say that there are no such fields, and of the first few which ones may be meant."""
        known = [key for key, field in self.fields.items() if not field.read_only]
        for number, name in enumerate(names):
            hint = f" {instead(name, known)}" if number < HINTS else ""
            yield name, [ErrorDetail(f"There is no such field.{hint}", code="unknown")]


class ConditionSerializer(serializers.Serializer[Any]):
    """A condition, as the Kubernetes API conventions have it."""

    type = serializers.CharField(help_text="Synced (our plan took) or Ready (it works).")
    status = serializers.ChoiceField(choices=["True", "False", "Unknown"])
    reason = serializers.CharField(help_text="One word in CamelCase, for programs.")
    message = serializers.CharField(help_text="A sentence for people; never flaps.")
    observed_generation = serializers.IntegerField()
    last_transition = serializers.DateTimeField(help_text="When `status` last changed.")


class PlacementSerializer(serializers.Serializer[Convergent]):
    """How the object fares on one cluster."""

    cluster = serializers.CharField(source="cluster_name")
    phase = serializers.ChoiceField(choices=list(Phase))
    conditions = ConditionSerializer(many=True)
    observed_generation = serializers.IntegerField()


class StatusSerializer(serializers.Serializer[Declared]):
    """What was observed. `observed_generation` behind `generation`: not yet acted upon."""

    phase = serializers.ChoiceField(choices=list(Phase))
    conditions = ConditionSerializer(many=True)
    observed_generation = serializers.IntegerField()
    placements = serializers.SerializerMethodField()

    @extend_schema_field(PlacementSerializer(many=True))
    def get_placements(self, row: Declared) -> list[dict[str, Any]]:
        """Return its placements by cluster name."""
        rows = cast("Iterable[Convergent]", row.placements_of())
        found = sorted(rows, key=lambda each: each.cluster_name)
        return [dict(PlacementSerializer(each).data) for each in found]


class DeclaredSerializer(StrictSerializer):
    """The body of a declared object. Subclasses add their spec fields, each by name.

    A field's `source` is the column it fills (its own name by default). `KeyField`s are part of the
    object's key and are never written.
    """

    name = NameField(help_text="A DNS label without `--`. Never changes.")
    uid = serializers.UUIDField(read_only=True)
    generation = serializers.IntegerField(
        read_only=True, help_text="Counts the changes of the spec; also the ETag."
    )
    deleting = serializers.BooleanField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)
    status = StatusSerializer(source="*", read_only=True)

    def spec_fields(self) -> Iterator[tuple[str, Field[Any, Any, Any, Any]]]:
        """Yield the name and field of everything that a person may change."""
        for name, field in self.fields.items():
            if not (field.read_only or name == "name" or isinstance(field, KeyField)):
                yield name, field

    def columns(self) -> dict[str, str]:
        """Map each column to the name of the field that fills it."""
        return {str(field.source): name for name, field in self.spec_fields()} | {"name": "name"}

    def apply(self, row: Any) -> None:
        """Put the validated values into the columns of `row`, which is not saved."""
        for _, field in self.spec_fields():
            if field.source in self.validated_data:
                setattr(row, str(field.source), self.validated_data[field.source])

    def merge(self, row: Any) -> None:
        """Apply the data of this serializer, a JSON merge patch, to the spec of `row`.

        null resets a field to its default, and removes a key inside of an object. Raises
        ValidationError.
        """
        fields, patch = dict(self.spec_fields()), self.initial_data
        nulls = {name for name, value in patch.items() if value is None} & fields.keys()
        resets = {name for name in nulls if not (fields[name].allow_null or fields[name].required)}
        self.initial_data = {
            name: _merged(fields.get(name), row, value)
            for name, value in patch.items()
            if name not in resets
        }
        self.is_valid(raise_exception=True)
        self.apply(row)
        blank = type(row)()
        for name in resets:
            source = str(fields[name].source)
            setattr(row, source, getattr(blank, source))

    def adopt(self, row: Any, fresh: Any) -> None:
        """Replace the spec of `row` by that of `fresh`; fields that were left out are reset."""
        for _, field in self.spec_fields():
            setattr(row, str(field.source), getattr(fresh, str(field.source)))

    def differences(self, row: Any, fresh: Any) -> list[str]:
        """Name the fields in which two specs differ."""
        return [
            name
            for name, field in self.spec_fields()
            if getattr(row, str(field.source)) != getattr(fresh, str(field.source))
        ]


def _merged(field: Field[Any, Any, Any, Any] | None, row: Any, value: Any) -> Any:
    """Merge a patch of an object into what the field shows; anything else replaces it."""
    if field is None or field.write_only or not isinstance(value, dict):
        return value
    stored = field.get_attribute(row)
    return merge_patch(None if stored is None else field.to_representation(stored), value)
