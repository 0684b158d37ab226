"""The URLconf: every row of studio.routes, and the pages that Django's admin and allauth bring along."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from studio.routes import ROUTES

# The admin has no second factor and no rate limit of its own: one signs in where everybody does.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

handler400 = "studio.views.errors.unreadable"
urlpatterns = [
    *(route.pattern() for route in ROUTES),
    path("", include("allauth.account.urls")),
    path("two-factor/", include("allauth.mfa.urls")),
    path("sessions/", include("allauth.usersessions.urls")),
    path("admin/", admin.site.urls),
]
