"""People, the workspaces they share, and each person's one role in each.

The packages below refer to User and Workspace by string only; nothing else of this module is known to them.
"""

from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models


class User(AbstractUser):
    """A person who signs in by e-mail address."""

    email = models.EmailField(unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["username"]  # noqa: RUF012  (a list, as Django declares it)

    def __str__(self) -> str:
        return self.email


def check_time_zone(name: str) -> None:
    """:raises ValidationError: there is no such zone."""
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is no time zone. Write an IANA name such as Europe/Berlin, or UTC.")


class Workspace(models.Model):
    """A team's own studio: products, campaigns, pictures and credits belong to exactly one."""

    name = models.CharField(max_length=80)
    slug = models.SlugField(unique=True)
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=(check_time_zone,),
        help_text="IANA name; daily credits follow its midnight",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    members: "models.ManyToManyField[User, Membership]" = models.ManyToManyField(User, through="Membership")

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner"
    PRODUCER = "producer"
    REVIEWER = "reviewer"
    VIEWER = "viewer"


class Membership(models.Model):
    """One person in one workspace, in one role."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("workspace", "user"), name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        )

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} of {self.workspace_id}"
