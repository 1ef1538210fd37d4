"""Pages of rollouts: what people do to the waves of an app."""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from delivery.forms import BreakGlassForm, WhyForm
from delivery.models import App
from delivery.models.freezing import BREAK_GLASS
from delivery.views import app_frame, find_app
from reconcile.pages.finding import PageRequest, page, sent
from reconcile.pages.forms import PageForm
from reconcile.pages.writing import show_form
from reconcile.refusals import Refusal


@dataclass(frozen=True)
class Deed:
    """What is about to be done: the verb, and what it means in a sentence."""

    verb: str
    title: str
    says: str
    icon: str


_PAUSE = Deed(
    "pause",
    "Pause the rollout",
    "No more clusters get this revision until somebody resumes. Those that have it go on.",
    "pause",
)
_ABORT = Deed(
    "abort",
    "Abort the rollout",
    "What was healthy last comes back to every cluster, as a new revision. This one is blocked "
    "until somebody lifts that.",
    "arrow-uturn-left",
)
_BREAK_GLASS = Deed(
    "break-glass",
    "Break the glass",
    "Rollouts are frozen. This revision comes to its clusters all the same, and no later one; "
    "the events of the app tell who did so and why.",
    "lock-open",
)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def pause(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """Asks why, then tells no more clusters."""
    row = find_app(request, "deliver", tenant, project, app)
    by = request.user.get_username()
    return _asked(request, row, _PAUSE, lambda why: row.pause(by=by, reason=why))


@require_http_methods(["GET", "HEAD", "POST"])
@page
def abort(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """Asks why, then goes back."""
    row = find_app(request, "deliver", tenant, project, app)
    by = request.user.get_username()
    return _asked(request, row, _ABORT, lambda why: row.abort(by=by, reason=why))


@require_http_methods(["GET", "HEAD", "POST"])
@page
def break_glass(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """Asks why, then lets the revision through a freeze."""
    row = find_app(request, BREAK_GLASS, tenant, project, app)
    by, form = request.user.get_username(), BreakGlassForm(sent(request))
    return _asked(request, row, _BREAK_GLASS, lambda why: row.break_glass(by=by, reason=why), form)


@require_POST
@page
def resume(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """Goes on after a pause."""
    row = find_app(request, "deliver", tenant, project, app)
    by = request.user.get_username()
    return _done(request, row, "The rollout goes on.", lambda: row.resume(by=by))


@require_POST
@page
def promote(request: PageRequest, tenant: str, project: str, app: str) -> HttpResponse:
    """Approves the wave that waits, or ends the soak."""
    row = find_app(request, "deliver", tenant, project, app)
    by = request.user.get_username()
    given = request.POST.get("wave", "")
    wave = _number(given) if given else None
    return _done(request, row, "The wave was promoted.", lambda: row.promote(by=by, wave=wave))


def _number(text: str) -> int:
    """The number of a wave; 0, which is none that waits, for what is no number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0


def _asked(
    request: PageRequest,
    row: App,
    deed: Deed,
    act: Callable[[str], object],
    form: PageForm | None = None,
) -> HttpResponse:
    form = form or WhyForm(sent(request))
    if form.is_valid():
        try:
            act(form.cleaned_data["reason"])
            messages.success(request, f"{deed.title}: done.")
            return redirect("app", row.project.tenant.name, row.project.name, row.name)
        except Refusal as refusal:
            form.add_error(None, refusal.detail)
        except ValidationError as error:
            form.add_error(None, [f"It cannot come back: {text}" for text in error.messages])
    told = row.rollout_told()
    context = {**app_frame(request, row, "rollout"), "deed": deed, "rollout": told}
    return show_form(request, "delivery/rollout_deed.html", form, context)


def _done(request: PageRequest, row: App, said: str, act: Callable[[], object]) -> HttpResponse:
    try:
        act()
        messages.success(request, said)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("app", row.project.tenant.name, row.project.name, row.name)
