"""The floor of drift repair, as a process: a watch, and one apply for what is not as it shall be.

python benchmarks/_floor.py KUBECONFIG PORT CERTIFICATES MANIFESTS
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _figures import JSON
from _raw import Raw, differing
from _watching import Watch, key_of

from sandbox.api import AdminApi

_PATH = "/apis/networking.k8s.io/v1/networkpolicies"


@contextmanager
def mender(kubeconfig: Path, api: AdminApi, manifests: list[JSON]) -> Iterator[None]:
    """Have these objects made, with their namespaces, and mended by a process of its own."""
    raw = Raw(kubeconfig)
    spaces = sorted({each["metadata"]["namespace"] for each in manifests})
    raw.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in spaces])
    raw.apply(manifests)
    command = [sys.executable, __file__, str(kubeconfig), str(api.port), str(api.certificates)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(manifests) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait()


def mend(kubeconfig: Path, api: AdminApi, manifests: list[JSON]) -> None:
    """Mend them for ever."""
    import django

    django.setup()
    raw, wanted = Raw(kubeconfig, 1), {key_of(each): each for each in manifests}

    def look(kind: str, body: JSON) -> None:
        manifest = wanted.get(key_of(body))
        if manifest and (kind == "DELETED" or differing(manifest, body)):
            raw.one(manifest, force=True)

    Watch(api, _PATH, look)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    _, _kubeconfig, _port, _certificates = sys.argv
    mend(
        Path(_kubeconfig),
        AdminApi(int(_port), Path(_certificates)),
        json.loads(sys.stdin.readline()),
    )
