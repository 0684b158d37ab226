"""What a workspace is given for its plan, each day and each month. Knows no tables."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Credits granted without being asked; neither rolls over."""

    slug: str
    name: str
    daily_credits: int
    monthly_credits: int
    summary: str = ""

    @property
    def includes_premium(self) -> bool:
        """Whether it pays for premium models: monthly credits do, daily ones never."""
        return self.monthly_credits > 0

    @property
    def low_credits(self) -> int:
        """Fewer than these are worth a warning: a tenth of what the plan grants, at least one set of four images."""
        return max((self.daily_credits + self.monthly_credits) // 10, 4)


PLANS = {
    plan.slug: plan
    for plan in (
        Plan(
            slug="free",
            name="Free",
            daily_credits=20,
            monthly_credits=0,
            summary="For trying a few images a day.",
        ),
        Plan(
            slug="go",
            name="Go",
            daily_credits=50,
            monthly_credits=1_000,
            summary="For one person with a campaign now and then.",
        ),
        Plan(
            slug="plus",
            name="Plus",
            daily_credits=200,
            monthly_credits=0,
            summary="For steady work in the Studio, on standard models.",
        ),
        Plan(
            slug="pro",
            name="Pro",
            daily_credits=200,
            monthly_credits=5_000,
            summary="For a team that launches campaigns every week.",
        ),
        Plan(
            slug="max",
            name="Max",
            daily_credits=500,
            monthly_credits=50_000,
            summary="For catalogs of hundreds of products.",
        ),
        Plan(
            slug="self-hosted",
            name="Self-hosted",
            daily_credits=200,
            monthly_credits=20_000,
            summary="What a workspace of your own installation begins with.",
        ),
    )
}
