"""Writes down who changed what through the API and the pages, and who was not let to.

A row per request that may change something, whatever came of it, and per read that was denied.
Strangers cannot fill the log: of what one peer tries without signing in only so much a minute has a
row, the rest is counted.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from access.models import AuditRecord
from access.peers import client_address

log = structlog.get_logger(__name__)

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "change", "DELETE": "delete"}
_API = "/api/v1/"
_PLANS = {True: "dryRun", False: "preview"}  # by which parameter a plan alone is asked for
_SIGN_IN = frozenset({f"{_API}token", "/login"})  # recorded as sign-ins, by their outcome


class AuditMiddleware:
    """Notes a request after it was answered; outside of every check, so that it sees denials."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, then write down what was asked."""
        response = self.get_response(request)
        writes = request.method not in _SAFE and request.path not in _SIGN_IN
        if writes or response.status_code == 403:
            _note(request, response)
        return response


def describe(request: HttpRequest, **texts: str) -> None:
    """Say more about a request than its path does: `grant`, `tenant`, `name`, …."""
    noted: dict[str, str] = getattr(request, "audited", {})
    request.audited = noted | texts  # type: ignore[attr-defined]


def _note(request: HttpRequest, response: HttpResponse) -> None:
    source = AuditRecord.Source.API if request.path.startswith("/api/") else AuditRecord.Source.PAGE
    user = getattr(request, "user", None)
    texts = {
        "actor": user.get_username() if isinstance(user, User) else "",
        "peer": client_address(request),
        **_target(request, response),
        **getattr(request, "audited", {}),
    }
    verb = texts.pop("verb")
    write = AuditRecord.note if texts["actor"] else AuditRecord.note_nobody
    try:
        write(source, verb, response.status_code, **texts)
    except DatabaseError:
        log.exception("Audit record lost", verb=verb, status=response.status_code, **texts)


def _target(request: HttpRequest, response: HttpResponse) -> dict[str, str]:
    """Tell verb, resource, name and tenant from the route, the row that was found, the answer."""
    resource, name, verb = _path(request)
    match = request.resolver_match
    kwargs: Mapping[str, Any] = match.kwargs if match else {}
    found = getattr(_view(response), "found", None)
    data = getattr(response, "data", None)
    shown = data if isinstance(data, dict) and response.status_code < 300 else {}
    tenant = kwargs.get("tenant") or getattr(found, "tenant_name", "") or shown.get("tenant")
    if resource == "tenants":
        tenant = tenant or name or shown.get("name")
    return {
        "verb": verb,
        "resource": resource,
        "name": str(name or shown.get("name") or ""),
        "tenant": str(tenant or ""),
    }


def _path(request: HttpRequest) -> tuple[str, str, str]:
    """Split `…/collection/name:verb`; without a name, the method says what was meant."""
    method = "read" if request.method in _SAFE else _VERBS.get(request.method or "", "other")
    api = request.path.startswith(_API)
    if method != "read" and (request.GET if api else request.POST).get(_PLANS[api]):
        method = "plan"  # whatever it would do, it did nothing
    if not api:
        return request.path.strip("/"), "", method
    *above, last = request.path.removeprefix(_API).split("/")
    name, _, verb = last.partition(":")
    if not above or len(above) % 2 == 0:
        return name, "", verb or method
    return above[-1], name, method if method == "plan" else verb or method


def _view(response: HttpResponse) -> object:
    context: Mapping[str, object] = getattr(response, "renderer_context", None) or {}
    return context.get("view")


def _signed_in(sender: object, request: HttpRequest | None, user: User, **kwargs: object) -> None:
    peer = client_address(request) if request else ""
    source = AuditRecord.Source.SIGN_IN
    AuditRecord.note(source, "sign-in", 200, actor=user.get_username(), peer=peer)


def _refused(
    sender: object, credentials: Mapping[str, object], request: HttpRequest | None, **kwargs: object
) -> None:
    peer = client_address(request) if request else ""
    name = str(credentials.get("username", ""))
    AuditRecord.note_nobody(AuditRecord.Source.SIGN_IN, "sign-in", 401, name=name, peer=peer)


def connect() -> None:
    """Hear of sign-ins, wherever they happen."""
    user_logged_in.connect(_signed_in, dispatch_uid="access.audit")
    user_login_failed.connect(_refused, dispatch_uid="access.audit")
