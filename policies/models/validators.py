"""Validators of an attachment's columns."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError

from reconcile.grammar import validate_name
from reconcile.selectors import BadSelector, Selector

_MOST = 1000


def validate_tenants(value: object) -> None:
    """Refuse what is not a list of names, each once."""
    for name in _texts(value, "names of tenants"):
        validate_name(name)


def validate_clusters(value: object) -> None:
    """Refuse what is not a list of names, each once."""
    for name in _texts(value, "names of clusters"):
        validate_name(name)


def validate_projects(value: object) -> None:
    """Refuse what is not a list of `tenant/project`, each once."""
    for text in _texts(value, "projects, each as tenant/project"):
        names = text.split("/")
        if len(names) != 2:
            raise ValidationError("Name a project as tenant/project.", code="project")
        for name in names:
            validate_name(name)


def validate_selector(value: str) -> None:
    """Refuse what is no label selector."""
    try:
        Selector.parse(value)
    except BadSelector as error:
        # The text goes in as a parameter: it may hold a '%', which Django would try to format.
        raise ValidationError("%(fault)s", params={"fault": str(error)}) from None


def unknown_among(given: Iterable[object], known: Iterable[str]) -> list[str]:
    """The first few that are not known; nothing is asked where nothing is given."""
    found = set(given)
    return sorted(str(each) for each in found - set(known))[:5] if found else []


def _texts(value: object, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValidationError(f"This is a list of {what}.", code="list")
    if len(value) > _MOST or len(set(value)) < len(value):
        raise ValidationError(f"Give at most {_MOST}, each once.", code="list")
    return value
