"""Rules in CEL that operators write and publish, and where. Their credential carries them there.

KubeNova's account may not write admission policies: that right would be one to lift its own guard.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import models

from clusters.models import Cluster
from clusters.models.bootstrap import RULES
from clusters.models.published import Published, PublishedRows, Sent
from clusters.named_rules import WORD, mark_of, of_rule
from clusters.rule_names import ability_of
from delivery.models.validators import errors_by_column
from policies.rules.celrules import Rule, absences, manifests, rule_problems
from reconcile.refusals import Conflicting, Fault, Invalid
from reconcile.values import JSON, Live
from tenancy.models import Tenant
from tenancy.rules.named import NAMED, named_in


class CelRuleQuerySet(PublishedRows):
    """Reading verbs."""

    def visible_to(self, user: User | AnonymousUser) -> "CelRuleQuerySet":
        """Whoever writes policy sets may name them."""
        from policies.models.policyset import governs

        return self if governs(user) else self.none()


class CelRule(Published):
    """A rule as it is to be on clusters. Policy sets and tenants name it by the kind `cel`."""

    name = models.CharField(max_length=63, unique=True)
    description = models.CharField(max_length=300, blank=True, default="")
    resources = models.JSONField(default=list, blank=True)
    operations = models.JSONField(default=list, blank=True)
    variables = models.JSONField(default=list, blank=True)
    validations = models.JSONField(default=list, blank=True)

    objects = CelRuleQuerySet.as_manager()

    step = RULES
    verb = "publish-rules"
    noun = "rules"

    class Meta:
        ordering = ["name"]
        verbose_name = "CEL rule"

    def __str__(self) -> str:
        return f"Rule {self.name}"

    @property
    def full_name(self) -> str:
        """Its name."""
        return self.name

    @property
    def rule(self) -> Rule:
        """The part that its policy is made of."""
        parts = (self.resources, self.operations, self.variables, self.validations)
        return Rule(self.name, *parts)

    @property
    def manifests(self) -> list[JSON]:
        """The policy and its bindings, or what takes them away."""
        return absences(self.name) if self.deleting else manifests(self.rule)

    @property
    def ability(self) -> str:
        """That to enforce it."""
        return ability_of(self.name)

    def mark_in(self, seen: Sequence[Live]) -> str:
        """Return the mark of its objects."""
        return mark_of(of_rule(self.name, seen))

    def clean(self) -> None:
        """Refuse what is no rule. Raises ValidationError."""
        if errors := errors_by_column(rule_problems(self.rule)):
            raise ValidationError(errors)

    def refuse_deletion(self) -> None:
        """Raise Conflicting while sets or tenants name it."""
        if using := list(self.used_by()):
            more = f" and {len(using) - 5} more" if len(using) > 5 else ""
            text = f"{self} is used by {', '.join(using[:5])}{more}. Take it out there first."
            raise Conflicting(text, users=using[:100])

    def used_by(self) -> Iterator[str]:
        """Name the sets, also by versions that somebody is bound by, and tenants that name it."""
        from policies.models.attachment import Attachment
        from policies.models.policyset import PolicySet

        sets = {row.name: [row.rules] for row in PolicySet.objects.order_by("name")}
        for row in Attachment.objects.standing():
            sets[row.policy_set.name].append(row.attached.rules)
        for name, rules in sets.items():
            if self.name in named_in(*rules):
                yield f"policy set {name}"
        rows = Tenant.objects.filter(restrictions__has_key=NAMED).order_by("name")
        for tenant in rows.only("name", "restrictions"):
            if self.name in named_in(tenant.restrictions):
                yield f"tenant {tenant.name}"


class RulePublication(Sent):
    """A rule on a cluster."""

    rule = models.ForeignKey(CelRule, on_delete=models.CASCADE, related_name="publications")
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="published_rules")

    class Meta:
        ordering = ["cluster__name"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "cluster"], name="rule_once_per_cluster")
        ]

    @property
    def published(self) -> CelRule:
        """The rule."""
        return self.rule


def expected() -> dict[str, list[str]]:
    """Name the rules that clusters are asked for."""
    return {WORD: list(CelRule.objects.values_list("name", flat=True))}


def hold_rules(rules: Iterable[object], pointer: str) -> None:
    """Keep the rules that restrictions name from being deleted meanwhile.

    Raises Invalid for names that there are not, or that are on their way out.
    """
    names = named_in(*rules)
    if not names:
        return
    rows: Any = CelRule.objects.select_for_update(no_key=True).order_by("pk")
    held = {row.name for row in rows.filter(name__in=names, deletion_requested_at=None)}
    faults = [
        Fault("unknown", f"There is no rule {name}.", f"{pointer}/{NAMED}/rules/{index}")
        for index, name in enumerate(names)
        if name not in held
    ]
    if faults:
        raise Invalid("Parts of the request are wrong.", errors=faults)
