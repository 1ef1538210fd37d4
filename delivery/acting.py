"""Restart and scale: what is declared changes, so that it is a revision and no drift."""

from collections.abc import Sequence
from dataclasses import replace

from django.core.exceptions import ValidationError

from delivery.models import App
from delivery.rules.acting import autoscaled, restart_problems, restartable, restarted, scaled
from delivery.rules.problems import names_of
from reconcile.api.bodies import pointer
from reconcile.api.problems import model_faults
from reconcile.refusals import Conflicting, Deleting, Fault, Invalid
from reconcile.values import JSON

_WRONG = "Parts of the request are wrong."


def restart(app: App, names: Sequence[str] | None, *, by: str, message: str = "") -> None:
    """Declare a restart of these components, by default of all that run on.

    Raises Invalid for a name that there is not, Conflicting without anything to restart, and what
    `declare` raises.
    """
    chosen = restartable(app.components) if names is None else list(names)
    if found := restart_problems(app.components, chosen):
        faults = [Fault(code, text, pointer("components", *path)) for path, code, text in found]
        raise Invalid(_WRONG, errors=faults)
    if not chosen:
        raise Conflicting(f"{app} has nothing that could be restarted.")
    told = message or f"Restart of {', '.join(chosen)}."
    _declare(app, restarted(app.components, chosen, str(app.revision + 1)), by, told)


def scale(app: App, name: str, replicas: int, *, by: str, message: str = "") -> bool:
    """Declare how many replicas a component has; False when it has so many.

    The only component need no name. Raises Invalid, Conflicting where an autoscaler decides, and
    what `declare` raises.
    """
    known = [str(each) for each in names_of(app.components)]
    name = known[0] if not name and len(known) == 1 else name
    if name not in known:
        code, text = (
            ("unknown", "The app has no such component.") if name else ("required", "Name it.")
        )
        raise Invalid(_WRONG, errors=[Fault(code, text, "/component")])
    if autoscaled(app.components, name):
        raise Conflicting(f"The trait hpa of {name} decides how many replicas it has. Change that.")
    told = message or f"{name} has {replicas} replicas."
    return _declare(app, scaled(app.components, name, replicas), by, told)


def _unnamed() -> Fault:
    return Fault("required", "Name it: the app has several.", "/component")


def _declare(app: App, components: list[JSON], by: str, message: str) -> bool:
    if app.deleting:
        raise Deleting(f"{app} is being deleted.")
    app.components = components
    app.change = replace(App.change, message=message)
    try:
        return app.declare(by=by)
    except ValidationError as error:
        raise Invalid(_WRONG, errors=model_faults(error)) from None
    finally:
        app.change = App.change
