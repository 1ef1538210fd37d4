"""Who may see and do what: find and authorise, the first line of every action."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, cast

from rest_framework.exceptions import PermissionDenied
from rest_framework.viewsets import ViewSetMixin

from reconcile.api import lookup
from reconcile.api.filters import LabelSelectorFilter, ObjectFilter, Rows, has_labels
from reconcile.api.views import ApiView
from reconcile.models.declared import Declared


class ScopedView(ViewSetMixin, ApiView):
    """Names resolve among what the caller may see; parents in path, query and body must agree.

    `scope` names the parents in the key, outermost first, each with its lookup from the model:
    {"tenant": "project__tenant__name", "project": "project__name"}. The model's default manager
    offers `visible_to(user)`, its rows `may(user, action)` for `change`, `delete` and the verbs;
    the parent's `may(user, create_action)` decides who creates.
    """

    model: ClassVar[type[Declared]]
    scope: ClassVar[Mapping[str, str]] = {}
    create_action: ClassVar[str] = "change"
    lookup_field = "name"
    filterset_class: type[ObjectFilter] = ObjectFilter
    found: Any = None

    def get_queryset(self) -> Rows:
        """Return the rows that the caller may see."""
        if getattr(self, "swagger_fake_view", False):
            return self.model._default_manager.none()
        return lookup.visible(self.model, self.user)

    def known_parameters(self) -> Collection[str]:
        """The parents narrow every request; lists take filters, ordering and a page besides."""
        known = {*self.query_parameters, *self.scope}
        if self.action == "list":
            known |= {*self.filterset_class.base_filters, "limit", "cursor", "ordering"}
            known |= {LabelSelectorFilter.parameter} if has_labels(self.model) else set()
        return known

    def names(self) -> dict[str, str]:
        """Return the names of the parents that the request agrees on."""
        reads_body = self.request.method in {"POST", "PUT", "PATCH"}
        body = self.body() if reads_body else {}
        return lookup.agreed_names(self.scope, self.kwargs, self.request.query_params, body)

    def rows(self) -> Rows:
        """Return what the caller may see inside of the parents that the request names."""
        return lookup.narrow(self.get_queryset(), self.scope, self.names())

    def find(self, action: str = "view") -> Any:
        """Return the row that the path names, if the caller may do this to it.

        Raises NotFound (missing or not to be seen), Ambiguous, PermissionDenied.
        """
        return self.authorised(lookup.only(self.rows(), self.kwargs["name"], self.scope), action)

    def authorised(self, row: Any, action: str) -> Any:
        """Return the row, if the caller may do this to it. Raises PermissionDenied.

        Either way it is what the request is about, for whoever keeps a log of requests.
        """
        self.found = row
        if action != "view" and not row.may(self.user, action):
            raise PermissionDenied
        return row

    def find_parent(self) -> Any:
        """Return the row that the request names as the parent, None for kinds without one.

        Raises Invalid where the request does not name it, NotFound, Ambiguous.
        """
        if not self.scope:
            return None
        *_, innermost = self.scope
        names, column = self.names(), self.parent_column()
        if innermost not in names:
            raise lookup.missing(innermost)
        scope = {kind: path.removeprefix(f"{column}__") for kind, path in self.scope.items()}
        outer = {kind: scope[kind] for kind in self.scope if kind != innermost}
        model = cast("type[Declared]", self.model._meta.get_field(column).related_model)
        above = {kind: name for kind, name in names.items() if kind in outer}
        rows = lookup.narrow(lookup.visible(model, self.user), outer, above)
        self.found = lookup.only(rows, names[innermost], outer)
        return self.found

    def parent_column(self) -> str:
        """Return the foreign key to the parent: where all lookups of the scope begin."""
        return next(iter(self.scope.values())).partition("__")[0]

    def may_create(self, parent: Any) -> bool:
        """Whether the caller may add an object to that parent, or one of a kind without."""
        if parent is not None:
            return bool(parent.may(self.user, self.create_action))
        meta = self.model._meta
        return self.user.is_staff or self.user.has_perm(f"{meta.app_label}.add_{meta.model_name}")
