"""KubeVela itself, not its stand-in: the process `vela-core` on a control plane.

    with at_work(admin_api, control_plane) as core:    # with all CRDs and definitions of its chart

KUBENOVA_VELA names a folder with the binary `vela-core` and, as `charts/vela-core`, the chart of
the same version; `make vela` builds them. Without it, tests skip and say so. vela-core runs as
the chart has it by default, but for its admission webhooks.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from sandbox.api import AdminApi, ApiError, JsonObject
from sandbox.plane import ControlPlane
from tests.live.platforms import DEFINITIONS
from tests.live.vela import GROUP, Vela

_STOP_SECONDS = 20
_HOME = '{{ include "systemDefinitionNamespace" . }}'


def home() -> Path:
    """Where vela-core and its chart are; skips the test without them."""
    found = os.environ.get("KUBENOVA_VELA", "")
    if not found:
        pytest.skip("vela-core is not at hand: `make vela` builds it, KUBENOVA_VELA names it")
    return Path(found)


@contextmanager
def at_work(api: AdminApi, plane: ControlPlane) -> Iterator["VelaCore"]:
    """KubeVela on a cluster, at work; all of it goes afterwards."""
    core = VelaCore(api, plane, home())
    core.install()
    core.start()
    try:
        yield core
    finally:
        core.drain()
        core.stop()
        core.uninstall()


class VelaCore(Vela):
    """The installation of the stand-in, with everything that the chart brings, and the process."""

    def __init__(self, api: AdminApi, plane: ControlPlane, folder: Path) -> None:
        super().__init__(api, delay=0)
        self.plane, self.folder = plane, folder
        self.chart = folder / "charts" / "vela-core"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What vela-core says."""
        return self.folder / "vela-core.log"

    def install(self) -> None:
        """CRDs first, then what stands for its Deployment, then the definitions of the chart."""
        for body in self._crds():
            self._put(f"{DEFINITIONS}/{body['metadata']['name']}", body)
        for body in self._crds():
            spec = body["spec"]
            version = next(each["name"] for each in spec["versions"] if each["served"])
            self._await(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
        super().install()
        for body in self._definitions():
            plural = f"{body['kind'].lower()}s"
            self._put(f"{GROUP}/namespaces/vela-system/{plural}/{body['metadata']['name']}", body)

    def uninstall(self) -> None:
        """Take the CRDs away, and all that lies in their kinds with them."""
        for body in self._crds():
            with suppress(ApiError):
                self.api.delete(f"{DEFINITIONS}/{body['metadata']['name']}")
        super().uninstall()

    def start(self) -> None:
        """Run it as the admin of the cluster, which its chart makes it."""
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    str(self.folder / "vela-core"),
                    *("--metrics-addr=0", "--health-addr=127.0.0.1:0"),
                    "--system-definition-namespace=vela-system",
                    "--informer-sync-period=10h",
                ],
                env={**os.environ, "KUBECONFIG": str(self.plane.kubeconfig)},
                cwd=self.plane.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def drain(self) -> None:
        """Let it take away what it has made: its Applications hold finalizers."""
        for body in self._applications():
            with suppress(ApiError):
                path = f"{GROUP}/namespaces/{body['metadata']['namespace']}/applications"
                self.api.delete(f"{path}/{body['metadata']['name']}")
        self.api.wait(f"{GROUP}/applications", lambda found: not (found or {}).get("items"))

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # --- What the chart has.

    def _crds(self) -> list[JsonObject]:
        return [yaml.safe_load(path.read_text()) for path in sorted(self.chart.glob("crds/*.yaml"))]

    def _definitions(self) -> Iterator[JsonObject]:
        for path in sorted(self.chart.glob("templates/defwithtemplate/*.yaml")):
            text = path.read_text().replace(
                '{{ include "systemDefinitionNamespace" . }}', "vela-system"
            )
            yield from (body for body in yaml.safe_load_all(text) if body)
