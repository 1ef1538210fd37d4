"""`manage.py sandbox up|down|status`: a real control plane on this machine."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from sandbox.errors import SandboxError
from sandbox.plane import ControlPlane, Status


class Command(BaseCommand):
    """Drives one sandbox by its name; several may run side by side.

    Exit status: 0 done, 1 failed; `status` answers 3 when it is not running.
    """

    help = "Start, stop or show a real Kubernetes control plane on this machine."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The action and which sandbox."""
        parser.add_argument("action", choices=["up", "down", "status"])
        parser.add_argument("--name", default="sandbox", help="which one (default: sandbox)")
        parser.add_argument("--port", type=_port, help="of its API server (default: a free one)")
        parser.add_argument("--audit", action="store_true", help="up: write logs/audit.log")
        parser.add_argument("--wipe", action="store_true", help="down: forget its data too")

    def handle(self, *args: str, **options: object) -> None:
        """Run the action."""
        report = self.stdout.write
        try:
            plane = ControlPlane(
                str(options["name"]),
                options["port"] if isinstance(options["port"], int) else None,
                audit=bool(options["audit"]),
                report=report,
            )
            getattr(self, f"_{options['action']}")(plane, bool(options["wipe"]))
        except SandboxError as error:
            raise CommandError(str(error)) from error

    def _up(self, plane: ControlPlane, wipe: bool) -> None:
        before = plane.status()
        if not before.running:
            self.stdout.write(f"Starting the sandbox {plane.name}")
        status = plane.up()
        self._tell(status)

    def _down(self, plane: ControlPlane, wipe: bool) -> None:
        existed = plane.folder.exists()
        plane.down(wipe=wipe)
        if not existed:
            self.stdout.write(f"There is no sandbox {plane.name}: nothing to stop")
            return
        kept = "its data is gone" if wipe else f"its data stays in {plane.folder}"
        self.stdout.write(f"The sandbox {plane.name} is stopped, {kept}")

    def _status(self, plane: ControlPlane, wipe: bool) -> None:
        status = plane.status()
        self._tell(status)
        if not status.running:
            raise CommandError(f"The sandbox {plane.name} is not running", returncode=3)

    def _tell(self, status: Status) -> None:
        self.stdout.write(f"The sandbox {status.name} is {status.word}")
        if not any(status.pids.values()):
            return
        self.stdout.write(f"  server      {status.server}")
        self.stdout.write(f"  kubeconfig  {status.kubeconfig}")
        self.stdout.write(f"  memory      {status.memory // 2**20} MiB")
        for name, pid in status.pids.items():
            self.stdout.write(f"  {name:<24}{pid or 'not running'}")


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError(text)
    return port
