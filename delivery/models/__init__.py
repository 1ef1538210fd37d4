"""Apps, their revisions and where these are projected; workflows and their runs."""

from delivery.models.allowing import TypeList
from delivery.models.app import App
from delivery.models.block import RevisionBlock
from delivery.models.freezing import RevisionThaw
from delivery.models.object_placement import ObjectPlacement
from delivery.models.placement import AppPlacement
from delivery.models.project_object import ProjectObject
from delivery.models.published import Publication, PublishedDefinition
from delivery.models.request_target import RequestTarget
from delivery.models.revision import Revision
from delivery.models.rollout import Rollout
from delivery.models.secret import ProjectSecret
from delivery.models.secret_placement import SecretPlacement
from delivery.models.workflow import Workflow
from delivery.models.workflow_run import WorkflowRun
from delivery.models.workflow_version import WorkflowVersion

__all__ = [
    "App",
    "AppPlacement",
    "ObjectPlacement",
    "ProjectObject",
    "ProjectSecret",
    "Publication",
    "PublishedDefinition",
    "RequestTarget",
    "Revision",
    "RevisionBlock",
    "RevisionThaw",
    "Rollout",
    "SecretPlacement",
    "TypeList",
    "Workflow",
    "WorkflowRun",
    "WorkflowVersion",
]
