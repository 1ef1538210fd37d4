"""Tokens: sign in, refresh, revoke; and who one is."""

from dataclasses import asdict
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework_simplejwt.exceptions import TokenError

from access.api.serializers import (
    CredentialsSerializer,
    KeySetSerializer,
    MeSerializer,
    PairSerializer,
    TokenSerializer,
)
from access.keys import key_ring
from access.models import TokenSession
from access.models.session import Pair
from access.throttles import AccountThrottle, PeerThrottle
from reconcile.api.serializers import StrictSerializer
from reconcile.api.views import ApiView, OpenView


class TokenEndpoint(OpenView):
    """What the three endpoints share."""

    throttle_classes: tuple[type[BaseThrottle], ...] = (PeerThrottle,)

    def valid(self, kind: type[StrictSerializer]) -> dict[str, Any]:
        """Return the values of a valid body. Raises ValidationError."""
        serializer = kind(data=self.body())
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values


class TokenView(TokenEndpoint):
    """`POST /token`: a username and password become a pair of tokens."""

    throttle_classes = (PeerThrottle, AccountThrottle)

    @extend_schema(request=CredentialsSerializer, responses=PairSerializer)
    def post(self, request: Request) -> Response:
        """Sign in. Unknown users and wrong passwords take the same time and get the same answer."""
        given = self.valid(CredentialsSerializer)
        user = authenticate(request._request, **given)
        if not isinstance(user, User):
            raise AuthenticationFailed
        user_logged_in.send(sender=User, request=request._request, user=user)
        return _pair(TokenSession.open(user))


class RefreshView(TokenEndpoint):
    """`POST /token/refresh`: a refresh token becomes the next pair."""

    @extend_schema(request=TokenSerializer, responses=PairSerializer)
    def post(self, request: Request) -> Response:
        """Exchange the refresh token. It is good for one use; a second one ends the session."""
        try:
            return _pair(TokenSession.refresh(self.valid(TokenSerializer)["refresh"]))
        except TokenError:
            raise AuthenticationFailed from None


class RevokeView(TokenEndpoint):
    """`POST /token/revoke`: the session of a token ends, with all of its tokens."""

    @extend_schema(request=TokenSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """End the session. Tokens that are not valid any more get the same answer (RFC 7009)."""
        TokenSession.revoke(self.valid(TokenSerializer)["refresh"])
        return Response(status=204)


class KeySetView(OpenView):
    """`GET /jwks`: the public keys that access tokens can be verified with."""

    @extend_schema(responses=KeySetSerializer)
    def get(self, request: Request) -> Response:
        """Return the keys (RFC 7517), those that are to sign next included."""
        keys = [key.as_jwk() for key in key_ring().keys]
        headers = {"Cache-Control": "public, max-age=60"}
        return Response({"keys": [key for key in keys if key]}, headers=headers)


class MeView(ApiView):
    """`GET /me`: who one is."""

    serializer_class = MeSerializer

    def get(self, request: Request) -> Response:
        """Return the account that the request is made with."""
        return Response(MeSerializer(self.user).data)


def _pair(pair: Pair) -> Response:
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response({**asdict(pair), "token_type": "Bearer"}, headers=headers)
