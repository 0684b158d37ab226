"""What every page stands on: the route with its permission, the request inside a workspace, replies to htmx.

A view gets a request whose membership was looked up already; it cannot forget to ask.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils.crypto import constant_time_compare
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from studio.models import Membership, User, Workspace
from studio.permissions import Action, membership_for

SAFE = ("GET", "HEAD")


class StudioRequest(HttpRequest):
    """The request of a signed-in person; inside a workspace also with the membership that was looked up."""

    user: User  # routes let nobody else through
    htmx: HtmxDetails
    membership: Membership
    workspace: Workspace


class View(Protocol):
    """A function view; ids of objects arrive as keyword arguments."""

    # With both, as "...": whichever ids a view names.
    def __call__(self, request: StudioRequest, /, *args: Any, **ids: Any) -> HttpResponseBase: ...


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may come in. ``reads`` and ``writes`` name the role's action for GET and for POST; None allows no such call.

    Outside a workspace (``is_public``, ``is_personal``, ``is_staff``) the actions only tell which methods there are.
    ``takes_token`` lets a machine in that bears STUDIO_METRICS_TOKEN, without a person.
    """

    reads: Action | None = None
    writes: Action | None = None
    is_public: bool = False
    is_personal: bool = False
    is_staff: bool = False
    takes_token: bool = False

    @property
    def is_inside_workspace(self) -> bool:
        """Whether the address begins with a workspace, whose membership decides."""
        return not (self.is_public or self.is_personal or self.is_staff)

    def action(self, method: str | None) -> Action | None:
        """The action that a method stands for."""
        return self.reads if method in SAFE else self.writes if method == "POST" else None

    def methods(self) -> list[str]:
        """What the address answers to."""
        return [*(SAFE if self.reads else ()), *(("POST",) if self.writes else ())]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One address: its path, its view, who may come in, and the kinds of objects that its ids name.

    ``objects`` are the kinds of the ids in the path, each parameter named after its kind (``asset`` or ``asset_id``).
    ``body`` are the form fields that hold ids, each with its kind: ``(("asset", "asset"),)``. An id of another
    workspace is 404 in both.
    """

    path: str
    view: View
    name: str
    access: Access
    objects: tuple[str, ...] = ()
    body: tuple[tuple[str, str], ...] = ()

    @property
    def full_path(self) -> str:
        """The path from the root; inside a workspace it begins with the workspace's slug."""
        return f"w/<slug:slug>/{self.path}" if self.access.is_inside_workspace else self.path

    def pattern(self) -> URLPattern:
        """Django's own form of the route, its view behind the check."""
        return path(self.full_path, guarded(self.view, self.access), name=self.name)


def guarded(view: View, access: Access) -> Callable[..., HttpResponseBase]:
    """The view behind its check: who is not signed in goes to sign in, a stranger gets 404, a wrong role 403."""

    @wraps(view)
    def answer(request: Any, **ids: Any) -> HttpResponseBase:
        action = access.action(request.method)
        if not (access.takes_token and _bears_token(request)):
            if not access.is_public and not request.user.is_authenticated:
                return _to_sign_in(request)
            if access.is_staff and not request.user.is_staff:
                raise Http404
        if access.is_inside_workspace:
            _enter(request, ids.pop("slug"), action)
        if action is None:
            return HttpResponseNotAllowed(access.methods())
        return view(request, **ids)

    return answer


def _enter(request: StudioRequest, slug: str, action: Action | None) -> None:
    request.membership = membership_for(user=request.user, slug=slug, action=action)
    request.workspace = request.membership.workspace


def _bears_token(request: HttpRequest) -> bool:
    """Whether the request bears the token; one that bears another is refused, whoever else it may be."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    # Other schemes are a proxy's own business.
    if scheme.lower() != "bearer":
        return False
    expected = settings.STUDIO_METRICS_TOKEN
    require(
        expected and constant_time_compare(token.strip(), expected), "This is not the token of STUDIO_METRICS_TOKEN."
    )
    return True


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """Send to the sign-in page and back; a fragment of a page sends the whole page there."""
    # A form cannot be sent again by a link: after signing in one is back on the page that had the form.
    target = request.get_full_path() if request.method in SAFE else _page_of(request)
    if getattr(request, "htmx", None):
        return HttpResponseClientRedirect(redirect_to_login(_page_of(request)).url)
    return redirect_to_login(target)


def _page_of(request: HttpRequest) -> str:
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    return (htmx.current_url_abs_path if htmx else None) or "/"


def unchanged() -> HttpResponse:
    """The answer to a poll that has nothing new: no body, and htmx leaves the page as it is."""
    return HttpResponse(status=204)


def finished(response: HttpResponse) -> HttpResponse:
    """Mark a poll's last answer: htmx swaps it in and asks no more."""
    response.status_code = 286
    return response


def require(condition: object, sentence: str) -> None:
    """Refuse with 403 and a sentence that says why and whom to ask.

    :raises PermissionDenied: the condition does not hold.
    """
    if not condition:
        raise PermissionDenied(sentence)
