"""The provider of key-encryption keys that KubeNova has: a key ring in a file of its own.

The keys are in that file and in memory, never in the environment and never in the database.
A second provider (a key management service) is another class with the verbs of KeyProvider.
"""

import threading
from collections.abc import Collection
from functools import cache
from pathlib import Path

from django.conf import settings

from vault import files
from vault.envelope import decrypt, encrypt
from vault.errors import BadKeyRing, KeyFileMissing, UnknownKey
from vault.keyring import Kek, KeyRing

Signature = tuple[int, int, int]


class KeyFile:
    """KeyProvider over the key ring at `path`, which every process reads anew when it changes.

    Each verb looks at the file's inode, time and size first, so all processes of a machine use
    the same active key from the moment it is written. Raises KeyFileMissing, ExposedKeyFile or
    BadKeyRing when there is no usable ring; a running process never goes on with a lost file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded: tuple[Signature, KeyRing] | None = None
        self._edit = threading.Lock()

    def exists(self) -> bool:
        """Tell whether the ring was made."""
        return self.path.exists()

    def make(self) -> None:
        """Make a ring of one new key unless there is one."""
        with self._edit:
            files.read_or_make(self.path, lambda: KeyRing.make().dump())

    def ring(self) -> KeyRing:
        """Return the ring as it is in the file now."""
        try:
            signature = self._signature()
            loaded = self._loaded
            if loaded and loaded[0] == signature:
                return loaded[1]
            # The signature is older than the content: a change in between is seen next time.
            ring = KeyRing.parse(files.read(self.path))
        except FileNotFoundError:
            raise KeyFileMissing(
                f"the key file {self.path} is absent: restore it from its backup"
            ) from None
        except BadKeyRing as error:
            raise BadKeyRing(f"the key file {self.path} is unusable: {error}") from None
        self._loaded = (signature, ring)
        return ring

    def active_id(self) -> str:
        """Return the id of the key that `wrap` uses."""
        return self.ring().active_id

    def wrap(self, data_key: bytes, associated: bytes) -> tuple[str, bytes]:
        """Return the id of the active key and `data_key` wrapped by it."""
        key = self.ring().active
        return key.id, encrypt(key.secret, data_key, associated)

    def unwrap(self, key_id: str, wrapped: bytes, associated: bytes) -> bytes:
        """Return the data key; raises UnknownKey or TamperedSeal."""
        key = self.ring().find(key_id)
        if key is None:
            raise UnknownKey(
                f"key {key_id} is not in the key ring {self.path}: restore a ring that holds it"
            )
        return decrypt(key.secret, wrapped, associated)

    def add_key(self, after: str) -> KeyRing:
        """Make a new active key, provided that `after` is still the active one; return the ring.

        Of two rotations that start at once the second finds the key of the first.
        """
        with self._edit, files.locked(self.path):
            ring = self.ring()
            if ring.active_id != after:
                return ring
            files.replace(self.path, ring.with_active(Kek.make()).dump())
        return self.ring()

    def drop_keys(self, key_ids: Collection[str]) -> KeyRing:
        """Drop these keys for ever; return the ring. Raises BadKeyRing for the active one."""
        with self._edit, files.locked(self.path):
            files.replace(self.path, self.ring().without(key_ids).dump())
        return self.ring()

    def _signature(self) -> Signature:
        found = self.path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size


@cache
def _key_file(path: Path) -> KeyFile:
    return KeyFile(path)


def key_file() -> KeyFile:
    """Return this process's key file: the one that `settings.VAULT_KEY_FILE` names."""
    return _key_file(Path(settings.VAULT_KEY_FILE))
