"""What can go wrong with a sandbox, in words for the person who started it."""

from pathlib import Path

EXISTING_CLUSTER = "To go on with an existing cluster: make run KUBECONFIG_FILE=<its kubeconfig>"


class SandboxError(Exception):
    """A sandbox could not do what was asked; the message says why and how to go on."""


class InvalidName(SandboxError):
    """The name of a sandbox is not a DNS label."""


class GoNotFound(SandboxError):
    """There is no Go compiler on this machine and none could be installed."""


class BuildFailed(SandboxError):
    """The Go build ended with an error; `log` holds its whole output."""

    def __init__(self, reason: str, log: Path, last_lines: list[str]) -> None:
        self.log = log
        output = "\n".join(f"    {line}" for line in last_lines)
        super().__init__(f"{reason}\n{output}\nThe whole output: {log}\n{EXISTING_CLUSTER}")


class PortTaken(SandboxError):
    """Another process listens on the port of the sandbox."""


class ComponentFailed(SandboxError):
    """One component of the control plane ended or did not become ready in time."""

    def __init__(self, component: str, reason: str, log: Path, last_lines: list[str]) -> None:
        self.component = component
        self.log = log
        output = "\n".join(f"    {line}" for line in last_lines)
        super().__init__(f"{component} {reason}. Its last lines ({log}):\n{output}")


class KubectlFailed(SandboxError):
    """kubectl ended with an error; `stderr` is what it wrote."""

    def __init__(self, arguments: tuple[str, ...], stderr: str) -> None:
        self.stderr = stderr
        super().__init__(f"kubectl {' '.join(arguments)}: {stderr.strip()}")
