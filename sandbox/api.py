"""Raw JSON over HTTPS to the API server of a sandbox, as its admin.

For the sandbox itself and for tests that look at, or alter, a cluster behind KubeNova's back.
KubeNova's own client is `clusters`; this one shares nothing with it, so it can judge it.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

JsonObject = dict[str, Any]

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server refused: HTTP `status`, machine `reason`, its `message`."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        super().__init__(f"{status} {reason}: {message}")


@dataclass(frozen=True)
class Answer:
    """What came back: HTTP status, headers (lower-case names) and the undecoded body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> JsonObject:
        """The body as an object; raises ApiError for a status of 400 and more."""
        if self.status < 400:
            answer: JsonObject = json.loads(self.body)
            return answer
        text = self.body.decode(errors="replace")
        if not self.headers.get("content-type", "").startswith("application/json"):
            raise ApiError(self.status, "", text.strip())
        status: JsonObject = json.loads(text)
        raise ApiError(self.status, status.get("reason", ""), status.get("message", text))


@dataclass(frozen=True)
class AdminApi:
    """The API server at 127.0.0.1:`port`, spoken to with a client certificate.

    Paths are the API's own, as in `/apis/apps/v1/namespaces/shop/deployments/web`. Every
    verb returns the decoded object and raises ApiError when the server refuses. Query
    parameters are keywords: `api.get(path, resourceVersion="0")`.
    """

    port: int
    certificates: Path
    user: str = "admin"
    timeout: float = 30.0

    def get(self, path: str, **params: str) -> JsonObject:
        """Read one object (or a whole list object)."""
        return self.request("GET", path, params=params).json()

    def find(self, path: str) -> JsonObject | None:
        """Read one object, None if there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, **params: str) -> list[JsonObject]:
        """The items of a collection, for example with `labelSelector="app=web"`."""
        items: list[JsonObject] = self.get(path, **params)["items"]
        return items

    def create(self, path: str, body: JsonObject, **params: str) -> JsonObject:
        """POST to a collection or subresource (also TokenRequest, TokenReview, …)."""
        return self.request("POST", path, body, params=params).json()

    def replace(self, path: str, body: JsonObject, **params: str) -> JsonObject:
        """PUT the whole object."""
        return self.request("PUT", path, body, params=params).json()

    def patch(
        self, path: str, body: JsonObject | list[JsonObject], kind: str = MERGE, **params: str
    ) -> JsonObject:
        """PATCH with one of the kinds MERGE, JSON_PATCH, STRATEGIC, APPLY."""
        return self.request("PATCH", path, body, content_type=kind, params=params).json()

    def apply(
        self, path: str, body: JsonObject, manager: str = "admin", force: bool = False
    ) -> JsonObject:
        """Server-side apply as a field manager."""
        forced = "true" if force else "false"
        return self.patch(path, body, APPLY, fieldManager=manager, force=forced)

    def delete(self, path: str, **params: str) -> JsonObject:
        """DELETE one object; `propagationPolicy="Foreground"` and such are keywords."""
        return self.request("DELETE", path, params=params).json()

    def wait(
        self,
        path: str,
        until: Callable[[JsonObject | None], object],
        seconds: float = 60.0,
    ) -> JsonObject | None:
        """Read `path` again and again until `until(object or None)` is true; return that object.

        Raises TimeoutError with what was seen last.
        """
        deadline = time.monotonic() + seconds
        while True:
            seen = self.find(path)
            if until(seen):
                return seen
            if time.monotonic() > deadline:
                last = json.dumps(seen, indent=1)
                raise TimeoutError(f"{path} is not as wanted after {seconds} s; last seen:\n{last}")
            time.sleep(0.1)

    def await_kind(self, path: str, seconds: float = 30.0) -> None:
        """Wait for a new kind: its list is not there at first, then "being initialised" (429).

        Raises TimeoutError.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(ApiError):
                self.get(path)
                return
            time.sleep(0.1)
        raise TimeoutError(path)

    def request(
        self,
        method: str,
        path: str,
        body: JsonObject | list[JsonObject] | None = None,
        *,
        content_type: str = "application/json",
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request, any answer: nothing is raised but OSError and HTTPException.

        Without `user` nobody is authenticated, so that `headers` can carry a bearer token.
        """
        target = f"{path}?{urlencode(params)}" if params else path
        content = None if body is None else json.dumps(body)
        sent = {"Accept": "application/json, */*", "Content-Type": content_type, **(headers or {})}
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=self.timeout, context=self._context()
        )
        try:
            connection.request(method, target, content, sent)
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, received, answer.read())
        finally:
            connection.close()

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.certificates / "ca.crt")
        if self.user:
            pair = self.certificates / self.user
            context.load_cert_chain(pair.with_suffix(".crt"), pair.with_suffix(".key"))
        return context
