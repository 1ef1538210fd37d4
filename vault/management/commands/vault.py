"""`manage.py vault status|rotate|prune`: the keys under which secrets are sealed."""

from argparse import ArgumentParser
from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from vault.errors import VaultError
from vault.keys import KeyFile, key_file
from vault.rotation import prune, references, rotate


class Command(BaseCommand):
    """Show, rotate and prune the key-encryption keys."""

    help = "Show, rotate and prune the keys under which secrets are sealed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("status", help="list the keys and how many values each one seals")
        verbs.add_parser("rotate", help="make a new active key and bring every value under it")
        verbs.add_parser("prune", help="drop the old keys that seal nothing any more")

    def handle(self, *args: object, verb: str, **options: object) -> None:
        """Run one verb. Ends with status 1 and a sentence when it cannot be done."""
        keys = key_file()
        if not keys.exists():
            self._tell_absence(keys)
            return
        run = {"status": self._status, "rotate": self._rotate, "prune": self._prune}[verb]
        try:
            run(keys)
        except VaultError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"the key file cannot be written: {error}") from None

    def _tell_absence(self, keys: KeyFile) -> None:
        if sealed := references().total():
            raise CommandError(
                f"{sealed} values are sealed, but the key file {keys.path} is absent: "
                "restore it from its backup"
            )
        self.stdout.write(f"Nothing is sealed yet; {keys.path} is made at first use.")

    def _status(self, keys: KeyFile) -> None:
        ring, counts = keys.ring(), references()
        self.stdout.write(f"Key file  {keys.path}")
        for key in ring.keys:
            state = "active" if key.id == ring.active_id else "old"
            born = f"{key.created_at:%Y-%m-%d %H:%M} UTC"
            self.stdout.write(f"  {key.id}  {state:6}  {born}  {counts.pop(key.id, 0)} values")
        if settings.VAULT_ROTATE_DAYS:
            due_at = ring.active.created_at + timedelta(days=settings.VAULT_ROTATE_DAYS)
            self.stdout.write(f"Next rotation  {due_at:%Y-%m-%d}")
        if lost := counts.total():
            raise CommandError(
                f"{lost} values are sealed under keys that are not in the ring "
                f"({', '.join(sorted(counts))}): restore a key file that holds them"
            )

    def _rotate(self, keys: KeyFile) -> None:
        before = keys.active_id()
        outcome = rotate(keys, lambda column, done: self.stdout.write(f"  {column}  {done}"))
        active = keys.active_id()
        verb = "Finished the rotation to" if active == before else "Rotated to"
        self.stdout.write(f"{verb} key {active}: {outcome.rewrapped} values rewrapped.")

    def _prune(self, keys: KeyFile) -> None:
        dropped = prune(keys)
        if not dropped:
            self.stdout.write("There is no old key.")
            return
        self.stdout.write(f"Dropped {', '.join(dropped)}. Older database dumps no longer open.")
