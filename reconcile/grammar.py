"""The grammar of names, labels and annotations for model fields, spoken in Django's errors."""

from collections.abc import Mapping

from django.core.exceptions import ValidationError

from reconcile.spelling import annotation_faults, label_faults, name_fault, sentence


def validate_name(value: object) -> None:
    """Refuse what is no name (for model fields). Raises ValidationError, code `name`."""
    if fault := name_fault(value):
        raise ValidationError(f"The name {fault}.", code="name")


def validate_labels(value: object) -> None:
    """Refuse labels that a user may not set (for model fields). Raises ValidationError.

    Each error's params hold `path`, the key, for whoever points at it.
    """
    _refuse(label_faults(value), "label")


def validate_annotations(value: object) -> None:
    """Refuse annotations that a user may not set, as `validate_labels` does for labels."""
    _refuse(annotation_faults(value), "annotation")


def _refuse(faults: Mapping[str, str], what: str) -> None:
    if faults:
        raise ValidationError([_error(key, fault, what) for key, fault in faults.items()])


def _error(key: str, fault: str, what: str) -> ValidationError:
    # The text goes in as a parameter: a key may hold a '%', which Django would try to format.
    path = (key,) if key else ()
    return ValidationError(
        "%(fault)s", code=what, params={"fault": sentence(key, fault), "path": path}
    )
