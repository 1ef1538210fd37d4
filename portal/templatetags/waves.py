"""How pages show the states of rollouts and their waves: by a word, an icon and a colour."""

from django import template

from delivery.rules.waves import RolloutState, WaveState
from reconcile.values import JSON, Phase

register = template.Library()

_SHOWN: dict[str, tuple[str, str, str]] = {
    WaveState.WAITING: ("Waiting", "clock", Phase.PENDING),
    WaveState.WAITING_APPROVAL: ("Waiting for approval", "hand-raised", Phase.DRIFTED),
    WaveState.RUNNING: ("Running", "arrow-path", Phase.APPLYING),
    WaveState.SOAKING: ("Soaking", "clock", Phase.APPLYING),
    WaveState.DONE: ("Done", "check-circle", Phase.DEPLOYED),
    RolloutState.PAUSED: ("Paused", "pause", Phase.DRIFTED),
    RolloutState.HELD: ("Held", "lock-closed", Phase.DRIFTED),
    RolloutState.ABORTED: ("Aborted", "arrow-uturn-left", Phase.ERROR),
    RolloutState.ROLLED_BACK: ("Rolled back", "arrow-uturn-left", Phase.ERROR),
}


@register.inclusion_tag("delivery/_wave_state.html")
def wave_state(name: str) -> JSON:
    """Show the state of a rollout or of one of its waves."""
    word, icon, look = _SHOWN[name]
    return {"word": word, "icon": icon, "look": look}
