"""Bodies of strategies and rollouts: the waves, and how far each of them has come."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from delivery.models import App
from delivery.rules.strategy import MAX_SOAK
from delivery.rules.waves import RolloutState, WaveState
from reconcile.api.fields import BooleanField, IntegerField, StringField
from reconcile.api.serializers import StrictSerializer
from reconcile.values import JSON, Phase, RepairMode


class StrategyWaveSerializer(StrictSerializer):
    """A wave: the clusters that are named or carry all labels of the selector."""

    clusters = serializers.ListField(child=StringField(), required=False)
    selector = serializers.DictField(child=StringField(), required=False)
    approval = BooleanField(
        required=False, help_text="Whether a person has to promote it before it begins."
    )
    soak = IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_SOAK,
        help_text="Seconds that it has to stay healthy before the next one begins.",
    )
    max_unavailable = IntegerField(
        required=False,
        min_value=1,
        max_value=1_000,
        help_text="How many of its clusters may be on the move or not healthy at once; all.",
    )


class StrategySerializer(StrictSerializer):
    """In which waves a revision comes to the clusters; those that no wave selects come last."""

    waves = StrategyWaveSerializer(many=True, required=False)


@extend_schema_field(StrategySerializer)
class StrategyField(serializers.JSONField):
    """The strategy as it is."""


class WaveSerializer(serializers.Serializer[object]):
    """A wave of a rollout, and how far it has come."""

    number = serializers.IntegerField()
    clusters = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=list(WaveState))
    approval = serializers.BooleanField(help_text="Whether a person has to promote it.")
    soak = serializers.IntegerField(help_text="Seconds.")
    max_unavailable = serializers.IntegerField(allow_null=True, help_text="Null: all of them.")
    started_at = serializers.DateTimeField(allow_null=True)
    healthy_since = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True, help_text="From its start to its end or now.")
    approved_by = serializers.CharField(help_text="Empty as long as nobody has.")
    approved_at = serializers.DateTimeField(allow_null=True)
    soak_ended_by = serializers.CharField(help_text="Who has promoted it while it soaked.")


class PausedSerializer(serializers.Serializer[object]):
    """Who has paused a rollout, when and why."""

    by = serializers.CharField()
    at = serializers.DateTimeField()
    reason = serializers.CharField()


class ComponentRolloutSerializer(serializers.Serializer[object]):
    """How a component fares on a cluster."""

    name = serializers.CharField()
    revision = serializers.IntegerField(allow_null=True, help_text="The one that is there.")
    phase = serializers.ChoiceField(choices=list(Phase))
    ready = serializers.IntegerField(help_text="Replicas that are available.")
    wanted = serializers.IntegerField(help_text="Replicas.")
    message = serializers.CharField()
    since = serializers.DateTimeField(help_text="When it came into this revision and phase.")


class ClusterRolloutSerializer(serializers.Serializer[object]):
    """How an app fares on a cluster."""

    cluster = serializers.CharField(source="cluster.name")
    target = serializers.IntegerField(
        help_text="The revision that is wanted there by now; 0 as long as its wave waits."
    )
    revision = serializers.IntegerField(help_text="The one that is there, 0 for none.")
    phase = serializers.ChoiceField(choices=list(Phase))
    components = ComponentRolloutSerializer(many=True, source="rollout")


class RolloutSerializer(serializers.Serializer[object]):
    """How far the current revision of an app has come: by waves, and by cluster and component.

    Made from `App.rollout_told()` with the `app` itself.
    """

    name = serializers.CharField(source="app.name")
    tenant = serializers.CharField(source="app.project.tenant.name")
    project = serializers.CharField(source="app.project.name")
    revision = serializers.IntegerField(source="app.revision", help_text="The one that is wanted.")
    phase = serializers.ChoiceField(choices=list(Phase), source="app.phase")
    repair_mode = serializers.SerializerMethodField()
    strategy = StrategyField()
    state = serializers.ChoiceField(choices=list(RolloutState))
    reason = serializers.CharField(help_text="What it waits for, or what has ended it.")
    verbs = serializers.ListField(
        child=serializers.CharField(),
        help_text="What its state allows to who may deliver; break-glass takes a tenant-admin.",
    )
    paused = PausedSerializer(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True, help_text="From its start to its end or now.")
    waves = WaveSerializer(many=True)
    clusters = ClusterRolloutSerializer(many=True, source="app.placements.all")

    @extend_schema_field(serializers.ChoiceField(choices=list(RepairMode)))
    def get_repair_mode(self, told: JSON) -> str:
        """What happens to drift of it: its own mode, else the one of its tenant."""
        app: App = told["app"]
        return app.repair_mode or app.project.tenant.repair_mode
