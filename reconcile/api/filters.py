"""Lists: which query parameters there are, and what each of them narrows to."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from django.db import connection
from django.db.models import CharField, F, Func, Model, Q, QuerySet, Value
from django_filters import rest_framework as django_filters
from rest_framework.filters import BaseFilterBackend, OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from reconcile.refusals import Fault, Invalid
from reconcile.selectors import BadSelector, Operator, Requirement, Selector
from reconcile.values import Phase

Rows = QuerySet[Any]


class Ordered(Protocol):
    """A view that names the columns its list may be ordered by; the first is the default."""

    ordering_fields: Sequence[str]


class ObjectFilter(django_filters.FilterSet):  # type: ignore[misc]
    """What every list of declared objects can be filtered by. Subclasses add their own."""

    phase = django_filters.ChoiceFilter(choices=[(phase.value, phase.value) for phase in Phase])
    deleting = django_filters.ChoiceFilter(
        field_name="deletion_requested_at",
        lookup_expr="isnull",
        choices=[("true", "true"), ("false", "false")],
        method="filter_deleting",
    )

    def filter_deleting(self, rows: Rows, name: str, value: str) -> Rows:
        """Keep those that are (`true`) or are not (`false`) on their way out."""
        return rows.filter(**{f"{name}__isnull": value == "false"})


class StrictFilterBackend(django_filters.DjangoFilterBackend):  # type: ignore[misc]
    """Applies the view's `filterset_class`; a value that fits none of its fields is refused."""

    def filter_queryset(self, request: Request, queryset: Rows, view: APIView) -> Rows:
        """Return the narrowed rows. Raises Invalid."""
        filterset = self.get_filterset(request, queryset, view)
        if filterset is None:
            return queryset
        if not filterset.is_valid():
            raise bad_query(
                Fault("invalid", " ".join(messages), parameter=name)
                for name, messages in filterset.errors.items()
            )
        rows: Rows = filterset.qs
        return rows


class AllowListOrdering(OrderingFilter):
    """`?ordering=name` or `-name`, one column of the view's allow-list; ties go by primary key."""

    ordering_description = "The column to order by; `-` in front reverses."

    def get_ordering(self, request: Request, queryset: Rows, view: Ordered) -> Sequence[str]:  # type: ignore[override]
        """Return the columns to order by. Raises Invalid."""
        wanted = request.query_params.get(self.ordering_param, view.ordering_fields[0])
        if wanted.removeprefix("-") not in view.ordering_fields:
            known = ", ".join(view.ordering_fields)
            raise bad_query([Fault("ordering", f"Use one of {known}.", parameter="ordering")])
        return (wanted, "-pk" if wanted.startswith("-") else "pk")

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Name the choices in the OpenAPI document."""
        (parameter,) = super().get_schema_operation_parameters(view)
        choices = [f"{sign}{name}" for name in view.ordering_fields for sign in ("", "-")]
        return [{**parameter, "schema": {"type": "string", "enum": choices}}]


class LabelSelectorFilter(BaseFilterBackend):
    """`?labelSelector=` as kubectl has it, on the `labels` column of rows that carry one."""

    parameter = "labelSelector"

    def filter_queryset(self, request: Request, queryset: Rows, view: APIView) -> Rows:
        """Return the rows whose labels match. Raises Invalid."""
        text = request.query_params.get(self.parameter)
        if text is None:
            return queryset
        try:
            return select(queryset, Selector.parse(text))
        except BadSelector as error:
            raise bad_query([Fault("selector", str(error), parameter=self.parameter)]) from None

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe the parameter in the OpenAPI document, for kinds that carry labels."""
        if not has_labels(view.model):
            return []
        return [
            {
                "name": self.parameter,
                "in": "query",
                "required": False,
                "description": "A Kubernetes label selector: `a=b,c!=d,e in (f,g),h,!i`.",
                "schema": {"type": "string"},
            }
        ]


class LabelValue(Func):
    """The value of one key of a JSON object column, NULL where it is absent.

    Not Django's own key lookups: they read a key of digits as the index of an array, and `__` in a
    key as the next lookup. The key is a parameter of the statement, never part of its text.
    """

    output_field = CharField()

    def __init__(self, column: str, key: str) -> None:
        if connection.vendor == "sqlite":
            super().__init__(F(column), Value(f'$."{key}"'), function="JSON_EXTRACT")
        else:
            super().__init__(F(column), Value(key), function="jsonb_extract_path_text")


def select(rows: Rows, selector: Selector) -> Rows:
    """Keep the rows whose `labels` meet the selector."""
    for number, requirement in enumerate(selector.requirements):
        name = f"_label_{number}"
        rows = rows.alias(**{name: LabelValue("labels", requirement.key)})
        rows = rows.filter(_condition(name, requirement))
    return rows


def _condition(name: str, requirement: Requirement) -> Q:
    absent = Q(**{f"{name}__isnull": True})
    held = Q(**{f"{name}__in": requirement.values})
    return {
        Operator.IN: held,
        Operator.NOT_IN: absent | ~held,
        Operator.EXISTS: ~absent,
        Operator.ABSENT: absent,
    }[requirement.operator]


def bad_query(faults: Iterable[Fault]) -> Invalid:
    """Return the refusal of a query, with what is wrong in each of its parameters."""
    return Invalid("Parts of the query are wrong.", errors=list(faults))


def has_labels(model: type[Model]) -> bool:
    """Whether rows of the model can be chosen by labels."""
    return any(field.name == "labels" for field in model._meta.fields)
