"""Secrets of a project: values that people hand over once and nobody reads back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from delivery.models.in_project import InProject, InProjectQuerySet
from delivery.models.revision import Revision
from delivery.models.validators import errors_of
from delivery.rules.schema import Problem
from delivery.rules.secrets import MAX_SECRETS, name_fault, names_used, value_problems
from reconcile.grammar import validate_name
from reconcile.models import Event, marking
from reconcile.models.decisions import above
from reconcile.models.rows import read
from reconcile.refusals import Deleting, InUse, LimitReached
from reconcile.values import JSON
from tenancy.models import Project
from vault.fields import SealedTextField
from vault.sealed import Secret as SealedSecret
from vault.sealed import looks_masked

if TYPE_CHECKING:
    SealedColumn = models.Field[SealedSecret | str | None, SealedSecret | None]


class ProjectSecret(InProject):
    """Values by key, on every cluster of its project as a Secret of its name.

    They are `sealed`, a JSON object; `digests` holds what is shown of each, made under a key of
    ours. `version` counts how often values changed, `changed_by` and `changed_at` say who did last.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="secrets")
    name = models.CharField(max_length=63, validators=[validate_name])
    description = models.CharField(max_length=300, blank=True, default="")
    digests = models.JSONField(default=dict, blank=True, editable=False)
    sealed: "SealedColumn" = SealedTextField()
    version = models.PositiveIntegerField(default=0, editable=False)
    changed_by = models.CharField(max_length=150, blank=True, default="", editable=False)
    changed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = InProjectQuerySet.as_manager()

    spec_fields: ClassVar[tuple[str, ...]] = ("name", "description", "digests")
    _problems: "Sequence[Problem]" = ()
    _given = False  # whether this very object brings values that are not stored yet

    class Meta:
        ordering = ["project__tenant__name", "project__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="secret_once_per_project")
        ]

    @property
    def kind(self) -> str:
        """As people know it."""
        return "Secret"

    # --- Values go in.

    def assign(self, values: Mapping[str, object]) -> None:
        """Take new values by key instead of all earlier ones; what is wrong is told by `clean`."""
        self._problems = [*value_problems(values), *_masked(values)]
        if self._problems:
            return
        digests = {key: self._digest(str(value)) for key, value in sorted(values.items())}
        if digests == self.digests and self.sealed is not None:
            return
        self.digests, self._given = digests, True
        self.sealed = json.dumps(values, sort_keys=True, ensure_ascii=False)

    def _digest(self, value: str) -> str:
        """Equal values of a project have the same one, which is worth nothing without our key."""
        salt = f"delivery.secret.{self.project.uid}"
        return salted_hmac(salt, value, algorithm="sha256").hexdigest()[:32]

    def reveal(self) -> dict[str, str]:
        """Return the values, for clusters alone. Raises SealError."""
        values: dict[str, str] = json.loads(self.sealed.reveal()) if self.sealed else {}
        return values

    @property
    def keys(self) -> list[JSON]:
        """What is shown of the values: each key with its digest."""
        return [{"key": key, "hmac": digest} for key, digest in sorted(self.digests.items())]

    def clean(self) -> None:
        """Refuse names that are not people's to use, and values that were found wrong."""
        errors = {"digests": errors_of(self._problems)} if self._problems else {}
        if self.pk is None and (fault := name_fault(self.name)):
            errors["name"] = [ValidationError(fault, code="reserved")]
        if not errors and not self.digests:
            errors["digests"] = [ValidationError("Give at least one key.", code="required")]
        if errors:
            raise ValidationError(errors)

    # --- What is declared.

    def targets(self) -> Iterable[int]:
        """Every cluster that its project is on."""
        read(self.project.key)
        rows = self.project.placements.filter(unselected=False, deletion_requested_at=None)
        return sorted(rows.values_list("cluster_id", flat=True))

    def on_declared(self, *, by: str, created: bool) -> None:
        """Write down new values with their version, in the transaction of the declaration."""
        if Project.objects.filter(pk=self.project_id).exclude(deletion_requested_at=None).exists():
            raise Deleting(f"{self.project} is being deleted and takes no secrets.")
        self.refuse_cordoned()
        if created and ProjectSecret.objects.filter(project=self.project_id).count() > MAX_SECRETS:
            raise LimitReached(f"A project may have {MAX_SECRETS} secrets.", limit=MAX_SECRETS)
        if not self._given:
            return
        self.version, self.changed_by, self.changed_at = self.version + 1, by, timezone.now()
        self._given = False
        self.save(update_fields=["sealed", "version", "changed_by", "changed_at"])
        message = f"{self} has version {self.version}, by {by}."
        data: JSON = {"version": self.version, "keys": sorted(self.digests)}
        Event.record(self, "ValuesChanged", message, actor=by, data=data)

    def request_deletion(self, by: str) -> None:
        """As for any row. Raises InUse while an app of a project that stays refers to it."""
        with marking():
            if not self.deleting and not _going(self):
                hold_references(self.project)
                if apps := self.used_by():
                    told = ", ".join(apps)
                    raise InUse(f"{self} is used by {told}. Take it out there first.", apps=apps)
            super().request_deletion(by)

    def used_by(self) -> list[str]:
        """Name the apps that refer to it, as declared or by what a cluster runs or is to run."""
        runs = Q(number=F("app__revision")) | Q(number=F("app__placements__revision"))
        runs |= Q(number=F("app__placements__target"))
        specs = Revision.objects.filter(runs, app__project=self.project).order_by()
        found = specs.values_list("app__name", "spec")
        return sorted({name for name, spec in found if self.name in names_used(spec)})


def _going(row: ProjectSecret) -> bool:
    _, *parents = above(row)
    return any(parent.deleting for parent in parents)


def hold_references(project: Project) -> None:
    """Keep apps from referring to a secret while it goes, until the transaction ends."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _masked(values: Mapping[str, object]) -> list[Problem]:
    """What was shown in the place of a value cannot come back as one."""
    text = "This is what is shown in the place of a secret, not a secret."
    masked = [
        key for key, value in values.items() if isinstance(value, str) and looks_masked(value)
    ]
    return [Problem((key,), "masked", text) for key in masked]
