"""Find and authorise in one call: names resolve among what the caller may see."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model
from rest_framework.exceptions import NotFound

from reconcile.api.bodies import pointer
from reconcile.api.filters import Rows, bad_query
from reconcile.refusals import Ambiguous, Conflicting, Fault, Invalid
from reconcile.spelling import name_fault

_CANDIDATES = 20


def visible(model: type[Model], user: object) -> Rows:
    """Return the rows of the model that the user may see."""
    rows: Rows = model._default_manager.visible_to(user)  # type: ignore[attr-defined]
    return rows


def narrow(rows: Rows, scope: Mapping[str, str], names: Mapping[str, str]) -> Rows:
    """Keep the rows inside of the named parents; `scope` maps a parent's kind to its lookup."""
    return rows.filter(**{scope[kind]: name for kind, name in names.items()})


def at_most_one(rows: Rows, name: str, scope: Mapping[str, str]) -> Any | None:
    """Return the one row of that name, None without any.

    Raises Ambiguous with the qualified names of all. The rows must be visible to the caller.
    """
    found = rows.filter(name=name)
    first = list(found[:2])
    if len(first) < 2:
        return first[0] if first else None
    qualified = found.values_list(*scope.values(), "name").order_by(*scope.values())
    raise Ambiguous(
        f"Narrow it down with {' and '.join(f'`?{kind}=`' for kind in scope)}.",
        candidates=["/".join(parts) for parts in qualified[:_CANDIDATES]],
    )


def only(rows: Rows, name: str, scope: Mapping[str, str]) -> Any:
    """Return the one row of that name. Raises NotFound, Ambiguous."""
    found = at_most_one(rows, name, scope)
    if found is None:
        raise NotFound
    return found


def agreed_names(
    kinds: Iterable[str],
    path: Mapping[str, Any],
    query: Mapping[str, Any],
    body: Mapping[str, Any],
) -> dict[str, str]:
    """Return the parents' names that path, query and body agree on; a kind may be missing.

    Raises Invalid for what is no name, Conflicting where they contradict each other.
    """
    names: dict[str, str] = {}
    for kind in kinds:
        given = [each[kind] for each in (path, query, body) if kind in each]
        if kind in query and (fault := name_fault(query[kind])):
            raise bad_query([Fault("name", f"The name {fault}.", parameter=kind)])
        if kind in body and (fault := name_fault(body[kind])):
            raise _bad_body(Fault("name", f"The name {fault}.", pointer(kind)))
        if any(name != given[0] for name in given):
            raise contradiction(kind)
        if given:
            names[kind] = given[0]
    return names


def contradiction(kind: str) -> Conflicting:
    """Return the refusal of a request that names two different things for one."""
    fault = Fault("contradiction", "Path, query and body name different ones.", pointer(kind))
    return Conflicting("The request contradicts itself.", errors=[fault])


def missing(kind: str) -> Invalid:
    """Return the refusal of a request that lacks part of the key."""
    return _bad_body(Fault("required", f"Name the {kind} here or with `?{kind}=`.", pointer(kind)))


def _bad_body(fault: Fault) -> Invalid:
    return Invalid("Parts of the request are wrong.", errors=[fault])
