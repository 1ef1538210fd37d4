"""What people do to runs over HTTP, wherever these are found."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from delivery.api.workflow_bodies import ResumeSerializer, WhySerializer, WorkflowRunSerializer
from delivery.models import WorkflowRun
from reconcile.api.objects import ObjectView
from reconcile.api.verbs import verb


def shown(found: WorkflowRun, **headers: str) -> Response:
    """Answer with a run as it is by now."""
    run = WorkflowRun.objects.select_related("workflow__project__tenant").get(pk=found.pk)
    return Response(WorkflowRunSerializer(run).data, status=202, headers=headers)


class RunVerbs(ObjectView):
    """Verbs of the run whose number is in the path; `runs_of` says among which."""

    def runs_of(self, row: Any) -> "QuerySet[WorkflowRun]":
        """Return the runs of what the path names."""
        raise NotImplementedError

    def run_of(self, row: Any) -> WorkflowRun:
        """Return the run of that number. Raises NotFound."""
        found = self.runs_of(row).filter(number=self.kwargs["number"]).first()
        if found is None:
            raise NotFound
        return found

    @verb("deliver", body=WhySerializer, answer=WorkflowRunSerializer)
    def suspend(self, row: Any, data: Mapping[str, Any]) -> Response:
        """Begin no further step; what is under way goes on."""
        found = self.run_of(row)
        found.suspend(self.user.get_username(), message=data.get("message", ""))
        return shown(found)

    @verb("deliver", body=ResumeSerializer, answer=WorkflowRunSerializer)
    def resume(self, row: Any, data: Mapping[str, Any]) -> Response:
        """Let a suspended run go on, or approve the step that waits: who and why is kept."""
        found = self.run_of(row)
        given = {"step": data.get("step", ""), "message": data.get("message", "")}
        found.resume(self.user.get_username(), **given)
        return shown(found)

    @verb("deliver", body=WhySerializer, answer=WorkflowRunSerializer)
    def terminate(self, row: Any, data: Mapping[str, Any]) -> Response:
        """End the run now; apps stay as they are."""
        found = self.run_of(row)
        found.terminate(self.user.get_username(), message=data.get("message", ""))
        return shown(found)

    @verb("deliver", body=WhySerializer, answer=WorkflowRunSerializer)
    def retry(self, row: Any, data: Mapping[str, Any]) -> Response:
        """Run what failed anew, and all that waited for it."""
        found = self.run_of(row)
        found.retry(self.user.get_username(), message=data.get("message", ""))
        return shown(found)
