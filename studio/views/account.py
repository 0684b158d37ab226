"""Signing in."""

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.forms import EmailInput

from studio.models import User


class SignInForm(AuthenticationForm):
    """Django's own, with an e-mail field that phones show the right keyboard for."""

    error_messages = {  # noqa: RUF012  (Django declares it so)
        "invalid_login": "This e-mail address and password do not match. Check both; passwords distinguish capitals.",
        "inactive": "This account is closed. Ask an owner of your workspace.",
    }

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passes through what LoginView gives
        self.fields["username"].widget = EmailInput(attrs={"autocomplete": "email", "autofocus": True})
        self.fields["username"].label = User._meta.get_field("email").verbose_name.capitalize()


class SignInView(LoginView):
    template_name = "account/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True
