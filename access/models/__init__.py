"""Grants of access to clusters, the sessions behind API tokens, and the audit log."""

from access.models.audit import AuditRecord
from access.models.grant import KubeconfigGrant
from access.models.placement import GrantPlacement
from access.models.session import TokenSession

__all__ = ["AuditRecord", "GrantPlacement", "KubeconfigGrant", "TokenSession"]
