"""Every address of the studio."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import path

from studio.views import account, health, home

urlpatterns = [
    path("", home.home, name="home"),
    path("w/<slug:slug>/", home.workspace, name="workspace"),
    path("login/", account.SignInView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("health/", health.health, name="health"),
    path("admin/", admin.site.urls),
]
