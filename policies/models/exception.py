"""Exceptions: a kind of rules that does not hold for somebody, for a reason and until a day."""

import uuid

from django.core.validators import MinLengthValidator
from django.db import models
from django.utils import timezone

from policies.rules.binding import Exempt
from reconcile.refusals import Fault
from tenancy.models import Project, Tenant


class PolicyException(models.Model):
    """Spares a tenant, or one project of it, one kind of an attachment's rules; never changed.

    It goes with whom it spares: who has the same name later is somebody else.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    attachment = models.ForeignKey(
        "policies.Attachment", on_delete=models.CASCADE, related_name="exceptions"
    )
    of_tenant = models.ForeignKey(
        Tenant,
        null=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="policy_exceptions",
    )
    of_project = models.ForeignKey(
        Project,
        null=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="policy_exceptions",
    )
    tenant = models.CharField(max_length=40)
    project = models.CharField(max_length=40, blank=True, default="")
    kind = models.CharField(max_length=63)
    reason = models.CharField(max_length=300, validators=[MinLengthValidator(3)])
    author = models.CharField(max_length=150)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["expires_at", "pk"]

    def __str__(self) -> str:
        return f"Exception from {self.kind} for {self.subject}"

    def bind(self) -> list[Fault]:
        """Hold on to whom it names; return what is wrong where there is no such."""
        self.of_tenant = Tenant.objects.filter(name=self.tenant).first()
        if self.of_tenant is None:
            return [Fault("unknown", "There is no such tenant.", "/tenant")]
        if self.project:
            self.of_project = self.of_tenant.projects.filter(name=self.project).first()
            if self.of_project is None:
                return [Fault("unknown", "There is no such project.", "/project")]
        return []

    @property
    def subject(self) -> str:
        """Whom it spares: `tenant` or `tenant/project`."""
        return f"{self.tenant}/{self.project}" if self.project else self.tenant

    @property
    def expired(self) -> bool:
        """Whether it holds no more."""
        return self.expires_at <= timezone.now()

    @property
    def exempt(self) -> Exempt:
        """The part that binding is resolved with."""
        return Exempt(self.tenant, self.project, self.kind, self.expires_at)
