"""The two tokens of a session: a short one for requests, a longer one to get the next pair."""

from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken as BaseAccessToken
from rest_framework_simplejwt.tokens import Token

from access.backend import KeyRingBackend


class KeyRingToken(Token):
    """A token that is signed and verified with our key ring alone."""

    def get_token_backend(self) -> KeyRingBackend:
        """Return the one backend there is."""
        return KeyRingBackend()


class AccessToken(KeyRingToken, BaseAccessToken):
    """Names a user (`sub`) and a session (`sid`); roles are never in it."""


class RefreshToken(KeyRingToken):
    """Good for one use: it is exchanged for a new pair of the same session."""

    token_type = "refresh"
    lifetime = api_settings.REFRESH_TOKEN_LIFETIME
