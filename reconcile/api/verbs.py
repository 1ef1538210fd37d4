"""Custom verbs: `POST …/{name}:verb`, found, authorised, validated and run once."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.idempotency import once, once_secret
from reconcile.api.objects import ObjectView
from reconcile.api.plans import plannable
from reconcile.api.serializers import StrictSerializer

View = TypeVar("View", bound=ObjectView)
Verb = Callable[[View, Any, Mapping[str, Any]], Response | None]
SecretVerb = Callable[[View, Any, Mapping[str, Any], str], tuple[Response, str]]


class NothingSerializer(StrictSerializer):
    """The body of a verb that takes none: empty, or an empty object."""


def verb(
    action: str,
    *,
    body: type[StrictSerializer] = NothingSerializer,
    answer: Any = None,
    plans: bool = False,
) -> Callable[[Verb[View]], Callable[..., Response]]:
    """Make `def rollback(self, row, data)` the action of a path.

    `action` is what the row's `may()` is asked; `body` validates the request, `answer` documents
    the response (the object itself by default, which is what returning None answers, with 202).
    With an Idempotency-Key it runs once, in one transaction with the record of its answer: it may
    not call a cluster. With `plans` it can be planned as other writes are.
    """

    def decorate(method: Verb[View]) -> Callable[..., Response]:
        @_documented(body, answer, 202)
        @wraps(method)
        def run(self: View, request: Request, **kwargs: Any) -> Response:
            row = self.find(action)
            data = _validated(self, body)

            def answered() -> Response:
                response = method(self, row, data)
                return self.show(row, status=202) if response is None else response

            return once(request, answered)

        return plannable(run) if plans else run

    return decorate


def secret_verb(
    action: str, *, body: type[StrictSerializer] = NothingSerializer, answer: Any, status: int = 201
) -> Callable[[SecretVerb[View]], Callable[..., Response]]:
    """Make `def issue(self, row, data, earlier)` the action of a path whose answer is a secret.

    It returns its response and the id of the object it made. `earlier` is that id when the same
    request (by Idempotency-Key) ran before, else "". Nothing of the answer is stored; no
    transaction is open, so it may call clusters.
    """

    def decorate(method: SecretVerb[View]) -> Callable[..., Response]:
        @_documented(body, answer, status)
        @wraps(method)
        def run(self: View, request: Request, **kwargs: Any) -> Response:
            row = self.find(action)
            data = _validated(self, body)
            return once_secret(request, lambda earlier: method(self, row, data, earlier))

        return run  # type: ignore[no-any-return]

    return decorate


def _validated(view: ObjectView, body: type[StrictSerializer]) -> Mapping[str, Any]:
    given = {key: value for key, value in view.body().items() if key not in view.scope}
    serializer = body(data=given, context=view.get_serializer_context())
    serializer.is_valid(raise_exception=True)
    values: Mapping[str, Any] = serializer.validated_data
    return values


def _documented(body: type[StrictSerializer], answer: Any, status: int) -> Callable[..., Any]:
    request = None if body is NothingSerializer else body
    if answer is None:
        return extend_schema(request=request)
    return extend_schema(request=request, responses={status: answer})
