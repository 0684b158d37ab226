"""allauth's forms in this product's words: labels above the fields, no placeholders, a new password asked for once.

Knows only how they look; what they do is allauth's.
"""

from typing import Any, ClassVar

from allauth.account import forms as account
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from django import forms

PASSWORD_RULE = "At least 8 characters. Not a common password, and not close to your address or name."  # noqa: S105


class _Worded(forms.Form):
    labels: ClassVar[dict[str, str]] = {}
    helps: ClassVar[dict[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A browser can show what was typed; asking twice only doubles the typing.
        self.fields.pop("password2", None)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = self.labels.get(name, field.label)
            field.help_text = self.helps.get(name, "")


class SignInForm(_Worded, account.LoginForm):
    labels: ClassVar = {"login": "E-mail address", "password": "Password"}


class SignUpForm(_Worded, account.SignupForm):
    labels: ClassVar = {"email": "E-mail address", "password1": "Password"}
    helps: ClassVar = {"password1": PASSWORD_RULE}


class ChangeEmailForm(_Worded, account.AddEmailForm):
    labels: ClassVar = {"email": "New e-mail address"}


class ChangePasswordForm(_Worded, account.ChangePasswordForm):
    labels: ClassVar = {"oldpassword": "Present password", "password1": "New password"}
    helps: ClassVar = {"password1": PASSWORD_RULE}


class SetPasswordForm(_Worded, account.SetPasswordForm):
    labels: ClassVar = {"password1": "Password"}
    helps: ClassVar = {"password1": PASSWORD_RULE}


class ResetPasswordForm(_Worded, account.ResetPasswordForm):
    labels: ClassVar = {"email": "E-mail address"}


class NewPasswordForm(_Worded, account.ResetPasswordKeyForm):
    labels: ClassVar = {"password1": "New password"}
    helps: ClassVar = {"password1": PASSWORD_RULE}


class ConfirmPasswordForm(_Worded, account.ReauthenticateForm):
    labels: ClassVar = {"password": "Password"}


class _CodeField(_Worded):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs |= {"inputmode": "numeric", "autofocus": True}


class CodeForm(_CodeField, mfa.AuthenticateForm):
    labels: ClassVar = {"code": "Code"}
    helps: ClassVar = {"code": "Six digits from your authenticator app, or one of your recovery codes."}


class ConfirmCodeForm(_CodeField, mfa.ReauthenticateForm):
    labels: ClassVar = {"code": "Code"}
    helps: ClassVar = {"code": "Six digits from your authenticator app, or one of your recovery codes."}


class ActivateTotpForm(_CodeField, totp.ActivateTOTPForm):
    labels: ClassVar = {"code": "Code that the app shows"}


class AddPasskeyForm(_Worded, webauthn.AddWebAuthnForm):
    labels: ClassVar = {"name": "Name", "passwordless": "Sign in with this key alone, without the password"}
    helps: ClassVar = {
        "name": "So that you know it from others: “Laptop”, “Blue key”.",
        "passwordless": "The device then asks for your fingerprint, face or PIN.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["passwordless"].initial = True


class RenamePasskeyForm(_Worded, webauthn.EditWebAuthnForm):
    labels: ClassVar = {"name": "Name"}
