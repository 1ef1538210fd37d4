"""`manage.py worker`: the role that carries out what was declared."""

import sys
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand

from kubenova.worker import Worker


class Command(BaseCommand):
    """Run the queue with its resident drains until SIGTERM."""

    help = "Bring clusters to what was declared: the task queue with its resident drains."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many drains run side by side."""
        parser.add_argument("--drains", type=int, default=settings.WORKERS)

    def handle(self, *args: object, drains: int, **options: object) -> None:
        """Run until asked to stop."""
        sys.exit(Worker(drains).run())
