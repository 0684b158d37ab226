"""The URLconf: every row of studio.routes, and the pages that Django's admin and allauth bring along."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import path

from studio.routes import ROUTES
from studio.views import account

urlpatterns = [
    *(route.pattern() for route in ROUTES),
    path("login/", account.SignInView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
