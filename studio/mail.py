"""Mail that never silently disappears: what the mail server does not take is kept as a file, and the log says so.

Knows how to send, not what is said; without a mail server Django's own backend writes every mail to the folder.
"""

import logging
from collections.abc import Sequence

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib.sites.shortcuts import get_current_site
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.http import HttpRequest
from django.urls import reverse

from studio.members import Invited

FOLDER_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
log = logging.getLogger(__name__)


class ServerElseFolder(EmailBackend):
    """Sends through the mail server of STUDIO_MAIL_URL; keeps what it cannot send in STUDIO_DATA/mail."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """How many the server took; the others lie in the folder."""
        sent = 0
        for message in email_messages:
            try:
                sent += super().send_messages([message]) or 0
            except OSError as error:
                get_connection(FOLDER_BACKEND).send_messages([message])
                log.error("Mail to %s was not sent (%s); it is kept in %s", message.to, error, settings.MAIL_FOLDER)
        return sent


def invitation_link(request: HttpRequest, token: str) -> str:
    """The address that an invited person opens."""
    return request.build_absolute_uri(reverse("invitation", kwargs={"token": token}))


def send_invitation(request: HttpRequest, invited: Invited) -> bool:
    """Mail the link to the invited person. False where it did not leave this machine: then only the page shows it."""
    invitation = invited.invitation
    context = {
        "request": request,
        "invitation": invitation,
        "link": invitation_link(request, invited.token),
        "current_site": get_current_site(request),
    }
    message = get_adapter(request).render_mail("account/email/invitation", invitation.email, context)
    return bool(message.send()) and settings.STUDIO_HAS_MAIL_SERVER
