"""The OpenAPI 3.1 document: what every operation of the API has in common is said here."""

import json
import re
from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from reconcile.api.objects import ROOT, ObjectView
from reconcile.api.plans import PlanSerializer
from reconcile.api.preconditions import PLAN_HEADER, PLAN_PARAMETER
from reconcile.api.problems import GENERIC, MEDIA_TYPE
from reconcile.api.views import ApiView, OpenView
from reconcile.values import JSON

_VERBS = {"partial_update": "update", "destroy": "delete", "bring": "import"}
_PARAMETER = re.compile(r"\{[^}]*\}:?")
_EVERYWHERE = (400, 401, 403, 404, 429, 503)
_ON_WRITES = (409, 412, 413, 415, 422)
_IF_PLAN = "The hash of a Plan: carry out exactly that, or answer 409 with what has moved."
_TITLES = {
    409: "A conflict: the name is taken, the object is being deleted or in use, …",
    412: "If-Match names another generation",
    413: "The body is too large",
    422: "A cluster cannot serve this, or the idempotency key belongs to another request",
}


class Schema(AutoSchema):
    """Derives ids, answers and headers of an operation from its path and action."""

    def get_operation_id(self) -> str:
        """Join the words of the path and the action: `tenants_projects_list`, `apps_rollback`."""
        path = self.path.removeprefix(ROOT)
        words = [_PARAMETER.sub("", part).replace("-", "_") for part in re.split("[/:]", path)]
        words = [word for word in words if word]
        action = self._action()
        if words[-1:] != [action]:
            words.append(action)
        return "_".join(word for word in words if word)

    def _action(self) -> str:
        """Return the action of a view set, else one that fits the method; "" for a plain verb."""
        if action := getattr(self.view, "action", None):
            return str(_VERBS.get(action, action))
        if self._is_list_view():
            return "list"
        one = self.path.endswith("}")
        return {"GET": "retrieve" if one else "", "PUT": "replace", "DELETE": "delete"}.get(
            self.method, ""
        )

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Tell lists by the cursor that they take."""
        if isinstance(self.view, ApiView) and not isinstance(self.view, ObjectView):
            return self.method == "GET" and "cursor" in self.view.known_parameters()
        return bool(super()._is_list_view(serializer))

    def get_tags(self) -> list[str]:
        """Group operations by the collection they are about."""
        return [getattr(self.view, "collection", "access")]

    def get_response_serializers(self) -> Any:
        """Say which success an action of an object has."""
        if not isinstance(self.view, ObjectView):
            return super().get_response_serializers()
        serializer = self.view.get_serializer_class()
        return {
            "list": serializer(many=True),
            "retrieve": serializer,
            "create": {201: serializer, 200: serializer},
            "replace": {200: serializer, 201: serializer},
            "partial_update": serializer,
            "plan": PlanSerializer,
        }.get(self.view.action, {202: serializer})

    def get_request_serializer(self) -> Any:
        """Say what a body holds; what the loop would write now is asked for without one."""
        asks = isinstance(self.view, ObjectView) and self.view.action == "plan"
        return None if asks else super().get_request_serializer()

    def _has_plan(self) -> bool:
        name = getattr(self.view, "action", None) or self.method.lower()
        return getattr(getattr(self.view, name, None), "plannable", False)

    def get_override_parameters(self) -> list[Any]:
        """Add the scope of an object and the headers that make writes safe."""
        found = list(super().get_override_parameters())
        if isinstance(self.view, ApiView):
            names = [*getattr(self.view, "scope", ()), *self.view.query_parameters]
            documented = {"limit", "cursor"}
            found += [
                _query(name)
                for name in names
                if name not in documented and f"{{{name}}}" not in self.path
            ]
        if self._has_plan():
            found += [_dry_run(), _header(PLAN_HEADER, _IF_PLAN)]
        if not isinstance(self.view, ObjectView):
            return found
        if self.method == "POST" and self.view.action != "plan":
            found.append(_header("Idempotency-Key", "Run this once; repeats get the same answer."))
        if self.method in {"PUT", "PATCH", "DELETE"}:
            found.append(_header("If-Match", "The ETag that the change was made for."))
        return found if self.view.action == "list" else [*found, _etag()]

    def _get_response_bodies(self, direction: Any = "response") -> JSON:
        bodies: JSON = super()._get_response_bodies(direction)
        writes = self.method in {"POST", "PUT", "PATCH", "DELETE"}
        for status in (*_EVERYWHERE, *(_ON_WRITES if writes else ())):
            bodies[str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}
        bodies["default"] = {"$ref": f"#/components/responses/{_name(500)}"}
        return bodies


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Bearer tokens."""

    target_class = "access.authentication.TokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> JSON:
        """Describe the Authorization header."""
        scheme: JSON = build_bearer_security_scheme_object(
            header_name="AUTHORIZATION", token_prefix="Bearer", bearer_format="JWT"
        )
        return scheme


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The session of the portal, same origin alone."""

    target_class = "access.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> JSON:
        """Describe the cookie."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class NameFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Names of objects, with their grammar."""

    target_class = "reconcile.api.fields.NameField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> JSON:
        """Describe a name, so that clients can refuse a wrong one by themselves."""
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.target.max_length,
            "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$",
        }


def add_problem(result: JSON, generator: SchemaGenerator, **kwargs: Any) -> JSON:
    """Add the problem document and the answers that carry it to the components."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["responses"] = {
        _name(status): {
            "description": _TITLES.get(status) or GENERIC[status].title,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in (*_EVERYWHERE, *_ON_WRITES, 500)
    }
    return result


@extend_schema(exclude=True)
class DocumentView(OpenView):
    """The document as JSON, the same for everybody."""

    def get(self, request: Request) -> HttpResponse:
        """Return the document, made once per process."""
        return HttpResponse(_document(), content_type="application/vnd.oai.openapi+json")


@cache
def _document() -> str:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return json.dumps(schema)


def _name(status: int) -> str:
    return f"Problem{status}"


def _query(name: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.QUERY, description=f"Name of the {name}.")


def _header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)


def _dry_run() -> OpenApiParameter:
    return OpenApiParameter(
        PLAN_PARAMETER,
        str,
        OpenApiParameter.QUERY,
        enum=["plan"],
        description="Answer 200 with a Plan of what this would write on each cluster; do nothing.",
    )


def _etag() -> OpenApiParameter:
    return OpenApiParameter(
        "ETag",
        str,
        OpenApiParameter.HEADER,
        description="The generation, quoted.",
        response=[200, 201, 202],
    )


PROBLEM: JSON = {
    "type": "object",
    "description": "What went wrong (RFC 9457). More members may follow, by code.",
    "required": ["type", "title", "status", "code", "detail", "errors", "correlation_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Explains the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, for programs.", "pattern": "^KN-"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": {
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "pointer": {"type": "string", "description": "Into the body (RFC 6901)."},
                    "parameter": {"type": "string", "description": "Of the query."},
                },
            },
        },
        "correlation_id": {"type": "string"},
    },
}
