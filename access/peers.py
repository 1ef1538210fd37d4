"""Who is at the other end of the connection, whatever its headers claim."""

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the peer's address, for throttles and lockouts.

    X-Forwarded-For is the client's own word but for the entries that our proxies have appended:
    with n trusted proxies (settings.TRUSTED_PROXIES) the n-th from the right is the client.
    """
    peer: str = request.META.get("REMOTE_ADDR", "")
    trusted = settings.TRUSTED_PROXIES
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    return hops[-trusted][:45] if trusted and len(hops) >= trusted and hops[-trusted] else peer
