"""KubeVela's controllers, for tests and benchmarks that ask them instead of a stand-in.

    python -m sandbox.vela                 # builds them from their Go modules, in some ten minutes

They are kept in the cache of the user, by version: `vela-core` with its chart in
`charts/vela-core`, and `vela-workflow`. They run as their charts have them, but for webhooks.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from sandbox.api import DEFINITIONS, AdminApi, JsonObject
from sandbox.build import cache_root
from sandbox.errors import SandboxError
from sandbox.golang import find_go
from sandbox.processes import end

NAMESPACE = "vela-system"
CORE = ("github.com/oam-dev/kubevela", "v1.11.0", "./cmd/core")
WORKFLOW = ("github.com/kubevela/workflow", "v0.6.3", "./cmd")
_GO = (1, 23, 8)
_FILLED_IN = '{{ include "systemDefinitionNamespace" . }}'
_STOP_SECONDS = 20
_FLAGS = {
    "vela-core": (
        *("--metrics-addr=0", "--health-addr=127.0.0.1:0"),
        f"--system-definition-namespace={NAMESPACE}",
    ),
    "vela-workflow": ("--metrics-bind-address=0", "--health-probe-bind-address=127.0.0.1:0"),
}
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}


def home() -> Path:
    """Where they are, once they were built."""
    return cache_root().parent / "vela" / f"{CORE[1]}-{WORKFLOW[1]}"


def build() -> Path:
    """Build what is not there yet; return the folder. Raises SandboxError."""
    wanted = home()
    if wanted.exists():
        return wanted
    go = find_go(_GO, print)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wanted.parent, prefix="building-") as folder:
        output = Path(folder) / "home"
        output.mkdir()
        core = _source(go, CORE, Path(folder) / "core")
        workflow = _source(go, WORKFLOW, Path(folder) / "workflow")
        for source in (core, workflow):
            shutil.copytree(source / "charts", output / "charts", dirs_exist_ok=True)
        for source, package, name in (
            (core, CORE[2], "vela-core"),
            (workflow, WORKFLOW[2], "vela-workflow"),
        ):
            print(f"Building {name}: this takes some minutes.", flush=True)
            _run([str(go), "build", "-trimpath", "-o", str(output / name), package], source)
        output.rename(wanted)
    return wanted


def _source(go: Path, module: tuple[str, str, str], target: Path) -> Path:
    """A copy of the module that one may build in: the module cache is read-only."""
    path, version, _ = module
    told = _run([str(go), "mod", "download", "-json", f"{path}@{version}"], target.parent)
    shutil.copytree(json.loads(told)["Dir"], target, copy_function=shutil.copyfile)
    return target


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | _ENVIRONMENT, capture_output=True, text=True
    )
    if done.returncode:
        lines = "\n".join((done.stderr or done.stdout).splitlines()[-15:])
        raise SandboxError(f"KubeVela could not be built: {' '.join(command[:3])} failed.\n{lines}")
    return done.stdout


@dataclass
class KubeVela:
    """KubeVela on a cluster: what its chart installs, and its controllers as processes."""

    api: AdminApi
    kubeconfig: Path
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def install(self) -> None:
        """Put CRDs there, then the namespace of the system, then all definitions."""
        for body in self.crds():
            self._put(f"{DEFINITIONS}/{body['metadata']['name']}", body)
        for body in self.crds():
            spec = body["spec"]
            version = next(each["name"] for each in spec["versions"] if each["served"])
            self.api.await_kind(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
        self._put(
            f"/api/v1/namespaces/{NAMESPACE}",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        )
        for body in self.definitions():
            place = f"/apis/{body['apiVersion']}/namespaces/{NAMESPACE}/{body['kind'].lower()}s"
            self._put(f"{place}/{body['metadata']['name']}", body)

    def crds(self) -> list[JsonObject]:
        """Those of the charts; of what both have, the one of vela-core."""
        charts = [self.folder / "charts" / name for name in ("vela-workflow", "vela-core")]
        found = {path.name: path for chart in charts for path in (chart / "crds").glob("*.yaml")}
        return [yaml.safe_load(path.read_text()) for _, path in sorted(found.items())]

    def definitions(self) -> Iterator[JsonObject]:
        """Component, trait, policy and workflow step definitions of vela-core's chart."""
        chart = self.folder / "charts" / "vela-core"
        for path in sorted((chart / "templates" / "defwithtemplate").glob("*.yaml")):
            text = path.read_text().replace(_FILLED_IN, NAMESPACE)
            yield from (body for body in yaml.safe_load_all(text) if body)

    def start(self, name: str) -> None:
        """Run a controller as the admin of the cluster, which the charts make it as well."""
        with (self.kubeconfig.parent / f"{name}.log").open("wb") as output:
            self.processes[name] = subprocess.Popen(
                [str(self.folder / name), *_FLAGS[name]],
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
                cwd=self.kubeconfig.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def pids(self) -> Mapping[str, list[int]]:
        """The processes by name."""
        return {name: [process.pid] for name, process in self.processes.items()}

    def stop(self) -> None:
        """End the controllers."""
        end(self.processes.values(), _STOP_SECONDS)

    def _put(self, path: str, body: JsonObject) -> None:
        self.api.apply(path, body, "helm", force=True)


if __name__ == "__main__":
    try:
        print(f"KubeVela is in {build()}")
    except SandboxError as error:
        sys.exit(str(error))
