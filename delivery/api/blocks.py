"""Blocking revisions over HTTP, and lifting it."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from delivery.api.serializers import RevisionSerializer
from delivery.api.views import AppView
from delivery.models import App, Revision
from reconcile.api.fields import StringField
from reconcile.api.serializers import StrictSerializer
from reconcile.api.verbs import verb


class BlockSerializer(StrictSerializer):
    """Why a revision is not to come back."""

    reason = StringField(max_length=300, help_text="Why.")


class UnblockSerializer(StrictSerializer):
    """Why a revision may come back."""

    reason = StringField(required=False, allow_blank=True, max_length=300, help_text="Why.")


class RevisionBlocks(AppView):
    """Revisions of an app that are not to come back."""

    @verb("rollback", body=BlockSerializer, answer=RevisionSerializer)
    def block(self, row: App, data: Mapping[str, Any]) -> Response:
        """Refuse this revision from now on, by its number and by what it holds."""
        with transaction.atomic():
            found = self.locked(row)
            revision = self._revision(found)
            done = found.block(revision, by=self.user.get_username(), reason=data["reason"])
        return self._shown(revision, 202 if done else 200)

    @verb("rollback", body=UnblockSerializer, answer=RevisionSerializer)
    def unblock(self, row: App, data: Mapping[str, Any]) -> Response:
        """Let this revision come back again; nothing goes back by that alone."""
        with transaction.atomic():
            found = self.locked(row)
            revision = self._revision(found)
            reason = data.get("reason", "")
            done = found.unblock(revision, by=self.user.get_username(), reason=reason)
        return self._shown(revision, 202 if done else 200)

    def _revision(self, row: App) -> Revision:
        found: Revision | None = row.revisions.filter(number=self.kwargs["number"]).first()
        if found is None:
            raise NotFound
        return found

    def _shown(self, revision: Revision, status: int) -> Response:
        found = Revision.objects.select_related("block").get(pk=revision.pk)
        return Response(RevisionSerializer(found).data, status=status)
