"""Django's admin: people and workspaces can be edited; what queue and ledger wrote can only be read."""

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest

from billing import clock, ledger
from studio import embedded
from studio.models import Membership, User, Workspace


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = Membership
    extra = 0


@admin.register(Workspace)
class WorkspaceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "slug", "time_zone")
    inlines = (MembershipInline,)

    def save_model(self, request: HttpRequest, obj: Workspace, form: "ModelForm[Workspace]", change: bool) -> None:
        """A workspace comes with its account, wherever it is made."""
        super().save_model(request, obj, form, change)
        ledger.open_account(workspace_id=obj.pk, plan=embedded.DEFAULT_PLAN, now=clock.now())


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """Django's own, asking for the e-mail address that a person signs in by."""

    add_fieldsets = ((None, {"fields": ("email", "username", "usable_password", "password1", "password2")}),)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows that only their own package may write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


LISTED = {
    "campaigns.Campaign": ("name", "workspace", "checkpoint", "created_at"),
    "campaigns.Product": ("sku", "title", "workspace"),
    "campaigns.Photo": ("product", "mask_source", "mask_confidence"),
    "inference.Generation": ("key", "workspace", "total", "succeeded", "failed", "is_paused"),
    "inference.Render": ("id", "generation", "status", "fence", "attempts", "batch", "failure_code"),
    "inference.Batch": ("id", "worker", "size", "phase", "created_at", "finished_at"),
    "inference.Worker": ("__str__", "device_class", "checkpoint", "seen_at", "ended_at"),
    "gallery.Upload": ("name", "workspace", "status", "width", "height"),
    "gallery.Asset": ("id", "workspace", "width", "height", "sha256"),
    "billing.Account": ("workspace", "plan", "available", "held", "spent"),
    "billing.Grant": ("key", "kind", "amount", "available", "expires_at"),
    "billing.Hold": ("key", "status", "amount", "captured", "released"),
    "billing.Entry": ("key", "kind", "available", "held", "spent", "available_after", "created_at"),
}
for label, columns in LISTED.items():
    admin.site.register(
        apps.get_model(label), type(f"{label.rpartition('.')[2]}Admin", (ReadOnlyAdmin,), {"list_display": columns})
    )
