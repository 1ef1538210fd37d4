"""A role's own door for Prometheus, for roles that serve no pages: plain HTTP on a port of its own.

It answers `/metrics` by the rules of `kubenova.metrics` and `/healthz`, and nothing else. What it
tells is the sum over all processes of this machine, so that one door per machine is scraped.
"""

import sys
from collections.abc import Callable, Iterable
from socket import AF_INET6
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse, HttpResponseNotAllowed, HttpResponseNotFound

from kubenova import health, metrics

log = structlog.get_logger(__name__)

ROLES = frozenset({"worker", "watch", "proxy"})
_ANSWERS = {"/metrics": metrics.export, "/healthz": health.healthz}
_SLOW_SECONDS = 10.0


class Server(ThreadingMixIn, WSGIServer):
    """Listens, and answers each scraper in a thread of its own."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        if ":" in host:
            self.address_family = AF_INET6
        super().__init__((host, port), _Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        super(WSGIServer, self).server_bind()
        self.server_name, self.server_port = "metrics", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what broke; a scraper that went away is no news."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("Request failed", exc_info=error)


class _Handler(WSGIRequestHandler):
    timeout = int(_SLOW_SECONDS)  # for a head that comes drop by drop

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: scrapes are no news."""


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request, as WSGI wants it (PEP 3333)."""
    response = _answer(WSGIRequest(environ))
    start(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content]


def _answer(request: WSGIRequest) -> HttpResponse:
    answer = _ANSWERS.get(request.path_info)
    if answer is None:
        return HttpResponseNotFound()
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    return answer(request)


def open_port(bind: str) -> Server:
    """Serve on `address:port` until the process ends. Raises OSError, ValueError for no address."""
    where = urlsplit(f"//{bind}")
    if not where.hostname or where.port is None:
        raise ValueError("not of the form address:port")
    server = Server(where.hostname, where.port)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log.info("metrics_port_opened", bind=bind)
    return server


def open_for(role: str, command: str, bind: str) -> Server | None:
    """Open the door of a role's main process, if one is wanted; ends the process if it cannot be.

    The processes that a worker starts carry its role, too, but run another command.
    """
    if not bind or role not in ROLES or command != role:
        return None
    try:
        return open_port(bind)
    except (OSError, ValueError) as error:
        raise SystemExit(f"KUBENOVA_METRICS_BIND={bind} cannot be used: {error}") from error
