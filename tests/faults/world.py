"""A whole KubeNova to break: control planes behind fault proxies, the roles, what was asked for.

People ask by HTTP, as operators do. Whatever KubeNova acknowledges is remembered: `audit()` says
what of it got lost, was done twice, or lies around without being asked for.
"""

import base64
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconcile.values import JSON
from tests.faults.actions import client_of
from tests.faults.database import Database, Record
from tests.faults.exchange import Exchange
from tests.faults.roles import Roles, wait_for
from tests.faults.sites import Found, Site
from tests.faults.web import IMAGE, App, NotTaken, Web, components
from tests.kubenova.roles import ROOT, environment

LEASE_SECONDS = 5
SETTINGS = {
    "KUBENOVA_CLUSTER_ALLOW_LOOPBACK": "1",
    "KUBENOVA_LEASE_SECONDS": str(LEASE_SECONDS),
    "KUBENOVA_WORKERS": "1",
    "KUBENOVA_UNREACHABLE_GRACE_SECONDS": "5",
    "KUBENOVA_WATCH_PROBE_SECONDS": "8",
    "KUBENOVA_WATCH_RELIST_SECONDS": "120",
    "KUBENOVA_ACCESS_TOKEN_MINUTES": "600",
    "KUBENOVA_STATIC_IN_PLACE": "1",
    "KUBENOVA_LOG_LEVEL": "INFO",
}
_PREPARE = """
import django, os
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("createcachetable", verbosity=0)
User.objects.create_superuser("olga", "olga@example.org", os.environ["OLGA"])
"""


@dataclass(frozen=True)
class Audit:
    """What is wrong at the end: acknowledged and not there, done twice, there and not asked for."""

    lost: list[str]
    doubled: list[str]
    orphans: list[str]

    @property
    def clean(self) -> bool:
        """Nothing is."""
        return not (self.lost or self.doubled or self.orphans)


@dataclass
class World:
    """Sites by name, the roles, the database, and what was asked for."""

    folder: Path
    sites: dict[str, Site] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    workers: int = 2
    keeping: bool = True  # whether settling starts roles that have ended

    def __post_init__(self) -> None:
        self.database = Database(self.folder)
        self.password = secrets.token_urlsafe(12)
        found = environment(self.folder, DATABASE_URL=self.database.url, **SETTINGS)
        self.environment = found | {"OLGA": self.password}
        logs = self.folder / "logs"
        logs.mkdir()
        self.roles = Roles(self.environment, logs, self.workers)
        self.web = Web(self.roles.port, self.password)

    # --- Its life.

    def start(self) -> None:
        """Make the database and start every role."""
        self.database.create()
        done = subprocess.run(
            [sys.executable, "-c", _PREPARE],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        self.up()

    def up(self, **more: str) -> None:
        """Start what does not run and wait until everything serves.

        Whatever is started from now on has more in its environment, until `recover()`.
        """
        for role in self.roles.all if more else ():
            role.environment = role.environment | more
        self.roles.keep()
        self.until(self.web.ready, "the web role answers")
        for worker in self.roles.workers:
            self.until(lambda worker=worker: self.roles.draining(worker), f"{worker.name} drains")

    def down(self) -> None:
        """End every role, as people do who go and see to the database."""
        for role in self.roles.all:
            role.expected = True
        self.roles.stop()

    def end(self) -> None:
        """End it all."""
        self.roles.stop()
        self.database.drop()

    def register(self, site: Site) -> None:
        """Register a cluster by its proxy and wait until its baseline stands."""
        kubeconfig = base64.b64encode(site.bootstrap().encode()).decode()
        self.web.send("POST", "/clusters", {"name": site.name, "kubeconfig": kubeconfig})
        self.sites[site.name] = site
        self.settle()
        assert self.phase(f"/clusters/{site.name}") == "Deployed"

    def recover(self) -> None:
        """End every fault and bring everything up."""
        for each in self.sites.values():
            each.heal()
        for role in self.roles.all:
            role.signal(signal.SIGCONT)
            role.expected = not role.running  # whatever a test has ended, knowingly or not
            if role.environment != self.environment:
                role.environment = self.environment
                role.kill()
        self.keeping = True
        self.up()
        for name, site in self.sites.items():
            status = self.status(f"/clusters/{name}")
            if found := status.get("report_only"):
                reason = {"reason": found["reason"]}
                self.web.send("POST", f"/clusters/{name}:confirm", reason)
            if status["phase"] in {"Error", "Drifted"}:
                self.renew(site)

    def empty(self) -> None:
        """Remove every tenant."""
        for row in self.database.rows("SELECT name FROM tenancy_tenant"):
            self.remove_tenant(row["name"])
        self.until(lambda: not self.database.count("tenancy_tenant"), "the tenants are gone", 120)
        self.settle()

    def renew(self, site: Site) -> None:
        """Give a cluster an operator's credential anew."""
        kubeconfig = base64.b64encode(site.bootstrap().encode()).decode()
        self.web.send("PUT", f"/clusters/{site.name}/credential", {"kubeconfig": kubeconfig})

    # --- What people ask for.

    def tenant(self, name: str, *clusters: str) -> None:
        """Ask for a tenant; by default on the cluster `one`."""
        placement = {"clusters": list(clusters or ("one",))}
        self.web.send("POST", "/tenants", {"name": name, "placement": placement})

    def project(self, tenant: str, name: str = "shop") -> None:
        """Ask for a project."""
        self.web.send("POST", f"/tenants/{tenant}/projects", {"name": name})

    def app(self, tenant: str, name: str = "web", *clusters: str, project: str = "shop") -> App:
        """Ask for an app."""
        app = App(tenant, project, name, IMAGE, clusters or ("one",))
        body = {"name": name, "tenant": tenant, "project": project}
        self.web.send("POST", "/apps", body | {"components": components(app.image)})
        self.apps[app.path] = app
        return app

    def shop(self, tenant: str, *clusters: str) -> App:
        """Ask for a tenant with the project shop and in it the app web."""
        self.tenant(tenant, *clusters)
        self.project(tenant)
        return self.app(tenant, "web", *clusters)

    def change(self, app: App, image: str) -> None:
        """Ask for another image."""
        self.web.send("PATCH", app.path, {"components": components(image)})
        app.revisions += app.image != image
        app.image = image

    def remove(self, app: App) -> None:
        """Ask for the end of an app."""
        self.web.send("DELETE", app.path)
        self.apps.pop(app.path, None)

    def remove_tenant(self, name: str) -> None:
        """Ask for the end of a tenant with everything in it."""
        self.web.send("DELETE", f"/tenants/{name}?confirm={name}")
        self.apps = {path: app for path, app in self.apps.items() if app.tenant != name}

    # --- What becomes of it.

    def phase(self, path: str) -> str:
        """The phase of an object, empty when there is none."""
        return str(self.status(path).get("phase", ""))

    def status(self, path: str) -> JSON:
        """The status of an object, empty when there is none."""
        try:
            found: JSON = self.web.send("GET", path)["status"]
        except NotTaken as error:
            if error.status == 404:
                return {}
            raise
        return found

    def condition(self, path: str, kind: str = "Synced") -> JSON:
        """One condition of an object."""
        conditions = self.status(path).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def reasons(self, table: str) -> dict[str, str]:
        """The reason of Synced of every row of a table of placements, by cluster."""
        rows = self.database.rows(
            f"SELECT c.name AS name, p.conditions AS conditions FROM {table} p "
            "JOIN clusters_cluster c ON c.id = p.cluster_id"
        )
        return {row["name"]: _reason(row) for row in rows}

    def settle(self, seconds: float = 180.0) -> float:
        """Wait until nothing is under way; return how many seconds that took.

        Roles that a test has killed are started again meanwhile.
        """
        began, quiet = time.monotonic(), 0
        while quiet < 2:
            if self.keeping:
                self.roles.keep()
            left = self.database.unsettled()
            quiet = 0 if left else quiet + 1
            assert time.monotonic() - began < seconds, self._restless(left)
            time.sleep(0.1)
        return time.monotonic() - began

    def _restless(self, left: list[Record]) -> str:
        """What to read when a world does not come to rest."""
        told = [
            f"{row['owner']} due {row['due_at']} failures {row['failures']} "
            f"attempts {row['attempts']} lease until {row['lease_until']}"
            for row in left
        ]
        events = self.database.rows("SELECT * FROM reconcile_event ORDER BY id DESC LIMIT 8")
        told += [f"{event['reason']}: {event['message']}" for event in reversed(events)]
        return "\n".join(["not at rest:", *told])

    def state(self) -> dict[str, list[str]]:
        """The normalised end state of the database and of every cluster."""
        clusters = {f"cluster {name}": site.state() for name, site in self.sites.items()}
        return {**self.database.state(), **clusters}

    def audit(self) -> Audit:
        """Compare what was acknowledged, what is recorded and what is there."""
        lost, orphans = [], []
        for name, site in self.sites.items():
            recorded, live = self._recorded(name), set(site.found())
            lost += [f"{name}: {each}" for each in sorted(recorded - live, key=str)]
            orphans += [f"{name}: {each}" for each in sorted(live - recorded, key=str)]
        for app in self.apps.values():
            shown = {name: self.sites[name].image(app.namespace) for name in app.clusters}
            lost += [
                f"{app.path}: {name}: {image}"
                for name, image in shown.items()
                if image != app.image
            ]
        return Audit(lost, self._doubled(), orphans)

    def _doubled(self) -> list[str]:
        rows = self.database.rows(
            "SELECT t.name AS tenant, p.name AS project, a.name AS name, "
            "max(r.number) AS revisions FROM delivery_app a "
            "JOIN tenancy_project p ON p.id = a.project_id "
            "JOIN tenancy_tenant t ON t.id = p.tenant_id "
            "JOIN delivery_revision r ON r.app_id = a.id GROUP BY t.name, p.name, a.name"
        )
        kept = {(app.tenant, app.project, app.name): app.revisions for app in self.apps.values()}
        return [
            str(row)
            for row in rows
            if kept.get((row["tenant"], row["project"], row["name"])) != row["revisions"]
        ]

    def _recorded(self, cluster: str) -> set[Found]:
        rows = self.database.rows(
            "SELECT o.* FROM reconcile_appliedobject o JOIN reconcile_work w ON w.id = o.work_id "
            "JOIN clusters_cluster c ON c.id = w.cluster_id WHERE c.name = ?",
            cluster,
        )
        return {
            Found(row["api_version"], row["kind"], row["namespace"], row["name"], row["uid"])
            for row in rows
        }

    def victims(self, exchange: Exchange) -> list[int]:
        """Who is to be killed for a request: everything of the role that has sent it."""
        found = {pid: self.roles.owner_of(pid) for pid in client_of(exchange)}
        roles = [role for role in found.values() if role]
        for role in roles:
            role.expected = True
        return [pid for role in roles for pid in role.family()]

    @contextmanager
    def as_it_is(self) -> Iterator[None]:
        """Nobody starts again what ends within the block."""
        self.keeping = False
        try:
            yield
        finally:
            self.keeping = True

    def until(self, condition: Callable[[], object], what: str, seconds: float = 120.0) -> float:
        """Wait for something while roles are kept running; return the seconds."""

        def held() -> object:
            if self.keeping:
                self.roles.keep()
            return condition()

        return wait_for(held, what, seconds)


def _reason(row: Record) -> str:
    conditions = row["conditions"]
    if isinstance(conditions, str):
        conditions = json.loads(conditions)
    return next((each["reason"] for each in conditions if each["type"] == "Synced"), "")
