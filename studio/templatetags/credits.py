"""Credits and quantities in words, the same on every page. Takes millicredits, as the ledger keeps them."""

from django import template

from billing.ledger import credits_text

register = template.Library()


@register.filter(name="credits")
def in_credits(amount: int) -> str:
    """Millicredits as a figure: 24000 → "24", 1500 → "1.5", 2318000 → "2,318", −500 → "−0.5"."""
    whole, _, rest = credits_text(abs(int(amount))).partition(".")
    sign = "\u2212" if amount < 0 else ""
    return f"{sign}{int(whole):,}" + (f".{rest}" if rest else "")


@register.filter
def in_words(amount: int) -> str:
    """Millicredits with their unit: 1000 → "1 credit", 24000 → "24 credits"."""
    return f"{in_credits(amount)} credit{'' if abs(int(amount)) == 1000 else 's'}"


@register.filter
def grouped(number: int) -> str:
    """A count with its thousands set apart: 20000 → "20,000"."""
    return f"{number:,}"


@register.filter
def counted(number: int, word: str) -> str:
    """A count with its noun: ``{{ 1|counted:"image" }}`` → "1 image"; ``"shelf,shelves"`` where no s is added."""
    one, _, many = word.partition(",")
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
