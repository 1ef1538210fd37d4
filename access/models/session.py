"""A token session: what stands behind an access and a refresh token. No token is ever stored."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError

from access.tokens import AccessToken, RefreshToken

# However often it is refreshed, a session ends after this long: then the password is asked again.
LONGEST = timedelta(days=30)
# A client whose answer got lost repeats its refresh at once; a thief comes later.
REUSE_GRACE = timedelta(seconds=10)


@dataclass(frozen=True)
class Pair:
    """What the owner of a session gets: both tokens and how long the access token lives."""

    access: str
    refresh: str
    expires_in: int


class TokenSessionQuerySet(QuerySet["TokenSession"]):
    """Reading verbs."""

    def live(self) -> Self:
        """Return the sessions that can still be used."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now())

    def of_token(self, token: AccessToken | RefreshToken) -> "TokenSession | None":
        """Return the live session of a valid token with its user, in one query.

        None when it was revoked, and when its user is gone, disabled or has a new password.
        """
        try:
            uid = uuid.UUID(token["sid"])
        except ValueError:
            return None
        rows = self.live().filter(uid=uid, user_id=int(token["sub"]), user__is_active=True)
        session = rows.select_related("user").first()
        if session is None or not compare_digest(session.stamp, stamp_of(session.user)):
            return None
        return session


class TokenSession(models.Model):
    """One sign-in with a password. Its refresh token is good for one use (RFC 9700, 4.14)."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="token_sessions"
    )
    stamp = models.CharField(max_length=64)
    refresh_jti = models.CharField(max_length=32)
    previous_jti = models.CharField(max_length=32, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    refreshed_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TokenSessionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"Session of {self.user.get_username()} since {self.created_at:%Y-%m-%d %H:%M}"

    @classmethod
    def open(cls, user: User) -> Pair:
        """Begin a session and return its first pair; the user's ended ones are swept out."""
        cls.objects.filter(user=user, expires_at__lt=timezone.now()).delete()
        session = cls(user=user, stamp=stamp_of(user), refresh_jti=secrets.token_hex(16))
        session.expires_at = session._next_expiry()
        session.save(force_insert=True)
        return session.pair()

    @classmethod
    def refresh(cls, raw: str) -> Pair:
        """Exchange a refresh token for a new pair. Raises TokenError.

        The conditional UPDATE lets exactly one of several uses win. A second use later on means
        that two hold the token: the session ends for both.
        """
        token = RefreshToken(raw)  # type: ignore[arg-type]
        session = cls.objects.of_token(token)
        if session is None:
            raise TokenError("The session has ended.")
        now, fresh = timezone.now(), secrets.token_hex(16)
        session.expires_at = session._next_expiry()
        rows = cls.objects.live().filter(pk=session.pk, refresh_jti=token["jti"])
        if not rows.update(
            refresh_jti=fresh,
            previous_jti=token["jti"],
            refreshed_at=now,
            expires_at=session.expires_at,
        ):
            session._note_reuse(token["jti"])
            raise TokenError("The token was used before.")
        session.refresh_jti = fresh
        return session.pair()

    @classmethod
    def revoke(cls, raw: str) -> None:
        """End the session of a refresh token; one that is not valid ends nothing (RFC 7009)."""
        try:
            session = cls.objects.of_token(RefreshToken(raw))  # type: ignore[arg-type]
        except TokenError:
            return
        if session:
            session.end()

    def pair(self) -> Pair:
        """Return the tokens of the session as it is now."""
        access, refresh = AccessToken(), RefreshToken()
        for token in (access, refresh):
            token["sub"], token["sid"] = str(self.user_id), self.uid.hex
        refresh["jti"] = self.refresh_jti
        refresh["exp"] = int(self.expires_at.timestamp())
        return Pair(str(access), str(refresh), int(AccessToken.lifetime.total_seconds()))

    def _next_expiry(self) -> datetime:
        longest: datetime = self.created_at + LONGEST
        wanted: datetime = timezone.now() + RefreshToken.lifetime
        return min(wanted, longest)

    def _note_reuse(self, jti: str) -> None:
        current = type(self).objects.filter(pk=self.pk).first()
        if current is None:
            return
        repeated = current.previous_jti == jti
        if not (repeated and timezone.now() - current.refreshed_at < REUSE_GRACE):
            self.end()

    def end(self) -> bool:
        """End it with all of its tokens; False when it had ended already."""
        return bool(type(self).objects.live().filter(pk=self.pk).update(revoked_at=timezone.now()))


def stamp_of(user: User) -> str:
    """Return what changes with the password; a session made before the change dies with it."""
    return hashlib.sha256(f"kubenova.token-session:{user.password}".encode()).hexdigest()
