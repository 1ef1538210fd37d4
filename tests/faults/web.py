"""What people ask for, and how: the HTTP API as an operator uses it."""

import http.client
import json
from dataclasses import dataclass

from reconcile.values import JSON

IMAGE, NEWER = "nginx:1.27", "nginx:1.28"


class NotTaken(Exception):
    """The API answered with an error: its status and problem."""

    def __init__(self, status: int, problem: JSON) -> None:
        super().__init__(f"{status} {problem}")
        self.status, self.problem = status, problem


@dataclass
class Web:
    """The HTTP API, spoken to as olga."""

    port: int
    password: str
    token: str = ""

    def send(self, method: str, path: str, body: JSON | None = None, port: int = 0) -> JSON:
        """Send a request. Raises NotTaken, OSError when nobody answers."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1{path}", content, headers)
            answer = connection.getresponse()
            found: JSON = json.loads(answer.read() or b"{}")
        finally:
            connection.close()
        if answer.status >= 400:
            raise NotTaken(answer.status, found)
        return found

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            if not self.token:
                credentials = {"username": "olga", "password": self.password}
                self.token = str(self.send("POST", "/token", credentials)["access"])
            self.send("GET", "/clusters")
        except (OSError, NotTaken, http.client.HTTPException):
            return False
        return True


@dataclass
class App:
    """An app as it was acknowledged last."""

    tenant: str
    project: str
    name: str
    image: str
    clusters: tuple[str, ...]
    revisions: int = 1

    @property
    def path(self) -> str:
        """Of the object in the API."""
        return f"/tenants/{self.tenant}/projects/{self.project}/apps/{self.name}"

    @property
    def namespace(self) -> str:
        """Where it runs."""
        return f"{self.tenant}--{self.project}"


def components(image: str, replicas: int = 1) -> list[JSON]:
    """One web service."""
    scaler = {"type": "scaler", "properties": {"replicas": replicas}}
    properties = {"image": image, "ports": [{"port": 80, "expose": True}]}
    return [{"name": "web", "type": "webservice", "properties": properties, "traits": [scaler]}]
