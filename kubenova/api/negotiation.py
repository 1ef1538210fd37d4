"""One representation: whatever the client says it accepts, it gets JSON."""

from collections.abc import Sequence
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONAlone(DefaultContentNegotiation):
    """Ignores Accept (RFC 9110 allows it): a problem is more use to a browser than a 406."""

    def select_renderer(  # type: ignore[override]
        self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer and its media type."""
        return renderers[0], renderers[0].media_type or ""
