"""What the pages of accounts share: the sections of one's own account, and where mail goes when it is not sent."""

from dataclasses import dataclass
from typing import Final

from django import template
from django.conf import settings
from django.urls import reverse

register = template.Library()


@dataclass(frozen=True)
class Section:
    """One page of an account's or a workspace's settings."""

    label: str
    url: str
    is_current: bool


ACCOUNT: Final = (
    ("profile", "Profile"),
    ("account_email", "E-mail"),
    ("account_change_password", "Password"),
    ("mfa_index", "Two-factor"),
    ("usersessions_list", "Sessions"),
)
WORKSPACE: Final = (("settings", "Workspace"), ("members", "Members"))


@register.inclusion_tag("shell/sections.html")
def account_sections(current: str) -> dict[str, object]:
    """The sections of one's own account; ``current`` is a route's name."""
    return {
        "label": "Your account",
        "sections": [Section(label, reverse(name), name == current) for name, label in ACCOUNT],
    }


@register.inclusion_tag("shell/sections.html")
def workspace_sections(slug: str, current: str) -> dict[str, object]:
    """The sections of a workspace's settings; ``current`` is a route's name."""
    return {
        "label": "Settings",
        "sections": [Section(label, reverse(name, args=[slug]), name == current) for name, label in WORKSPACE],
    }


@register.inclusion_tag("account/mail_note.html")
def mail_note() -> dict[str, object]:
    """Says where mail is found while no mail server is set; nothing where there is one."""
    return {"is_sent": settings.STUDIO_HAS_MAIL_SERVER}


@register.simple_tag
def mail_is_sent() -> bool:
    """Whether mail leaves this machine."""
    return bool(settings.STUDIO_HAS_MAIL_SERVER)


@register.simple_tag
def signup_is_open() -> bool:
    """Whether everybody may make an account."""
    return bool(settings.STUDIO_SIGNUP == "open")


# The order matters: Edge and Opera call themselves Chrome as well, and Chrome calls itself Safari.
BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@register.filter
def browser(user_agent: str) -> str:
    """ "Firefox on Windows" for what a browser calls itself; its own words where they tell neither."""
    name, system = (next((word for mark, word in marks if mark in user_agent), "") for marks in (BROWSERS, SYSTEMS))
    return " on ".join(filter(None, (name, system))) or user_agent or "An unnamed browser"
