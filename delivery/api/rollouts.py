"""Rollouts over HTTP: how far one has come, and what people do to it."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.api.views import AppView, not_coming_back
from delivery.api.waves import RolloutSerializer
from delivery.models import App
from reconcile.api.fields import IntegerField, StringField
from reconcile.api.serializers import StrictSerializer
from reconcile.api.verbs import verb
from reconcile.refusals import Conflicting


class RolloutReasonSerializer(StrictSerializer):
    """Why."""

    reason = StringField(required=False, allow_blank=True, max_length=300, help_text="Why.")


class WavePromotionSerializer(StrictSerializer):
    """Which wave is meant."""

    wave = IntegerField(
        required=False,
        min_value=1,
        help_text="The number of the wave that is to be promoted: 409 unless it is that one which "
        "waits. Left out: whichever waits.",
    )


class BreakGlassSerializer(StrictSerializer):
    """Why a revision cannot wait until a freeze is over."""

    reason = StringField(min_length=3, max_length=300, help_text="Why it cannot wait.")
    revision = IntegerField(
        required=False,
        min_value=1,
        help_text="The revision that is meant; 409 if another one is wanted by now.",
    )


class AppRollouts(AppView):
    """The rollout of an app's current revision."""

    @extend_schema(responses=RolloutSerializer)
    def rollout(self, request: Request, **kwargs: Any) -> Response:
        """Tell how far the current revision has come, by waves, clusters and components."""
        return self._told(self.find())

    @verb("deliver", body=RolloutReasonSerializer, answer=RolloutSerializer, plans=True)
    def pause(self, row: App, data: Mapping[str, Any]) -> Response:
        """Tell no more clusters of the new revision; what was told goes on there."""
        with transaction.atomic():
            found = self.locked(row)
            found.pause(by=self.user.get_username(), reason=data.get("reason", ""))
        return self._told(found, 202)

    @verb("deliver", answer=RolloutSerializer, plans=True)
    def resume(self, row: App, data: Mapping[str, Any]) -> Response:
        """Go on after a pause. What fails by now does not pause it once more."""
        with transaction.atomic():
            found = self.locked(row)
            found.resume(by=self.user.get_username())
        return self._told(found, 202)

    @verb("deliver", body=WavePromotionSerializer, answer=RolloutSerializer, plans=True)
    def promote(self, row: App, data: Mapping[str, Any]) -> Response:
        """Approve the wave that waits for it, or end the soak of the one before."""
        with transaction.atomic():
            found = self.locked(row)
            found.promote(by=self.user.get_username(), wave=data.get("wave"))
        return self._told(found, 202)

    @verb("deliver", body=RolloutReasonSerializer, answer=RolloutSerializer, plans=True)
    def abort(self, row: App, data: Mapping[str, Any]) -> Response:
        """Go back to what was healthy last, as a new revision; this one is blocked."""
        with transaction.atomic():
            found = self.locked(row)
            try:
                found.abort(by=self.user.get_username(), reason=data.get("reason", ""))
            except ModelError as error:
                raise not_coming_back(error) from None
        return self._told(found, 202)

    @verb("break_glass", body=BreakGlassSerializer, answer=RolloutSerializer, plans=True)
    def break_glass(self, row: App, data: Mapping[str, Any]) -> Response:
        """Let the current revision, and no later one, through a freeze of rollouts.

        For tenant-admins and operators. The event `GlassBroken` tells who did so and why.
        """
        with transaction.atomic():
            found = self.locked(row)
            if data.get("revision", found.revision) != found.revision:
                raise Conflicting(f"{found} is at revision {found.revision} by now.")
            found.break_glass(by=self.user.get_username(), reason=data["reason"])
        return self._told(found, 202)

    def _told(self, row: App, status: int = 200) -> Response:
        found = App.objects.prefetch_related(*self.prefetch).get(pk=row.pk)
        body = {"app": found, **found.rollout_told()}
        return Response(RolloutSerializer(body).data, status=status)
