"""What a workspace is given for its plan, each day and each month. Knows no tables."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Credits granted without being asked; neither rolls over."""

    slug: str
    name: str
    daily_credits: int
    monthly_credits: int

    @property
    def low_credits(self) -> int:
        """Fewer than these are worth a warning: a tenth of what the plan grants, at least one set of four images."""
        return max((self.daily_credits + self.monthly_credits) // 10, 4)


PLANS = {
    plan.slug: plan
    for plan in (
        Plan(slug="free", name="Free", daily_credits=20, monthly_credits=0),
        Plan(slug="plus", name="Plus", daily_credits=200, monthly_credits=0),
        Plan(slug="self-hosted", name="Self-hosted", daily_credits=200, monthly_credits=20_000),
    )
}
