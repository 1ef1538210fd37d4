"""System checks: wrong settings are refused by id before anything starts."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from access.keys import ALGORITHMS


@register(Tags.security)
def check_algorithm(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse any other way to sign tokens than the two that are supported."""
    if settings.JWT_ALGORITHM in ALGORITHMS:
        return []
    return [
        Error(
            f"KUBENOVA_JWT_ALGORITHM is {settings.JWT_ALGORITHM!r}.",
            hint=f"Use one of {', '.join(ALGORITHMS)}.",
            id="access.E001",
        )
    ]


@register(Tags.security)
def check_grants(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse bounds of a kubeconfig's life that leave nothing between them."""
    least, most = settings.GRANT_MIN_SECONDS, settings.GRANT_MAX_SECONDS
    if least <= settings.GRANT_DEFAULT_SECONDS <= most:
        return []
    return [
        Error(
            f"KUBENOVA_GRANT_DEFAULT_SECONDS is not between {least} and {most}.",
            hint="Keep KUBENOVA_GRANT_MIN_SECONDS ≤ …_DEFAULT_… ≤ …_MAX_SECONDS.",
            id="access.E002",
        )
    ]


@register(Tags.security)
def check_proxy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse an access proxy that kubeconfigs could not lead to."""
    return list(_proxy_problems())


def _proxy_problems() -> Iterator[CheckMessage]:
    url = urlsplit(settings.PROXY_URL)
    if url.scheme != "https" or not url.hostname or url.path.strip("/") or url.query:
        yield Error(
            f"KUBENOVA_PROXY_URL is {settings.PROXY_URL!r}.",
            hint="Use https://host:port: kubeconfigs add their own path to it.",
            id="access.E003",
        )
    own = (settings.PROXY_CERT_FILE, settings.PROXY_CA_FILE)
    if any(own) and not all(own):
        yield Error(
            "The access proxy has a certificate of yours without its CA, or the CA alone.",
            hint="Set KUBENOVA_PROXY_CERT_FILE, …_KEY_FILE and …_CA_FILE, or none of them.",
            id="access.E004",
        )
    if (key := settings.PROXY_KEY_FILE) and _others_may_read(Path(key)):
        yield Error(f"{key} is readable by others.", hint=f"chmod 600 {key}", id="access.E005")


def _others_may_read(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
