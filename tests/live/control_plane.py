"""Fixtures that lend a test a real control plane; loaded by `pytest_plugins`.

A test asks for what it needs, nothing starts before:

- `control_plane`, `second_control_plane`: a running `sandbox.plane.ControlPlane`
  (`.server`, `.kubeconfig`, `.kubectl("get", "nodes")`, `.api`, `.folder`);
- `admin_api`, `second_admin_api`: `sandbox.api.AdminApi`, to read and alter the cluster as its
  admin with raw JSON: `admin_api.get("/api/v1/namespaces/default")["metadata"]["uid"]`;
- `admin_kubeconfig`, `second_admin_kubeconfig`: the text of the admin's kubeconfig;
- `scratch_namespace`: the name of a fresh namespace, deleted afterwards.

There is one control plane (and one second) per run of pytest, or of each worker of pytest-xdist:
two KubeNovas cannot have one cluster. Modules share them (`--dist loadfile` keeps a module's tests
together), so use names of your own. All are gone when pytest ends, also when it is killed: they
hang on a named pipe that only the first process of pytest holds open for writing.

The binaries are built, if need be, before the first test, so no test's timeout counts it.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.api import AdminApi, ApiError
from sandbox.build import build
from sandbox.plane import ControlPlane

SHARED = pytest.StashKey[Path]()
PIPE = pytest.StashKey[int]()
NEEDS_BINARIES = {"control_plane", "second_control_plane", "one_world"}


def pytest_configure(config: pytest.Config) -> None:
    """The first process makes the shared folder; a worker is told where it is."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[SHARED] = Path(worker["sandbox_folder"])
        return
    folder = Path(tempfile.mkdtemp(prefix="kubenova-sandbox-"))
    os.mkfifo(folder / "lifeline")
    config.stash[SHARED] = folder
    # For reading and writing: a pipe opened for writing alone waits for its first reader.
    config.stash[PIPE] = os.open(folder / "lifeline", os.O_RDWR)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """Runs in the first process for each worker of pytest-xdist."""
    node.workerinput["sandbox_folder"] = str(node.config.stash[SHARED])


def pytest_unconfigure(config: pytest.Config) -> None:
    """The first process stops what any worker started."""
    if PIPE not in config.stash:
        return
    folder = config.stash[SHARED]
    for plane in folder.glob("*/plane.json"):
        ControlPlane(plane.parent.name, folder=plane.parent).down(wipe=True)
    os.close(config.stash[PIPE])
    shutil.rmtree(folder)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the binaries if a test of this run needs them."""
    if session.config.option.collectonly:
        return
    fixtures = (getattr(item, "fixturenames", ()) for item in session.items)
    if any(NEEDS_BINARIES.intersection(names) for names in fixtures):
        build(report=_reporter(session.config))


def _reporter(config: pytest.Config):
    """Where lines for people go: the terminal, if this process has one."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    return terminal.write_line if terminal else lambda line: None


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """A running control plane, shared by all tests of a worker."""
    yield from running(pytestconfig, "first")


@pytest.fixture(scope="session")
def second_control_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """Another one, for what concerns several clusters."""
    yield from running(pytestconfig, "second")


def running(config: pytest.Config, name: str, *, audit: bool = False) -> Iterator[ControlPlane]:
    shared = config.stash[SHARED]
    worker = getattr(config, "workerinput", {}).get("workerid", "alone")
    # Without waiting for a writer, as the first process may be about to die.
    lifeline = os.open(shared / "lifeline", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(lifeline, True)
    plane = ControlPlane(
        name,
        folder=shared / f"{name}-{worker}",
        fsync=False,
        audit=audit,
        lifeline=lifeline,
        report=lambda line: None,
    )
    plane.up()
    keep_parameters(plane.api)
    yield plane
    os.close(lifeline)


def keep_parameters(api: AdminApi) -> None:
    """Have the API server read ConfigMaps as parameters also after a test has removed the baseline.

    When the last policy with such parameters goes, it stops for good (seen in Kubernetes 1.36: the
    shared informer is stopped and cannot be started again), and the next one denies everything.
    """
    meta = {"name": "tests-keep-parameters"}
    nothing = {"apiGroups": ["tests.example.org"], "apiVersions": ["v1"], "operations": ["CREATE"]}
    policy = {
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"resourceRules": [{**nothing, "resources": ["none"]}]},
        "validations": [{"expression": "true"}],
    }
    binding = {
        "policyName": meta["name"],
        "paramRef": {"name": "none", "parameterNotFoundAction": "Allow"},
        "validationActions": ["Deny"],
    }
    group = "/apis/admissionregistration.k8s.io/v1"
    for plural, spec in (
        ("validatingadmissionpolicies", policy),
        ("validatingadmissionpolicybindings", binding),
    ):
        with suppress(ApiError):  # it is there from an earlier start
            api.create(f"{group}/{plural}", {"metadata": meta, "spec": spec})


@pytest.fixture(scope="session")
def admin_api(control_plane: ControlPlane) -> AdminApi:
    """The API server of `control_plane`, spoken to as its admin."""
    return control_plane.api


@pytest.fixture(scope="session")
def second_admin_api(second_control_plane: ControlPlane) -> AdminApi:
    """The API server of `second_control_plane`, spoken to as its admin."""
    return second_control_plane.api


@pytest.fixture(scope="session")
def admin_kubeconfig(control_plane: ControlPlane) -> str:
    """The text of the admin kubeconfig of `control_plane`."""
    return control_plane.kubeconfig.read_text()


@pytest.fixture(scope="session")
def second_admin_kubeconfig(second_control_plane: ControlPlane) -> str:
    """The text of the admin kubeconfig of `second_control_plane`."""
    return second_control_plane.kubeconfig.read_text()


@pytest.fixture
def scratch_namespace(admin_api: AdminApi) -> Iterator[str]:
    """A fresh namespace whose ServiceAccount exists, so that pods can start."""
    name = f"scratch-{uuid.uuid4().hex[:8]}"
    admin_api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    admin_api.wait(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
    yield name
    admin_api.delete(f"/api/v1/namespaces/{name}")
