"""JSON schemas, spoken for people.

Nothing of the offending value is repeated: it may be huge, or a secret.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jsonschema import Draft202012Validator, ValidationError, validators

from reconcile.values import JSON

Path = tuple[str | int, ...]


class Problem(NamedTuple):
    """One fault: `path` leads from the list of components to the culprit, `text` is a sentence."""

    path: Path
    code: str
    text: str


def within(prefix: Path, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Say where the problems are, seen from further out."""
    return (Problem((*prefix, *path), code, text) for path, code, text in problems)


def schema_problems(value: object, schema: JSON) -> Iterator[Problem]:
    """Yield what a schema finds wrong with a value, each where it is."""
    for error in _Validator(schema).iter_errors(value):
        path = tuple(error.absolute_path)
        if error.validator == "required":
            yield from _missing(path, error)
        elif error.validator == "additionalProperties":
            yield from _unknown(path, error)
        elif "propertyNames" in error.absolute_schema_path:
            yield Problem((*path, error.instance), "name", _text(error))
        else:
            yield Problem(path, str(error.validator), _text(error))


def _whole_pattern(
    validator: object, pattern: str, instance: object, schema: JSON
) -> Iterator[ValidationError]:
    """`pattern` on the whole text: Python's `$` would let a final newline pass."""
    if isinstance(instance, str) and not re.fullmatch(pattern, instance, re.ASCII):
        yield ValidationError("does not match")


_Validator = validators.extend(Draft202012Validator, {"pattern": _whole_pattern})


def _missing(path: Path, error: ValidationError) -> Iterator[Problem]:
    for key in error.validator_value:
        if key not in error.instance:
            yield Problem((*path, key), "required", f"{key} is required.")


def _unknown(path: Path, error: ValidationError) -> Iterator[Problem]:
    known = error.schema.get("properties", {})
    text = f"There is no such property. Use {', '.join(sorted(known)) or 'none'}."
    for key in sorted(set(error.instance) - set(known)):
        yield Problem((*path, key), "unknown", text)


_BOUNDS = {
    "maxLength": "It may hold at most {} characters.",
    "maxItems": "Give at most {}.",
    "minItems": "Give at least {}.",
    "maxProperties": "Give at most {}.",
    "minProperties": "Give at least {}.",
}
_NAMES = {
    "string": "a text",
    "object": "an object",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "null",
}
_OTHER = {
    "minimum": "It is too small.",
    "exclusiveMinimum": "It is too small.",
    "maximum": "It is too large.",
    "exclusiveMaximum": "It is too large.",
    "uniqueItems": "Something is in it twice.",
}


def _text(error: ValidationError) -> str:
    if (description := error.schema.get("description")) and "$schema" not in error.schema:
        return f"Use {description}."
    if bound := _BOUNDS.get(str(error.validator)):
        return bound.format(error.validator_value)
    if error.validator == "enum":
        return f"Use one of {', '.join(map(str, error.validator_value))[:500]}."
    if error.validator == "type":
        wanted = error.validator_value
        names = [wanted] if isinstance(wanted, str) else wanted
        return f"Use {' or '.join(_NAMES[each] for each in names)}."
    return _OTHER.get(str(error.validator), "It does not fit the schema of the type.")
