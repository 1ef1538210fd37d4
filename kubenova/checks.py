"""System checks: production refuses to start when something about it is unsafe."""

import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from access.keys import BadKeyFile, KeyRing
from vault.errors import KeyRingError
from vault.files import read

SECRET_KEY_LENGTH = 50  # Django's own measure of a good one
SECRET_KEY_CHARACTERS = 5
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_DEFAULTS = ("django-insecure", "changeme", "change-me", "secret", "password", "insecure")


@register(Tags.security)
def check_production(**kwargs: object) -> list[CheckMessage]:
    """Refuse settings that are for a first run or for development (only in production)."""
    return list(_production_problems()) if settings.PRODUCTION else []


@register(Tags.security)
def check_key_files(**kwargs: object) -> list[CheckMessage]:
    """Refuse keys that others may read, or tokens that are signed with weak ones (always)."""
    return [*_exposed_files(), *_token_keys()]


@register()
def check_watching(**kwargs: object) -> list[CheckMessage]:
    """Refuse a watcher that would keep no promise, or ask clusters all the time (always)."""
    return [
        Error(
            f"KUBENOVA_{name} is {getattr(settings, name)}: it must be {least} to {most} seconds.",
            hint=hint,
            id="kubenova.E006",
        )
        for name, least, most, hint in _WATCH_BOUNDS
        if not least <= getattr(settings, name) <= most
    ]


_WATCH_BOUNDS = (
    ("WATCH_LEASE_SECONDS", 3, 25, "So long after a watcher's death its clusters lie unwatched."),
    ("WATCH_SILENCE_SECONDS", 5, 300, "API servers send bookmarks about once a minute."),
    ("WATCH_RELIST_SECONDS", 5, 3600, "A lost event is found at the next full list."),
    ("WATCH_PROBE_SECONDS", 2, 300, "So long a restored etcd may go unnoticed."),
)


def _production_problems() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error(
            "DEBUG is on in production.",
            hint="Take DEBUG out of the environment.",
            id="kubenova.E001",
        )
    if _is_weak(settings.SECRET_KEY):
        yield Error(
            "SECRET_KEY is a default or too easy to guess.",
            hint=f"Use {SECRET_KEY_LENGTH} random characters or more, or leave it out: "
            "one is made and kept in a file.",
            id="kubenova.E002",
        )
    if any(host.strip() in ("*", ".") for host in settings.ALLOWED_HOSTS):
        yield Error(
            "ALLOWED_HOSTS allows every host name.",
            hint="Name the hosts that people use.",
            id="kubenova.E004",
        )
    if settings.SQLITE:
        yield Warning(
            "SQLite serves the roles of one machine only.",
            hint="Set DATABASE_URL to PostgreSQL before a second machine joins.",
            id="kubenova.W001",
        )
    if not settings.SECURE_SSL_REDIRECT:
        yield Warning(
            "Plain HTTP is not redirected to HTTPS.",
            hint="Leave SECURE_SSL_REDIRECT on, unless what is in front does it.",
            id="kubenova.W002",
        )


def _is_weak(secret: str) -> bool:
    return (
        len(secret) < SECRET_KEY_LENGTH
        or len(set(secret)) < SECRET_KEY_CHARACTERS
        or secret.lower().startswith(_DEFAULTS)
    )


def _exposed_files() -> Iterator[CheckMessage]:
    for path in (settings.STATE_DIR / "secret-key", settings.JWT_KEY_FILE, settings.VAULT_KEY_FILE):
        if _others_may_read(path):
            yield Error(
                f"{path} is readable by others than its owner.",
                hint=f"Run: chmod 600 {path}",
                id="kubenova.E003",
            )


def _others_may_read(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & _OTHERS)


def _token_keys() -> Iterator[CheckMessage]:
    try:
        KeyRing.parse(read(settings.JWT_KEY_FILE))
    except FileNotFoundError:
        return  # made at first use
    except (BadKeyFile, KeyRingError) as error:
        yield Error(f"{settings.JWT_KEY_FILE}: {error}", id="kubenova.E005")
