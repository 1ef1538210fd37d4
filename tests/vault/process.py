"""One process of its own over a database file: `python -m tests.vault.process VERB`.

`fill N` makes the tables and N rows, `rotate` rotates in small batches, `read` opens every row
until the file `stop` appears and prints how often. DATABASE_URL and KUBENOVA_VAULT_KEY_FILE say
where; importing pytest makes the settings install the tests' models.
"""

import os
import sys
from pathlib import Path

import django
import pytest


def fill(count: str) -> None:
    """Make all tables and the rows."""
    from django.core.management import call_command

    from tests.vault.models import Locker

    call_command("migrate", run_syncdb=True, verbosity=0)
    for n in range(int(count)):
        Locker.objects.create(name=f"{n}", secret=f"secret {n}")


def rotate() -> None:
    """Rotate, telling each batch."""
    from vault import rotation
    from vault.keys import key_file

    rotation.BATCH = 20
    rotation.rotate(key_file(), lambda column, done: print(done, flush=True))


def read(stop: str) -> None:
    """Open every secret again and again; an error ends the process with status 1."""
    from tests.vault.models import Locker

    rounds, last = 0, False
    while not last:
        last = Path(stop).exists()
        for locker in Locker.objects.all():
            assert locker.secret.reveal() == f"secret {locker.name}"
        rounds += 1
        print(rounds, flush=True)


if __name__ == "__main__":
    assert pytest.__version__
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kubenova.settings")
    django.setup()
    {"fill": fill, "rotate": rotate, "read": read}[sys.argv[1]](*sys.argv[2:])
