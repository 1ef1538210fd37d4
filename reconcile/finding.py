"""Finds any row by the name that people give it, such as `app/acme/shop/web@prod-a`."""

from django.apps import apps
from django.db.models import ForeignKey

from reconcile.models.declared import Declared
from reconcile.models.rows import Row


class NotFound(Exception):
    """Nothing has that name; the message says what there is instead."""


def find(name: str) -> list[Row]:
    """Return the rows that a name stands for: the placements of an object, then the object.

    `kind/name`, where the names of all that it lives inside of come first; `@cluster` narrows it to
    the placement there. Raises NotFound.
    """
    path, _, cluster = name.partition("@")
    kind, *names = path.split("/")
    row = _declared(_model(kind), kind, names)
    placements: list[Row] = sorted(row.placements_of(), key=str)
    if not cluster:
        return [*placements, row]
    found = [placement for placement in placements if placement.cluster_name == cluster]
    if not found:
        places = ", ".join(placement.cluster_name for placement in placements) or "no cluster"
        raise NotFound(f"{row} is not placed on {cluster}. It is placed on {places}.")
    return found


def _model(kind: str) -> type[Declared]:
    known = {
        str(model._meta.model_name): model
        for model in apps.get_models()
        if issubclass(model, Declared)
    }
    if kind not in known:
        raise NotFound(f"There is no kind {kind!r}. There are: {', '.join(sorted(known))}.")
    return known[kind]


def _declared(model: type[Declared], kind: str, names: list[str]) -> Declared:
    lookups = lookups_of(model)
    if len(names) != len(lookups):
        parts = "/".join(lookup.removesuffix("__name").rpartition("__")[2] for lookup in lookups)
        raise NotFound(f"Name it as {kind}/{parts}.")
    row = model._default_manager.filter(**dict(zip(lookups, names, strict=True))).first()
    if row is None:
        raise NotFound(f"There is no {kind} {'/'.join(names)}.")
    return row


def lookups_of(model: type[Declared]) -> list[str]:
    """The lookups of a name, the outermost first."""
    for column in model._meta.fields:
        above = column.related_model if isinstance(column, ForeignKey) else None
        if isinstance(above, type) and issubclass(above, Declared):
            return [*(f"{column.name}__{lookup}" for lookup in lookups_of(above)), "name"]
    return ["name"]
