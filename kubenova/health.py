"""Whether this process is alive and able to serve.

Answered before any other middleware: a probe knows no host name, has no session, and is no request
that anybody counts.
"""

import logging
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Min
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from kubenova import metrics
from reconcile.models import Work
from vault.errors import KeyRingError
from vault.files import read

logger = logging.getLogger(__name__)

OK = "ok"


def healthz(_request: HttpRequest) -> HttpResponse:
    """Say that this process answers; looks at nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when everything that a request needs is there, else 503 naming what is not."""
    findings = {name: check() for name, check in CHECKS.items()}
    ready = all(finding == OK for finding in findings.values())
    if not ready:
        logger.warning("Not ready", extra={"checks": findings})
    return JsonResponse(
        {"status": "ready" if ready else "not ready", "checks": findings},
        status=200 if ready else 503,
    )


def database() -> str:
    """The database answers."""
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "does not answer"
    return OK


def migrations() -> str:
    """Every migration is applied; asked until it is true, then remembered."""
    try:
        return _migrations()
    except _Pending as pending:
        return f"{pending} not applied"
    except DatabaseError:
        return "unknown: the database does not answer"


class _Pending(Exception):
    """How many migrations are not applied; an exception, so that the answer is not kept."""


@cache
def _migrations() -> str:
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise _Pending(len(plan))
    return OK


def queue() -> str:
    """No work has been due for longer than READY_QUEUE_SECONDS: somebody is working."""
    try:
        oldest = Work.objects.due().aggregate(oldest=Min("due_at"))["oldest"]
    except DatabaseError:
        return "unknown: the database does not answer"
    waited = (timezone.now() - oldest).total_seconds() if oldest else 0
    return (
        OK if waited <= settings.READY_QUEUE_SECONDS else f"oldest work is due for {waited:.0f} s"
    )


def keys() -> str:
    """The key files, where they exist yet, can be read by us and by nobody else."""
    for name, path in (("vault", settings.VAULT_KEY_FILE), ("token", settings.JWT_KEY_FILE)):
        try:
            read(path)
        except FileNotFoundError:
            continue  # made at first use
        except (OSError, KeyRingError):
            return f"the {name} key file cannot be read, or others can read it too"
    return OK


CHECKS: dict[str, Callable[[], str]] = {
    "database": database,
    "migrations": migrations,
    "queue": queue,
    "keys": keys,
}
PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics.export,
}


class ProbeMiddleware:
    """Answers `/healthz`, `/readyz` and `/metrics`; passes everything else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe, else let the request in."""
        probe = PROBES.get(request.path_info)
        return probe(request) if probe else self.get_response(request)
