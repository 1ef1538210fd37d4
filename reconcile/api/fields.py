"""Fields of request bodies that take no other type than their own: `"5"` is not a number."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from reconcile import spelling


class StringField(serializers.CharField):
    """A string, taken as it is: nothing is trimmed, no number becomes one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **kwargs})

    def to_internal_value(self, data: object) -> str:
        """Return the string. Raises ValidationError for any other type."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IntegerField(serializers.IntegerField):
    """A whole number written as one."""

    def to_internal_value(self, data: object) -> int:
        """Return the number. Raises ValidationError for strings, fractions and booleans."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class BooleanField(serializers.BooleanField):
    """True or false."""

    def to_internal_value(self, data: object) -> bool:
        """Return the boolean. Raises ValidationError for anything else, also "true" and 1."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class NameField(StringField):
    """The name of an object: a DNS label of at most 63 characters without `--`."""

    def __init__(self, **kwargs: Any) -> None:
        bounds = {"max_length": spelling.NAME_LENGTH, "min_length": 1}
        super().__init__(**{**bounds, **kwargs})

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the name. Raises ValidationError, code `name`, with one clear sentence."""
        value = super().run_validation(data)
        if isinstance(value, str) and (fault := spelling.name_fault(value)):
            raise ValidationError(f"The name {fault}.", code="name")
        return value


class KeyField(NameField):
    """The name of a parent, part of an object's key: never changed, refused when contradicting."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})


class LabelsField(serializers.DictField):
    """Labels as Kubernetes has them, less the reserved prefixes; faults point at their keys."""

    child = StringField(allow_blank=True)

    def to_internal_value(self, data: object) -> dict[str, str]:
        """Return the labels. Raises ValidationError by key."""
        faults = self.faults(data)
        if "" in faults and not (isinstance(data, Mapping) and "" in data):
            raise ValidationError(spelling.sentence("", faults[""]), code="labels")
        if faults:
            raise ValidationError(
                {key: [self._detail(key, fault)] for key, fault in faults.items()}
            )
        return dict(data)  # type: ignore[call-overload,no-any-return]

    def faults(self, data: object) -> dict[str, str]:
        """Say what is wrong, by key."""
        return spelling.label_faults(data)

    @staticmethod
    def _detail(key: str, fault: str) -> ErrorDetail:
        return ErrorDetail(spelling.sentence(key, fault), code="label")


class AnnotationsField(LabelsField):
    """Annotations as Kubernetes has them, less the reserved prefixes."""

    def faults(self, data: object) -> dict[str, str]:
        """Say what is wrong, by key."""
        return spelling.annotation_faults(data)
