"""How allauth behaves here: who may sign up, what it says when it refuses, how a person is called.

Knows nothing about workspaces but that an invitation opens the sign-up to who holds its link.
"""

from typing import TYPE_CHECKING, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest

if TYPE_CHECKING:
    from studio.models import User

INVITATION_KEY = "invitation"  # in the session: the hash of the token whose link was followed


def display_name(user: "User") -> str:
    """What allauth's pages and mails call a person."""
    return user.display_name


class AccountAdapter(DefaultAccountAdapter):
    """allauth's own, with this product's sentences and its rule of who may sign up."""

    error_messages: ClassVar = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is closed. Ask whoever runs this studio.",
        "duplicate_email": "This is your address already.",
        "email_password_mismatch": (
            "This e-mail address and password do not match. Check both; passwords distinguish capitals."
        ),
        "email_taken": "There is an account with this address already. Sign in, or reset its password.",
        "enter_current_password": "This is not your present password.",
        "incorrect_code": "This code is not right. Codes change every 30 seconds: try the one shown now.",
        "incorrect_password": "This password is not right.",
        "invalid_password_reset": "This link is not valid any more.",
        "rate_limited": "Too many attempts. Wait a minute, then try again.",
        "too_many_login_attempts": "Too many attempts. Wait five minutes, or reset your password.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Open to everybody, or to who followed the link of an invitation that still stands."""
        from billing import clock
        from studio import members

        if settings.STUDIO_SIGNUP == "open":
            return True
        token_hash = request.session.get(INVITATION_KEY, "")
        return members.is_open(token_hash=token_hash, now=clock.now())


class SecondFactorAdapter(DefaultMFAAdapter):
    """allauth's own, with this product's sentences and names for passkeys."""

    error_messages: ClassVar = {
        **DefaultMFAAdapter.error_messages,
        "cannot_delete_authenticator": "This cannot be turned off.",
        "cannot_generate_recovery_codes": "Recovery codes come with a passkey or the authenticator app: add one first.",
        "incorrect_code": AccountAdapter.error_messages["incorrect_code"],
        "unverified_email": "Confirm your e-mail address first: open the link that we sent there.",
    }

    def generate_authenticator_name(self, user: "User", type: Authenticator.Type) -> str:
        """ "Passkey", then "Passkey 2"."""
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return f"Passkey {number}" if number > 1 else "Passkey"
