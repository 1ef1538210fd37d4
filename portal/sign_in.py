"""Sign-in and sign-out."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.forms.renderers import TemplatesSetting
from django.http import HttpResponse


class SignInForm(AuthenticationForm):
    """Name and password. What is wrong is never said more precisely than that."""

    default_renderer = TemplatesSetting
    error_messages = {
        "invalid_login": "The user name or the password is wrong. Both are case-sensitive.",
        "inactive": "The user name or the password is wrong. Both are case-sensitive.",
    }


class SignIn(LoginView):
    """Signs in and goes on to where one wanted to go."""

    template_name = "portal/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show the form again with 422, as every form that is wrong."""
        return self.render_to_response(self.get_context_data(form=form), status=422)


class SignOut(LogoutView):
    """Ends the session and shows the sign-in."""

    next_page = "sign-in"
    http_method_names = ["post", "options"]
