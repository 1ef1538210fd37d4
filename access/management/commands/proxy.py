"""`manage.py proxy`: the role that is the door to the clusters."""

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from access.proxy.server import serve


class Command(BaseCommand):
    """Serve kubeconfigs until SIGTERM."""

    help = "Let people into clusters by their kubeconfigs: the access proxy."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen."""
        parser.add_argument("--host", default=settings.PROXY_HOST)
        parser.add_argument("--port", type=int, default=settings.PROXY_PORT)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        """Run until asked to stop."""
        try:
            asyncio.run(_until_signal(host, port))
        except OSError as error:
            raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}") from None


async def _until_signal(host: str, port: int) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(host, port, stop)
