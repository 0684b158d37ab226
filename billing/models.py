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


class BudgetScope(models.TextChoices):
    WORKSPACE = "workspace"
    CAMPAIGN = "campaign"


class Budget(models.Model):
    """A ceiling on what may be held and spent together: of a campaign, or of the workspace in one month.

    A workspace has a row for each month in which something was held, with or without a ceiling, so that a ceiling set
    in the middle of a month counts the month from its first day. A hold counts in the month in which it was opened.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="budgets")
    scope = models.CharField(max_length=10, choices=BudgetScope, default=BudgetScope.CAMPAIGN)
    name = models.CharField(max_length=120)
    month_date = models.DateField(null=True, help_text="the first day of a workspace's month")
    amount = models.BigIntegerField(null=True, help_text="the ceiling; null: none")
    excess = models.BigIntegerField(default=0, help_text="what an owner allowed above the ceiling, this once")
    held = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(scope__in=BudgetScope.values), name="budget_scope_known"),
            models.CheckConstraint(
                condition=Q(scope=BudgetScope.WORKSPACE, month_date__isnull=False)
                | (~Q(scope=BudgetScope.WORKSPACE) & Q(month_date__isnull=True, amount__isnull=False)),
                name="budget_of_a_month_or_with_a_ceiling",
            ),
            models.UniqueConstraint(
                fields=("account", "month_date"),
                condition=Q(scope=BudgetScope.WORKSPACE),
                name="budget_once_a_month",
            ),
            models.CheckConstraint(condition=Q(amount__isnull=True) | Q(amount__gt=0), name="budget_amount"),
            models.CheckConstraint(condition=Q(amount__isnull=False) | Q(excess=0), name="budget_excess_of_a_ceiling"),
            *_never_negative("budget", "excess", "held", "spent"),
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__gte=F("held") + F("spent") - F("excess")),
                name="budget_kept",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def used(self) -> int:
        """What is held and spent, in millicredits."""
        return self.held + self.spent

    @property
    def ceiling(self) -> int | None:
        """The most that may be held and spent, in millicredits; None: no limit."""
        return None if self.amount is None else self.amount + self.excess


class BudgetChangeKind(models.TextChoices):
    CEILING = "ceiling"
    EXCESS = "excess"


class BudgetChange(models.Model):
    """An owner's decision on a budget, never changed afterwards (a trigger of the database refuses)."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="budget_changes")
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="changes")
    key = models.CharField(max_length=64, help_text="made with the form: sent twice, it changes once")
    kind = models.CharField(max_length=7, choices=BudgetChangeKind)
    before = models.BigIntegerField(null=True)
    after = models.BigIntegerField(null=True)
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, related_name="budget_changes")
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "key"), name="budget_change_once"),
            models.CheckConstraint(condition=Q(kind__in=BudgetChangeKind.values), name="budget_change_kind_known"),
        )

    def __str__(self) -> str:
        return f"{self.kind} of budget {self.budget_id}"


class PlanChange(models.Model):
    """An owner's choice of a plan, never changed afterwards (a trigger of the database refuses)."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="plan_changes")
    before = models.CharField(max_length=20)
    after = models.CharField(max_length=20)
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, related_name="plan_changes")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.before} to {self.after}"


class HoldStatus(models.TextChoices):
    OPEN = "open"
    CLOSED = "closed"


def _refund_within_captured(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(refunded__lte=F("captured")), name=f"{name}_refund_within_captured")


class Hold(models.Model):
    """Credits set aside for one generation; closed when every line is captured or released."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    key = models.CharField(max_length=160)
    status = models.CharField(max_length=6, choices=HoldStatus, default=HoldStatus.OPEN)
    amount = models.BigIntegerField()
    captured = models.BigIntegerField(default=0)
    released = models.BigIntegerField(default=0)
    refunded = models.BigIntegerField(default=0)
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


class BudgetUse(models.Model):
    """That a hold counts in a budget, and where that budget stood once it did."""

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="budget_uses")
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="uses")
    used = models.BigIntegerField(help_text="the budget's held and spent, this hold included")
    ceiling = models.BigIntegerField(null=True, help_text="its ceiling at that moment")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("hold", "budget"), name="budget_use_once"),
            models.CheckConstraint(
                condition=Q(ceiling__isnull=True) | Q(ceiling__gte=F("used")), name="budget_use_within_ceiling"
            ),
        )

    def __str__(self) -> str:
        return f"hold {self.hold_id} in budget {self.budget_id}"


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
    overrun = models.BigIntegerField(default=0, help_text="what it cost above the hold: the operator's, never charged")
    micro_units = models.BigIntegerField(null=True, help_text="what was really used, in millionths of the price's unit")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("hold", "position"), name="line_once"),
            *_never_negative("line", "amount", "captured", "released", "refunded", "overrun"),
            models.CheckConstraint(
                condition=Q(overrun=0) | Q(captured=F("amount")), name="line_overrun_above_the_whole_hold"
            ),
            _refund_within_captured("line"),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True, captured=0, released=0)
                | Q(resolved_at__isnull=False, amount=F("captured") + F("released")),
                name="line_resolves_once_in_full",
            ),
        )
        indexes = (
            # Each settlement asks whether its hold has a line left: among thousands, most of them resolved.
            models.Index(fields=("hold",), condition=Q(resolved_at__isnull=True), name="line_open"),
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
