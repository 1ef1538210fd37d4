"""KubeVela itself, not its stand-in, on a control plane: what `make vela` has built.

with at_work(admin_api, control_plane, "vela-core") as core:    # with the definitions of its chart
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from sandbox.api import DEFINITIONS, AdminApi, ApiError
from sandbox.plane import ControlPlane
from sandbox.vela import NAMESPACE, KubeVela, home
from tests.live.vela import GROUP, deployment


@contextmanager
def at_work(api: AdminApi, plane: ControlPlane, *controllers: str) -> Iterator[KubeVela]:
    """KubeVela on a cluster, at work; all of it goes afterwards. Skips where it was not built."""
    if not home().exists():
        pytest.skip("KubeVela is not at hand: `make vela` builds it, in some ten minutes")
    core = KubeVela(api, plane.kubeconfig, home())
    core.install()
    # By which KubeNova knows that it is there, and how it is set up; the process is ours.
    api.apply(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/vela-core", deployment(), "helm")
    for name in controllers:
        core.start(name)
    try:
        yield core
    finally:
        _empty(api)
        core.stop()
        names = [body["metadata"]["name"] for body in core.crds()]
        for name in names:
            with suppress(ApiError):
                api.delete(f"{DEFINITIONS}/{name}")
        for name in names:
            api.wait(f"{DEFINITIONS}/{name}", lambda found: found is None)
        api.delete(f"/api/v1/namespaces/{NAMESPACE}")
        api.wait(f"/api/v1/namespaces/{NAMESPACE}", lambda found: found is None)


def _empty(api: AdminApi) -> None:
    """Let it take away what it has made: its Applications hold finalizers."""
    for body in api.items(f"{GROUP}/applications"):
        meta = body["metadata"]
        with suppress(ApiError):
            api.delete(f"{GROUP}/namespaces/{meta['namespace']}/applications/{meta['name']}")
    api.wait(f"{GROUP}/applications", lambda found: not (found or {}).get("items"))
