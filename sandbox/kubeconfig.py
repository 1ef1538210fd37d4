"""Kubeconfig files that hold everything in themselves: no paths, no commands."""

import base64
import os
from pathlib import Path

TEMPLATE = """\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {user}
current-context: {name}
"""


def write_kubeconfig(path: Path, name: str, server: str, certificates: Path, user: str) -> None:
    """Write a kubeconfig, readable by its owner alone, in one step.

    `name` is the cluster's and the context's; `user` names a pair of files in the folder
    `certificates`, next to `ca.crt`.
    """
    content = TEMPLATE.format(
        name=name,
        server=server,
        user=user,
        authority=_embed(certificates / "ca.crt"),
        certificate=_embed(certificates / f"{user}.crt"),
        key=_embed(certificates / f"{user}.key"),
    )
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(content)
    fresh.replace(path)


def _embed(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
