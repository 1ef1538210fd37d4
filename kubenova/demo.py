"""Demo people and content for a first run, made through the HTTP API like anybody would.

Everything is made only where it is missing: what somebody changed since stays changed.
"""

import base64
import hashlib
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import User

from reconcile.values import JSON, Phase
from vault.files import replace

PEOPLE = {
    "alice": "admin of tenant acme",
    "bob": "developer in tenant acme",
    "carol": "may only read tenant acme",
    "charlie": "admin of tenant globex",
    "olga": "operator of the platform",
}
OPERATOR = "olga"
TENANTS: dict[str, dict[str, str]] = {
    "acme": {"alice": "tenant-admin", "bob": "tenant-dev", "carol": "read-only"},
    "globex": {"charlie": "tenant-admin"},
}
PROJECTS = (("acme", "shop"), ("globex", "site"))
WEB: JSON = {
    "name": "web",
    "tenant": "acme",
    "project": "shop",
    "components": [
        {
            "name": "web",
            "type": "webservice",
            "properties": {
                "image": "nginxinc/nginx-unprivileged:1.27-alpine",
                "ports": [{"port": 8080, "expose": True}],
                "cpu": "100m",
                "memory": "64Mi",
            },
            "traits": [{"type": "scaler", "properties": {"replicas": 2}}],
        }
    ],
}
DEPLOY_SECONDS = 60.0

Tell = Callable[[str], None]


class DemoFailed(Exception):
    """The demo content could not be made; the message is the API's own."""


@dataclass
class Record:
    """What `.run/demo.json` holds, readable by its owner alone: URL, logins, kubeconfigs."""

    path: Path

    def read(self) -> JSON:
        """Return its content; an empty one when there is none."""
        try:
            content: JSON = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return content

    def write(self, **fields: object) -> None:
        """Replace these fields, keep the others."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace(self.path, json.dumps(self.read() | fields, indent=2).encode() + b"\n")


def make_people(record: Record) -> dict[str, str]:
    """Make the users that are missing and return all passwords; they stay over restarts.

    A person whose password we do not know gets a new one.
    """
    known: JSON = record.read().get("users", {})
    passwords = {
        name: str(known.get(name, {}).get("password") or secrets.token_urlsafe(12))
        for name in PEOPLE
    }
    record.write(users={name: {"password": password} for name, password in passwords.items()})
    for name, password in passwords.items():
        user = User.objects.filter(username=name).first()
        if user is None or name not in known:
            _set_up(user or User(username=name), password)
    return passwords


def _set_up(user: User, password: str) -> None:
    user.email = f"{user.username}@example.org"
    user.is_staff = user.is_superuser = user.username == OPERATOR
    user.set_password(password)
    user.save()


class Api:
    """The HTTP API at `url`, spoken to as one person."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self._base, self._token = f"{url}/api/v1", ""
        # Environment proxies have no business with this machine's own server.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        credentials = {"username": username, "password": password}
        self._token = str(self.send("POST", "/token", credentials)["access"])

    def find(self, path: str) -> JSON | None:
        """Return the object, None when there is none."""
        try:
            return self.send("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def make(self, collection: str, body: JSON, path: str = "") -> None:
        """Make an object unless it is there. Raises DemoFailed with the problem's own words."""
        if self.find(path or f"{collection}/{body['name']}") is None:
            self.try_to("POST", collection, body)

    def try_to(self, method: str, path: str, body: JSON) -> None:
        """Send a write. Raises DemoFailed with the problem's own words."""
        try:
            self.send(method, path, body)
        except urllib.error.HTTPError as error:
            raise DemoFailed(f"{method} {path}: {_in_words(error)}") from error

    def send(self, method: str, path: str, body: JSON | None = None) -> JSON:
        """Send a request and return the answer. Raises HTTPError."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, content, headers, method=method)
        with self._opener.open(request, timeout=30) as response:
            answer: JSON = json.loads(response.read() or b"{}")
        return answer


def _in_words(error: urllib.error.HTTPError) -> str:
    try:
        problem: JSON = json.loads(error.read())
    except ValueError:
        return str(error)
    faults = (
        [f"{fault.get('pointer', '')} {fault.get('detail', '')}" for fault in problem["errors"]]
        if "errors" in problem
        else []
    )
    return " ".join([str(problem.get("detail") or problem.get("title", error)), *faults])


@dataclass(frozen=True)
class Target:
    """The cluster that the content goes to."""

    name: str
    kubeconfig: Path


def make_content(api: Api, record: Record, target: Target) -> None:
    """Register the cluster, declare tenants, members, projects, the app. Raises DemoFailed."""
    _register(api, record, target)
    for tenant, members in TENANTS.items():
        placement = {"clusters": [target.name]}
        api.make("/tenants", {"name": tenant, "placement": placement})
        for name, role in members.items():
            member = f"/tenants/{tenant}/members/{name}"
            if api.find(member) is None:
                api.try_to("PUT", member, {"role": role})
    for tenant, project in PROJECTS:
        api.make(f"/tenants/{tenant}/projects", {"name": project})
    api.make("/apps", WEB, "/tenants/acme/projects/shop/apps/web")


def _register(api: Api, record: Record, target: Target) -> None:
    """Register the cluster; a kubeconfig that has changed since is handed in as new credential."""
    content = target.kubeconfig.read_bytes()
    encoded = base64.b64encode(content).decode()
    digest = hashlib.sha256(content).hexdigest()
    clusters: JSON = record.read().get("clusters", {})
    if api.find(f"/clusters/{target.name}") is None:
        api.try_to("POST", "/clusters", {"name": target.name, "kubeconfig": encoded})
    elif clusters.get(target.name, {}).get("digest") != digest:
        api.try_to("PUT", f"/clusters/{target.name}/credential", {"kubeconfig": encoded})
    clusters[target.name] = {"kubeconfig": str(target.kubeconfig), "digest": digest}
    record.write(clusters=clusters)


def wait_deployed(api: Api, target: Target, tell: Tell, go_on: Callable[[], bool]) -> bool:
    """Tell how far things are until the app is Deployed (True), or it takes too long (False)."""
    paths = {
        f"cluster {target.name}": f"/clusters/{target.name}",
        "tenant acme": "/tenants/acme",
        "project acme/shop": "/tenants/acme/projects/shop",
        "app acme/shop/web": "/tenants/acme/projects/shop/apps/web",
    }
    told: dict[str, str] = {}
    deadline = time.monotonic() + DEPLOY_SECONDS
    while go_on() and time.monotonic() < deadline:
        for name, path in paths.items():
            if told.get(name) == Phase.DEPLOYED:
                continue
            phase = _phase(api.find(path))
            if told.get(name) != phase:
                tell(f"{name}: {phase}")
            told[name] = phase
        if set(told.values()) == {Phase.DEPLOYED}:
            return True
        time.sleep(0.3)
    return False


def _phase(found: JSON | None) -> str:
    return str(found["status"]["phase"]) if found else "gone"
