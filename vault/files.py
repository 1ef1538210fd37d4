"""Key files: made at first run, readable by their owner alone, replaced as a whole."""

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vault.errors import KeyRingError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class ExposedKeyFile(KeyRingError):
    """A key file can be read by others than its owner; the message says how to go on."""


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the bytes of the key file at `path`; create it with mode 0600 when it is absent.

    Two processes may start at once: the file is linked into place complete, and the first one
    wins. Raises ExposedKeyFile when group or others may read it.
    """
    if not path.exists():
        _create(path, make())
    return read(path)


def read(path: Path) -> bytes:
    """Return the bytes of the key file. Raises ExposedKeyFile, FileNotFoundError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & _OTHERS:
            raise ExposedKeyFile(f"{path} is readable by others: run `chmod 600 {path}`")
        return file.read()


def replace(path: Path, content: bytes) -> None:
    """Put `content` in the place of the key file: readers see the old or the new one, whole."""
    draft = _write_draft(path, content)
    draft.replace(path)
    _sync(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the only right, of all processes of this machine, to change the key file.

    The lock is the kernel's (flock on `<path>.lock`): it ends with its process.
    """
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _write_draft(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _sync(path.parent)


def _write_draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync(folder: Path) -> None:
    """Make the folder's entry durable: a lost key ring would lose every secret."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
