"""``manage.py grant_credits``: credits that a workspace bought, or that it is given, under an order's own key."""

from argparse import ArgumentParser
from datetime import timedelta
from decimal import Decimal, InvalidOperation

from django.core.management.base import BaseCommand, CommandError

from billing import clock, ledger
from studio.models import User, Workspace

KINDS = ("purchased", "bonus")
KEY_LIMIT = 100


class Command(BaseCommand):
    help = "Grant a workspace credits. The same key grants once, however often the command runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workspace", help="its address: the word after /w/")
        parser.add_argument("credits", help="how many, with at most three decimals")
        parser.add_argument("--key", required=True, help="the order's or invoice's number; it is granted once")
        parser.add_argument("--kind", choices=KINDS, default="purchased", help="bonus credits pay for standard models")
        parser.add_argument("--days", type=int, help="expire after so many days; without it they never do")
        parser.add_argument("--note", default="", help="the reason, which the workspace reads in its statement")
        parser.add_argument("--by", required=True, help="the e-mail address of the member of staff who grants them")

    def handle(self, *args: object, **options: str | int | None) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace “{options['workspace']}”. Check the word after /w/.")
        staff = User.objects.filter(email=options["by"], is_staff=True, is_active=True).first()
        if staff is None:
            raise CommandError(f"{options['by']} is no member of staff. Name one with --by.")
        key = str(options["key"]).strip()
        if not 0 < len(key) <= KEY_LIMIT:
            raise CommandError(f"--key: give the order's number, at most {KEY_LIMIT} characters.")
        amount, now = _millicredits(str(options["credits"])), clock.now()
        days = _days(options["days"])
        try:
            is_new = ledger.give_order(
                workspace_id=workspace.pk,
                kind=str(options["kind"]),
                amount=amount,
                key=key,
                note=str(options["note"]),
                expires_at=None if days is None else now + timedelta(days=days),
                created_by_id=staff.pk,
                now=now,
            )
        except ledger.GrantKeyReusedError as reused:
            raise CommandError(str(reused)) from reused
        said = "granted to" if is_new else "were granted before, under this key, to"
        self.stdout.write(f"{ledger.credits_text(amount)} {options['kind']} credits {said} {workspace.name}.")


def _millicredits(text: str) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 < amount <= 1_000_000_000 or amount != round(amount, 3):
        raise CommandError(f"{text!r} is no number of credits above 0 with at most three decimals.")
    return int(amount * ledger.MILLI)


def _days(given: object) -> int | None:
    if given is None:
        return None
    days = int(str(given))
    if not 1 <= days <= 3650:
        raise CommandError(f"--days {days}: give 1 to 3650, or leave it out.")
    return days
