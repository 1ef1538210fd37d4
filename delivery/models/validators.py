"""Validators of an app's columns: the pure rules, spoken in Django's errors."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError

from delivery.rules.problems import component_problems
from delivery.rules.rolling import workflow_problems
from delivery.rules.schema import Problem
from delivery.rules.strategy import strategy_problems


def validate_components(value: object) -> None:
    """Refuse components that no adapter could deliver. Raises ValidationError.

    Each error's params hold `path`, the keys and indexes down to the culprit.
    """
    from delivery.models.published_types import published_for  # which is of rows that use this

    if problems := component_problems(value, (), published_for(value)):
        raise ValidationError(errors_of(problems))


def validate_strategy(value: object) -> None:
    """Refuse a strategy that is not {"waves": [{clusters, selector, …}]}. Raises ValidationError.

    An empty one is none; what is no object is refused anyway.
    """
    if value and isinstance(value, dict) and (problems := strategy_problems(value)):
        raise ValidationError(errors_of(problems))


def validate_workflow(value: object) -> None:
    """Refuse a workflow that is neither {"name": …} nor {"steps": […]}. Raises ValidationError.

    An empty one is none; what is no object is refused anyway.
    """
    from delivery.models.published_types import published_steps

    if not value or not isinstance(value, dict):
        return
    if problems := workflow_problems(value, published_steps(value.get("steps"))):
        raise ValidationError(errors_of(problems))


def errors_of(problems: Iterable[Problem]) -> list[ValidationError]:
    """Turn problems into errors whose params say where they are."""
    return [
        # The text goes in as a parameter: it may hold a '%', which Django would try to format.
        ValidationError("%(fault)s", code=code, params={"fault": text, "path": path})
        for path, code, text in problems
    ]


def errors_by_column(problems: Iterable[Problem]) -> dict[str, list[ValidationError]]:
    """Turn problems into errors of the columns that their paths begin with."""
    errors: dict[str, list[ValidationError]] = {}
    for problem in problems:
        column, *inside = problem.path
        told = problem._replace(path=tuple(inside))
        errors.setdefault(str(column), []).extend(errors_of([told]))
    return errors
