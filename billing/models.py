"""Credits, constraints first: what the database refuses, no code can do by mistake.

All amounts are whole millicredits (1 credit = 1000). Only billing.ledger writes these tables.
"""

from django.db import models
from django.db.models import F, Q


def _never_negative(name: str, *fields: str) -> list[models.CheckConstraint]:
    return [models.CheckConstraint(condition=Q(**{f"{field}__gte": 0}), name=f"{name}_{field}") for field in fields]


class Account(models.Model):
    """A workspace's balance. Everything ever granted is available, held, spent or expired."""

    workspace = models.OneToOneField("studio.Workspace", on_delete=models.PROTECT, related_name="account")
    plan = models.CharField(max_length=20)
    granted = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            *_never_negative("account", "granted", "available", "held", "spent", "expired"),
            models.CheckConstraint(
                condition=Q(granted=F("available") + F("held") + F("spent") + F("expired")), name="account_balances"
            ),
        )

    def __str__(self) -> str:
        return f"account of workspace {self.workspace_id}"


class GrantKind(models.TextChoices):
    DAILY = "daily"
    MONTHLY = "monthly"
    PURCHASED = "purchased"
    BONUS = "bonus"


class Grant(models.Model):
    """A bucket of credits with its own expiry."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="grants")
    kind = models.CharField(max_length=10, choices=GrantKind)
    key = models.CharField(max_length=120, help_text="what it was granted for; the same key is granted once")
    note = models.CharField(max_length=200, blank=True, help_text="the reason, where a person gave it")
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="grants")
    amount = models.BigIntegerField()
    available = models.BigIntegerField()
    held = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "key"), name="grant_once"),
            models.CheckConstraint(condition=Q(kind__in=GrantKind.values), name="grant_kind_known"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="grant_amount"),
            *_never_negative("grant", "available", "held", "spent", "expired"),
            models.CheckConstraint(
                condition=Q(amount=F("available") + F("held") + F("spent") + F("expired")), name="grant_balances"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Budget(models.Model):
    """A ceiling on what one campaign may hold and spend together."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="budgets")
    name = models.CharField(max_length=120)
    amount = models.BigIntegerField()
    held = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(amount__gt=0), name="budget_amount"),
            *_never_negative("budget", "held", "spent"),
            models.CheckConstraint(condition=Q(amount__gte=F("held") + F("spent")), name="budget_kept"),
        )

    def __str__(self) -> str:
        return self.name


class HoldStatus(models.TextChoices):
    OPEN = "open"
    CLOSED = "closed"


def _refund_within_captured(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(refunded__lte=F("captured")), name=f"{name}_refund_within_captured")


class Hold(models.Model):
    """Credits set aside for one generation; closed when every line is captured or released."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, null=True, related_name="holds")
    key = models.CharField(max_length=160)
    status = models.CharField(max_length=6, choices=HoldStatus, default=HoldStatus.OPEN)
    amount = models.BigIntegerField()
    captured = models.BigIntegerField(default=0)
    released = models.BigIntegerField(default=0)
    refunded = models.BigIntegerField(default=0)
    budget_used = models.BigIntegerField(null=True, help_text="the budget's held and spent, this hold included")
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "key"), name="hold_once"),
            *_never_negative("hold", "amount", "captured", "released", "refunded"),
            _refund_within_captured("hold"),
            models.CheckConstraint(
                condition=Q(status=HoldStatus.OPEN, amount__gte=F("captured") + F("released"))
                | Q(status=HoldStatus.CLOSED, amount=F("captured") + F("released")),
                name="hold_settles_in_full",
            ),
            models.CheckConstraint(
                condition=Q(status=HoldStatus.OPEN, closed_at__isnull=True)
                | Q(status=HoldStatus.CLOSED, closed_at__isnull=False),
                name="hold_tells_when_it_closed",
            ),
        )
        indexes = (
            models.Index(fields=("account", "-id"), name="hold_newest"),
            models.Index(fields=("account", "closed_at"), name="hold_closed"),
        )

    def __str__(self) -> str:
        return self.key


class HoldAllocation(models.Model):
    """How much of a hold came out of which bucket."""

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="allocations")
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="allocations")
    amount = models.BigIntegerField()
    captured = models.BigIntegerField(default=0)
    released = models.BigIntegerField(default=0)
    refunded = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("hold", "grant"), name="allocation_once"),
            *_never_negative("allocation", "captured", "released", "refunded"),
            _refund_within_captured("allocation"),
            models.CheckConstraint(
                condition=Q(amount__gte=F("captured") + F("released")), name="allocation_within_amount"
            ),
        )

    def __str__(self) -> str:
        return f"{self.amount} of grant {self.grant_id}"


class HoldLine(models.Model):
    """One image's part of a hold: resolved once, into what was captured and what was given back.

    What was captured can be refunded afterwards; the line stays resolved as it was.
    """

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField(help_text="1 to n within the hold")
    amount = models.BigIntegerField()
    captured = models.BigIntegerField(default=0)
    released = models.BigIntegerField(default=0)
    refunded = models.BigIntegerField(default=0)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("hold", "position"), name="line_once"),
            *_never_negative("line", "amount", "captured", "released", "refunded"),
            _refund_within_captured("line"),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True, captured=0, released=0)
                | Q(resolved_at__isnull=False, amount=F("captured") + F("released")),
                name="line_resolves_once_in_full",
            ),
        )

    def __str__(self) -> str:
        return f"line {self.position} of hold {self.hold_id}"


class EntryKind(models.TextChoices):
    GRANT = "grant"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    REFUND = "refund"
    EXPIRE = "expire"


class Entry(models.Model):
    """One move of credits, never changed afterwards (a trigger of the database refuses).

    The five figures are what the move added to the account's balances of the same names.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=8, choices=EntryKind)
    key = models.CharField(max_length=160)
    granted = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)
    available_after = models.BigIntegerField()
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, null=True, related_name="entries")
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, null=True, related_name="entries")
    line = models.ForeignKey(HoldLine, on_delete=models.PROTECT, null=True, related_name="entries")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "entries"
        constraints = (
            models.UniqueConstraint(fields=("account", "key"), name="entry_once"),
            models.CheckConstraint(condition=Q(kind__in=EntryKind.values), name="entry_kind_known"),
            models.CheckConstraint(
                condition=Q(granted=F("available") + F("held") + F("spent") + F("expired")), name="entry_balances"
            ),
        )
        indexes = (
            models.Index(fields=("account", "-id"), name="entry_newest"),
            models.Index(fields=("account", "kind", "created_at"), name="entry_by_day"),
        )

    def __str__(self) -> str:
        return self.key
