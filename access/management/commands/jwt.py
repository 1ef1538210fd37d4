"""The keys that sign tokens: `manage.py jwt list|rotate|prune`."""

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from access.keys import add_key, drop_keys, key_ring
from access.models.session import LONGEST


class Command(BaseCommand):
    """Shows and changes the key ring; running processes follow by themselves."""

    help = "Show, rotate or prune the keys that sign API tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the verbs and their switches."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="show every key, never its material")
        rotate = verbs.add_parser("rotate", help="add a key; older tokens stay valid")
        rotate.add_argument("--now", action="store_true", help="sign with it at once")
        prune = verbs.add_parser("prune", help="drop keys that no living token was signed with")
        prune.add_argument(
            "--all",
            action="store_true",
            help="drop every key but the one that signs: all tokens of the others die (key leaked)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb."""
        getattr(self, f"_{options['verb']}")(**options)

    def _list(self, **options: Any) -> None:
        ring, algorithm = key_ring(), settings.JWT_ALGORITHM
        signer = ring.signer(algorithm, time.time())
        for key in ring.of(algorithm):
            since = datetime.fromtimestamp(key.signs_from, UTC).isoformat(timespec="seconds")
            role = "signs" if key == signer else "signs from" if _is_ahead(key) else "verifies"
            self.stdout.write(f"{key.kid}  {key.algorithm}  {role}  {since}")

    def _rotate(self, *, now: bool, **options: Any) -> None:
        key = add_key(at_once=now).keys[0]
        when = "at once" if now else "in 5 minutes, when every process knows it"
        self.stdout.write(f"{key.kid} was added and signs {when}.")

    def _prune(self, **options: Any) -> None:
        before = time.time() - (0 if options["all"] else LONGEST.total_seconds())
        gone = drop_keys(superseded_before=before)
        self.stdout.write(f"Dropped {', '.join(gone)}." if gone else "Nothing to drop.")


def _is_ahead(key: Any) -> bool:
    return bool(key.signs_from > time.time())
