"""Who asks: a bearer token, or the portal's session on the same origin.

Every failure looks the same from outside (RFC 6750): the answer never tells why.
"""

from django.contrib.auth.models import User
from rest_framework import authentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed

from access.models import TokenSession
from access.tokens import AccessToken


class TokenAuthentication(JWTAuthentication):
    """`Authorization: Bearer <access token>`; user and session are read anew at each request."""

    def get_user(self, validated_token: AccessToken) -> User:  # type: ignore[override]
        """Return the user of a live session. Raises AuthenticationFailed."""
        session = TokenSession.objects.of_token(validated_token)
        if session is None:
            raise AuthenticationFailed
        return session.user


class SessionAuthentication(authentication.SessionAuthentication):
    """The session of the portal; unsafe methods need its CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        """Refuse a request that another site may have sent. Raises PermissionDenied."""
        try:
            super().enforce_csrf(request)
        except PermissionDenied:
            raise PermissionDenied(code="csrf") from None
