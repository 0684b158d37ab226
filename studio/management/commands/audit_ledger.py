"""``manage.py audit_ledger``: every invariant of credits and renders, counted; exit code 0 only when all are 0."""

from django.core.management.base import BaseCommand, CommandError

import billing.audit
import inference.audit


class Command(BaseCommand):
    help = "Count the rows that break an invariant of ledger or queue. All must be 0."

    def handle(self, *args: object, **options: object) -> None:
        counts = billing.audit.broken_invariants() | inference.audit.broken_invariants()
        for name, count in counts.items():
            self.stdout.write(f"{count:6} {name}")
        if any(counts.values()):
            raise CommandError("The ledger or the queue is inconsistent; see the figures above.")
