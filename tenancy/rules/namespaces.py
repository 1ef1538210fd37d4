"""What a tenant's namespace options ask of the labels of its projects' namespaces. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def label_problems(
    options: Mapping[str, Any], labels: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield (label, what is wrong) for the labels of a namespace.

    `options` is the restriction `namespaces` (see `tenancy.rules.kinds`): of `required_labels` the
    value "" takes any value, another one only itself.
    """
    for key, value in sorted(options.get("required_labels", {}).items()):
        if key not in labels:
            yield key, f"The tenant requires the label {key}{_of(value)}."
        elif value and labels[key] != value:
            yield key, f"The tenant requires the label {key}{_of(value)}, not {labels[key]!r}."
    forbidden: Sequence[str] = options.get("forbidden_labels", ())
    for key in sorted(set(forbidden) & set(labels)):
        yield key, f"The tenant forbids the label {key}."


def _of(value: str) -> str:
    return f" with the value {value!r}" if value else ""
