"""The base of every view of the API: what holds for each request before a verb sees it."""

from collections.abc import Collection
from typing import Any, ClassVar

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.utils.cache import patch_vary_headers
from rest_framework.exceptions import NotAuthenticated, NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import BaseParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from reconcile.api.bodies import JSONBodyParser, MergePatchParser
from reconcile.api.filters import bad_query
from reconcile.api.preconditions import PLAN_HEADER, PLAN_PARAMETER
from reconcile.refusals import HINTS, Fault, Invalid, LengthRequired, TooLarge, instead

_NO_PLAN = "This request has no plan: only writes that change what clusters hold have one."


class ApiView(GenericAPIView[Any]):
    """Refuses query parameters that it does not know and bodies that nobody could read whole."""

    query_parameters: ClassVar[tuple[str, ...]] = ()
    planning = False

    @property
    def user(self) -> User:
        """Who asks; authenticated, unless the view says otherwise."""
        user = self.request.user
        if not isinstance(user, User):
            raise NotAuthenticated
        return user

    def known_parameters(self) -> Collection[str]:
        """Name the query parameters of this request."""
        return self.query_parameters

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then refuse what no verb should see. Raises Refusal."""
        super().initial(request, *args, **kwargs)
        self._refuse_unreadable(request)
        if any("\x00" in str(value) for value in kwargs.values()):
            raise NotFound
        if faults := _query_faults(request, self._parameters()):
            raise bad_query(faults)
        if PLAN_HEADER in request.headers and not self.has_plan:
            raise Invalid(f"{_NO_PLAN} Send it without {PLAN_HEADER}.")

    @property
    def has_plan(self) -> bool:
        """Whether the request is one that can be planned; see `reconcile.api.plans`."""
        handler = getattr(self, (self.request.method or "").lower(), None)
        return bool(getattr(handler, "plannable", False))

    def _parameters(self) -> set[str]:
        return {*self.known_parameters(), *({PLAN_PARAMETER} if self.has_plan else ())}

    def perform_authentication(self, request: Request) -> None:
        """Authenticate, and name the user in every log line from here on."""
        super().perform_authentication(request)
        if request.user.is_authenticated:
            structlog.contextvars.bind_contextvars(user_id=request.user.get_username())

    def get_parsers(self) -> list[BaseParser]:
        """JSON; for PATCH a JSON merge patch as well."""
        patching = self.request is not None and self.request.method == "PATCH"
        return [JSONBodyParser(), MergePatchParser()] if patching else [JSONBodyParser()]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep every answer out of caches: each belongs to one person."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers.setdefault("Cache-Control", "private, no-store")
        patch_vary_headers(answer, ("Authorization", "Cookie"))
        return answer

    def body(self) -> dict[str, Any]:
        """Return the JSON object of the body; no body is an empty one. Raises Invalid."""
        data = self.request.data
        if not isinstance(data, dict):
            fault = Fault("object", "The body must be a JSON object.")
            raise Invalid("The body cannot be read.", errors=[fault])
        return data

    @staticmethod
    def _refuse_unreadable(request: Request) -> None:
        if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired("Send the body with a Content-Length, not in chunks.")
        if request.META.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
            fault = Fault("encoding", "Send it as it is, without Content-Encoding.")
            raise Invalid("The body cannot be read.", errors=[fault])
        if _length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge(f"A body may hold at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.")


class OpenView(ApiView):
    """A view for everybody, signed in or not; credentials are not even looked at."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        """Name the scheme that a 401 asks for, though none is looked at here."""
        return 'Bearer realm="api"'


def _length(request: Request) -> int:
    given = request.META.get("CONTENT_LENGTH") or "0"
    return int(given) if given.isdigit() else 0


def _query_faults(request: Request, known: Collection[str]) -> list[Fault]:
    faults = []
    for name, values in sorted(request.query_params.lists()):
        if name == PLAN_PARAMETER and name not in known:
            faults.append(Fault("unplanned", _NO_PLAN, parameter=name))
        elif name not in known:
            hint = f" {instead(name, known)}" if len(faults) < HINTS else ""
            text = f"There is no such parameter.{hint}"
            faults.append(Fault("unknown", text, parameter=name))
        elif len(values) > 1:
            faults.append(Fault("repeated", "Give it once.", parameter=name))
        elif "\x00" in values[0]:
            faults.append(Fault("value", "It may not contain a NUL character.", parameter=name))
    return faults
