"""People, the workspaces they share, each person's one role in each, and who is invited to which.

The packages below refer to User and Workspace by string only; nothing else of this module is known to them.
"""

import uuid
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.contrib.auth import models as auth
from django.core.exceptions import ValidationError
from django.db import models


class UserManager(auth.UserManager["User"]):
    """Django's own, asking for the address that people sign in by and for no user name."""

    use_in_migrations = False

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":  # type: ignore[override]
        """Make a person; without a password only a link sent by mail lets them in."""
        user: User = self.model(email=email, **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":  # type: ignore[override]
        """Make somebody who runs the installation."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(auth.AbstractUser):
    """A person who signs in by e-mail address."""

    email = models.EmailField("e-mail address", unique=True)
    last_workspace = models.ForeignKey(
        "Workspace", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []  # noqa: RUF012  (a list, as Django declares it)

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Fill in what nobody is asked for: Django wants a user name, and addresses are compared without case."""
        self.username = self.username or uuid.uuid4().hex
        self.email = self.email.lower()
        super().save(*args, **kwargs)

    @property
    def display_name(self) -> str:
        """How others see this person: by name, or by address where no name is known."""
        return self.get_full_name() or self.email


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


class Invitation(models.Model):
    """An address that may become a member in a role; whoever holds the link may accept it, once.

    Only the hash of the link's token is stored.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail address")
    role = models.CharField(max_length=10, choices=Role)
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "email"),
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None) | models.Q(revoked_at=None), name="invitation_one_end"
            ),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="invitation_role_known"),
        )

    def __str__(self) -> str:
        return f"{self.email} to {self.workspace_id} as {self.role}"


class NotificationsSeen(models.Model):
    """Up to when a member has seen the workspace's news; without a row, since they joined."""

    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="notifications_seen")
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"membership {self.membership_id}, until {self.seen_at}"
