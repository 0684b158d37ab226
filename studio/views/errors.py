"""What went wrong with a request itself, in words: a form that has expired, an upload too large, nonsense.

403.html, 404.html and 500.html are found by Django itself, 429.html by allauth.
"""

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

TOO_MUCH = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


def expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token does not match: signed in or out in another tab, or cookies are off. Nothing was done."""
    del reason  # Django's, for developers
    return render(request, "403_csrf.html", status=403)


def unreadable(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The request was refused before a view saw it: 413 where it is too much at once, else 400."""
    status = 413 if isinstance(exception, TOO_MUCH) else 400
    return render(request, f"{status}.html", status=status)
