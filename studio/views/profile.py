"""A person's own name; address, password and second factors are allauth's pages beside it."""

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render

from studio.forms.workspaces import ProfileForm
from studio.http import StudioRequest
from studio.models import User


def profile(request: StudioRequest) -> HttpResponseBase:
    # A copy, so that a name that is refused does not stand in the page's frame.
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=request.user.pk))
    if form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("profile")
    return render(request, "account/profile.html", {"form": form})
