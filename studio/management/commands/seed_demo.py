"""``manage.py seed_demo``: the default workspace and four people in it, one of each role."""

import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand

from studio import embedded
from studio.models import Membership, Role, User


class Command(BaseCommand):
    help = "Make the demo's workspace and its four people; run again, it changes nothing."

    def handle(self, *args: object, **options: object) -> None:
        workspace = embedded.prepare()
        password = _password()
        for role in Role:
            email = f"{role.value}@demo.example"
            # The demo's owner also runs the installation, and so may look into Django's admin.
            is_operator = role == Role.OWNER
            user, _ = User.objects.get_or_create(
                email=email,
                defaults={
                    "username": role.value,
                    "first_name": role.label,
                    "is_staff": is_operator,
                    "is_superuser": is_operator,
                    "password": make_password(password),
                },
            )
            Membership.objects.get_or_create(workspace=workspace, user=user, defaults={"role": role})
            self.stdout.write(f"  {email:24} {password}")


def _password() -> str:
    """One for all four, made once: a known one would be an open door as soon as somebody serves the demo to others."""
    path = Path(settings.STUDIO_DATA) / "demo-password"
    if not path.exists():
        draft = path.with_suffix(".part")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(9))
        draft.replace(path)
    return path.read_text()
