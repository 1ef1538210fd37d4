"""A whole door on a real API server: two tenants, kubeconfigs, the proxy, kubectl.

Module-scoped, as it takes seconds to come up: one `door` serves all tests of a module. The proxy
runs in a thread of its own with an event loop, as its role does in a process.
"""

import asyncio
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test import override_settings
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker

from access.asking import grant_for
from access.issuing import Issued, issue
from access.models import KubeconfigGrant
from access.proxy.directory import Directory
from access.proxy.server import serving
from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from reconcile.values import JSON
from sandbox.api import AdminApi
from sandbox.build import build
from sandbox.plane import ControlPlane
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_live, settle_until_deployed
from tests.people import make_acme, make_globex, person


@dataclass
class Proxy:
    """A proxy in a thread."""

    port: int = 0
    directory: Directory | None = None
    _stop: asyncio.Event | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _up: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve on a free port."""
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))
        self._thread.start()
        assert self._up.wait(60), "the proxy did not come up"

    async def _run(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        async with serving("127.0.0.1", self.port, self.directory) as self.port:
            self._up.set()
            await self._stop.wait()

    def stop(self) -> None:
        """End it, with every connection."""
        assert self._loop and self._stop and self._thread
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig."""

    file: Path

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        binary = str(build(lambda line: None).sandbox)
        cache = str(self.file.parent / "cache")
        return [binary, "kubectl", f"--kubeconfig={self.file}", f"--cache-dir={cache}", *arguments]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run to its end."""
        command = self.command(*arguments)
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=120, env=_bare()
        )

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Return what it says; it has to succeed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Return why it fails; it has to."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    @contextmanager
    def following(self, *arguments: str) -> Iterator["Followed"]:
        """Run in the background until the end of the block."""
        process = subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_bare(),
        )
        followed = Followed(process)
        try:
            yield followed
        finally:
            process.kill()
            followed.join()


class Followed:
    """A command in the background and the lines that it has written so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def join(self) -> None:
        """Wait for its end."""
        self.process.wait(60)
        self._thread.join(60)

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        """Wait until a line holds the text."""
        wait_until(lambda: any(text in line for line in self.lines), seconds, lambda: self.lines)


def wait_until(
    reached: Callable[[], bool], seconds: float = 60.0, told: Callable[[], object] = lambda: ""
) -> float:
    """Wait until `reached()`; return how long that took."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < seconds, f"not reached in {seconds} s: {told()}"
        time.sleep(0.02)
    return time.monotonic() - began


def _bare() -> dict[str, str]:
    """An environment in which nothing but the kubeconfig tells kubectl what to do."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


@dataclass
class Door:
    """Everything that a test needs to enter a cluster."""

    plane: ControlPlane
    proxy: Proxy
    folder: Path

    @property
    def url(self) -> str:
        """The proxy."""
        return f"https://127.0.0.1:{self.proxy.port}"

    @property
    def api(self) -> AdminApi:
        """The API server, as its admin."""
        return self.plane.api

    def issue(self, name: str, project: str = "", tenant: str = "acme", **wanted: object) -> Issued:
        """Issue a kubeconfig for somebody."""
        above: Tenant | Project = Tenant.objects.get(name=tenant)
        if project:
            above = Project.objects.get(tenant__name=tenant, name=project)
        return issue(grant_for(person(name), above, **wanted))  # type: ignore[arg-type]

    def kubectl(self, issued: Issued) -> Kubectl:
        """Kubectl with an issued kubeconfig, once the cluster believes its bindings."""
        folder = self.folder / issued.grant.name
        folder.mkdir(exist_ok=True)
        file = folder / "config"
        file.write_text(issued.kubeconfig)
        file.chmod(0o600)
        found = Kubectl(file)
        self.believe(issued.grant)
        return found

    def believe(self, grant: KubeconfigGrant) -> None:
        """Wait until RBAC knows every binding of a grant."""
        user = f"system:serviceaccount:kubenova-grants:{grant.name}"
        spaces = [name for row in grant.placements.all() for name in row.namespaces()]
        for namespace in spaces if "view" in grant.verbs else ():
            wait_until(lambda namespace=namespace: self.may(user, namespace))

    def may(
        self,
        user: str,
        namespace: str,
        verb: str = "list",
        resource: str = "pods",
        group: str = "",
    ) -> bool:
        """Whether the cluster lets a user do something; `resource` may hold a subresource."""
        plural, _, below = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": plural, "namespace": namespace}
        attributes |= {"subresource": below} if below else {}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self.api.create(path, body)["status"]["allowed"])

    def token_is_alive(self, token: str) -> bool:
        """What the cluster says of a token."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        answer = self.api.create("/apis/authentication.k8s.io/v1/tokenreviews", body)
        return answer["status"].get("authenticated") is True


def pod(name: str, **spec: object) -> str:
    """The manifest of a pod, as JSON."""
    containers = [{"name": "main", "image": "registry.example.org/app:1"}]
    body: JSON = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": containers, **spec},
    }
    return json.dumps(body)


def register(name: str, kubeconfig: str) -> Cluster:
    """Register a cluster and bring its baseline up."""
    cluster = Cluster(name=name)
    cluster.given = Given.of(parse(kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    settle_until_deployed(cluster)
    return cluster


def people_move_in(clusters: list[str]) -> None:
    """Declare acme (projects blog and shop) and globex (shop) on the clusters."""
    acme = make_acme(placement={"clusters": clusters})
    for name in ("blog", "shop"):
        Project(tenant=acme, name=name).declare(by="alice")
    globex = make_globex(placement={"clusters": clusters})
    Project(tenant=globex, name="shop").declare(by="charlie")
    wait_until(_everything_stands, 120)


def _everything_stands() -> bool:
    settle_live()
    phases = set(Project.objects.values_list("phase", flat=True))
    return phases == {"Deployed"}


@pytest.fixture(scope="session")
def shared_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The tests' database, open to all threads, and no transaction around a test.

    pytest-django makes it only for tests that carry its mark, which stands for one transaction or
    one flush per test: neither goes with a world that lasts for a module.
    """
    found = connection.settings_dict
    with django_db_blocker.unblock():
        if found["NAME"] == found["TEST"]["NAME"]:
            yield
            return
        made = setup_databases(verbosity=0, interactive=False)
        yield
        connections.close_all()
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="module")
def door(
    control_plane: ControlPlane,
    shared_database: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Door]:
    """Acme and globex on the real cluster `real`, and the proxy in front of it."""
    folder = tmp_path_factory.mktemp("door")
    proxy = Proxy()
    columns = {
        "VAULT_KEY_FILE": folder / "vault-key.json",
        "PROXY_DIR": folder / "proxy",
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    }
    with django_db_blocker.unblock(), override_settings(**columns):
        try:
            register("real", control_plane.kubeconfig.read_text())
            people_move_in(["real"])
            proxy.start()
            with override_settings(PROXY_URL=f"https://127.0.0.1:{proxy.port}"):
                yield Door(control_plane, proxy, folder)
        finally:
            if proxy.port:
                proxy.stop()
            _wipe(control_plane.api)
            connections.close_all()
            call_command("flush", interactive=False, verbosity=0)


MADE = (
    *("acme--blog", "acme--shop", "acme--wiki", "globex--shop"),
    *("kubenova-grants", "kubenova-system"),
)


def _wipe(api: AdminApi) -> None:
    """Leave the shared cluster to the next module as it was."""
    for name in MADE:
        with suppress(Exception):
            api.delete(f"/api/v1/namespaces/{name}")
    for name in MADE:
        with suppress(Exception):
            api.wait(f"/api/v1/namespaces/{name}", lambda found: found is None)
