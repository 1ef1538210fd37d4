"""The web role as people meet it: signed in once, one connection that stays open."""

import http.client
import json
import secrets
import socket
import time
from typing import Any

from _stage import Stage, Unsettled, until

JSON = dict[str, Any]
_READY_SECONDS = 60.0
_KEPT_SECONDS = 3.0  # the server closes what has idled for five


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Web:
    """The API at a port, spoken to as an operator."""

    def __init__(self, at: Stage) -> None:
        """Start the role and sign olga in."""
        from django.contrib.auth.models import User
        from django.db import connections

        password = secrets.token_urlsafe(12)
        User.objects.create_superuser("olga", "olga@example.org", password)
        connections.close_all()
        self._port = free_port()
        at.start("web", "--bind", f"127.0.0.1:{self._port}", KUBENOVA_STATIC_IN_PLACE="1")
        until(self._answers, _READY_SECONDS, "the web role")
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        self._token, self._used = "", 0.0
        signed = self.send("POST", "token", {"username": "olga", "password": password})
        self._token, self._until = signed["access"], time.monotonic() + 600
        self._again = {"username": "olga", "password": password}

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def send(self, method: str, path: str, body: JSON | None = None) -> JSON:
        """Send a request to /api/v1/`path`. Raises Unsettled when it is refused."""
        if self._token and time.monotonic() > self._until:
            self._token = ""
            self._token = self.send("POST", "token", self._again)["access"]
            self._until = time.monotonic() + 600
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = None if body is None else json.dumps(body)
        if time.monotonic() - self._used > _KEPT_SECONDS:
            self._connection.close()  # it opens again by itself
        self._used = time.monotonic()
        self._connection.request(method, f"/api/v1/{path}", content, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise Unsettled(f"{method} {path}: {answer.status} {text[:500]!r}")
        found: JSON = json.loads(text) if text else {}
        return found
