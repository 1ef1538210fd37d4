"""Tenants, their projects and members, and where these are projected."""

from tenancy.models.invitation import Invitation, InvitationState
from tenancy.models.ledger import QuotaEntry, UsageSample
from tenancy.models.membership import Membership, ProjectMembership
from tenancy.models.onboarding import Onboarding
from tenancy.models.project import Project, ProjectPlacement
from tenancy.models.tenant import Tenant, TenantPlacement

__all__ = [
    "Invitation",
    "InvitationState",
    "Membership",
    "Onboarding",
    "Project",
    "ProjectMembership",
    "ProjectPlacement",
    "QuotaEntry",
    "Tenant",
    "TenantPlacement",
    "UsageSample",
]
