"""The API of one kind of declared object: list, create, read, replace, change, delete.

A subclass names its model, serializer, collection and scope; paths map methods to actions:

    path("projects", ProjectView.as_view({"get": "list", "post": "create"}))
    path("projects/<slug:name>", ProjectView.as_view(
        {"get": "retrieve", "put": "replace", "patch": "partial_update", "delete": "destroy"}))
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError as ModelError
from django.db import IntegrityError, transaction
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api import lookup
from reconcile.api.bodies import pointer
from reconcile.api.filters import AllowListOrdering, LabelSelectorFilter, StrictFilterBackend
from reconcile.api.idempotency import once
from reconcile.api.pagination import ItemsPagination
from reconcile.api.plans import plannable
from reconcile.api.preconditions import etag, refuse_stale
from reconcile.api.problems import model_faults
from reconcile.api.scoped import ScopedView
from reconcile.api.serializers import DeclaredSerializer
from reconcile.api.throttles import count_plan
from reconcile.planning.accepting import standing_plan
from reconcile.refusals import Conflicting, Deleting, Fault, Invalid, Taken

ROOT = "/api/v1"
_UNIQUE = frozenset(("unique", "unique_together"))


class ObjectView(ScopedView):
    """Every write goes through `declare()` or `request_deletion()` of the row."""

    collection: ClassVar[str]
    serializer_class: type[DeclaredSerializer]
    prefetch: ClassVar[tuple[str, ...]] = ("placements__cluster",)
    ordering_fields: ClassVar[tuple[str, ...]] = ("name", "created_at", "updated_at")
    filter_backends = (StrictFilterBackend, LabelSelectorFilter, AllowListOrdering)
    pagination_class = ItemsPagination

    def list(self, request: Request, **kwargs: Any) -> Response:
        """List what the caller may see, in pages."""
        if self.scope and [*self.scope][-1] in kwargs:
            self.find_parent()
        rows = self.filter_queryset(self.rows().prefetch_related(*self.prefetch))
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Return one object, also while it is being deleted."""
        return self.show(self.find())

    @plannable
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create an object. The same body again answers 200 with the same object."""
        parent = self.find_parent()
        if not self.may_create(parent):
            raise PermissionDenied
        _refuse_deleting(parent)
        return once(request, lambda: self._create(parent, self.body()))

    @plannable
    def replace(self, request: Request, **kwargs: Any) -> Response:
        """Create the object or replace its spec: what the body leaves out is reset."""
        found = lookup.at_most_one(self.rows(), kwargs["name"], self.scope)
        if found is None:
            return self._create_named(kwargs["name"])
        self.authorised(found, "change")
        serializer = self.validated(self._named_body(found.name))
        with transaction.atomic():
            row = self.locked(found)
            _refuse_deleting(row)
            serializer.adopt(row, self.fresh(serializer, self._parent_of(row)))
            self.declare(row, serializer)
        return self.show(row)

    @plannable
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change fields by a JSON merge patch (RFC 7396): null resets a field or removes a key."""
        found = self.find("change")
        body = self._named_body(found.name)
        with transaction.atomic():
            row = self.locked(found)
            _refuse_deleting(row)
            serializer = self.serializer_for(instance=row, data=body, partial=True)
            serializer.merge(row)
            self.declare(row, serializer)
        return self.show(row)

    @plannable
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Ask for the deletion; it stays readable with `deleting: true` until it is gone."""
        found = self.find("delete")
        with transaction.atomic():
            row = self.locked(found)
            row.request_deletion(by=self.user.get_username())
        return self.show(row, status=202)

    def plan(self, request: Request, **kwargs: Any) -> Response:
        """Tell what the loop would write now, for the object and for all that lives inside of it.

        Nothing is written. Clusters are asked: the answer takes up to ten seconds.
        """
        found = self.find()
        count_plan(self, request)
        return Response(standing_plan(found).as_json())

    # --- The pieces of which verbs are made.

    def show(self, row: Any, status: int = 200) -> Response:
        """Answer with the row as it is stored by now, or was before it went."""
        rows = self.model._default_manager.prefetch_related(*self.prefetch)
        row = rows.filter(pk=row.pk).first() or row
        headers = {"ETag": etag(row)} | ({"Location": self.location(row)} if status == 201 else {})
        return Response(self.get_serializer(row).data, status=status, headers=headers)

    def location(self, row: Any) -> str:
        """Return the path of the row that names all of its parents."""
        names = [attrgetter(path.replace("__", "."))(row) for path in self.scope.values()]
        above = "".join(f"/{kind}s/{name}" for kind, name in zip(self.scope, names, strict=True))
        return f"{ROOT}{above}/{self.collection}/{row.name}"

    def validated(self, body: Mapping[str, Any]) -> DeclaredSerializer:
        """Return the serializer of a complete, valid body. Raises ValidationError."""
        serializer = self.serializer_for(data=body)
        serializer.is_valid(raise_exception=True)
        return serializer

    def serializer_for(self, **kwargs: Any) -> DeclaredSerializer:
        """Return the serializer of this kind, with the request in its context."""
        return cast("DeclaredSerializer", self.get_serializer(**kwargs))

    def fresh(self, serializer: DeclaredSerializer, parent: Any) -> Any:
        """Return a new row, not saved, that holds the spec of a body and defaults for the rest."""
        key = {self.parent_column(): parent} if self.scope else {}
        row = self.model(**key)
        row.name = serializer.validated_data["name"]  # type: ignore[attr-defined]
        serializer.apply(row)
        return row

    def declare(self, row: Any, serializer: DeclaredSerializer) -> None:
        """Declare the row. Raises Taken for a name in use, Invalid for what the model refuses."""
        try:
            row.declare(by=self.user.get_username())
        except ModelError as error:
            faults = model_faults(error, serializer.columns())
            wrong = [fault for fault in faults if fault.code not in _UNIQUE]
            if wrong or not faults:
                raise Invalid("Parts of the request are wrong.", errors=wrong) from None
            raise _taken() from None

    def _create(self, parent: Any, body: Mapping[str, Any]) -> Response:
        serializer = self.validated(body)
        fresh = self.fresh(serializer, parent)
        if same := self._same_key(parent, fresh.name):
            return self._again(same, fresh, serializer)
        try:
            self.declare(fresh, serializer)
        except (IntegrityError, Taken):
            # Somebody was faster, or the caller may not see whose name it is.
            if same := self._same_key(parent, fresh.name):
                return self._again(same, fresh, serializer)
            raise _taken() from None
        return self.show(fresh, status=201)

    def _create_named(self, name: str) -> Response:
        """Create by PUT. Who may not create learns nothing about names without a parent."""
        parent = self.find_parent()
        if not self.may_create(parent):
            raise PermissionDenied if parent else NotFound
        _refuse_deleting(parent)
        refuse_stale(self.request, None)
        return self._create(parent, self._named_body(name))

    def _same_key(self, parent: Any, name: str) -> Any | None:
        key = {self.parent_column(): parent} if self.scope else {}
        return self.get_queryset().filter(**key, name=name).first()

    def _again(self, row: Any, fresh: Any, serializer: DeclaredSerializer) -> Response:
        _refuse_deleting(row)
        if differing := serializer.differences(row, fresh):
            faults = [Fault("differs", "It differs.", pointer(name)) for name in differing]
            detail = f"{row} exists with a different spec. Change it with PUT or PATCH."
            raise Conflicting(detail, errors=faults)
        return self.show(row)

    def locked(self, row: Any) -> Any:
        """Return the row as it is now, held until the transaction ends."""
        current = self.model.locked().filter(pk=row.pk).first()
        if current is None:
            raise NotFound
        refuse_stale(self.request, current)
        return current

    def _named_body(self, name: str) -> dict[str, Any]:
        body = self.body()
        if body.get("name", name) != name:
            raise lookup.contradiction("name")
        return {**body, "name": name}

    def _parent_of(self, row: Any) -> Any:
        return getattr(row, self.parent_column()) if self.scope else None


def _refuse_deleting(row: Any) -> None:
    if row is not None and row.deleting:
        raise Deleting(f"{row} is being deleted. Wait until it is gone.")


def _taken() -> Taken:
    return Taken("Choose another name.")
