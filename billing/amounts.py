"""Credits as figures: the ledger counts thousandths of one. Knows no tables."""

MILLI = 1000


def credits_text(amount_millicredits: int) -> str:
    """Millicredits as decimal credits: 1500 → "1.5", 24000 → "24"."""
    whole, rest = divmod(amount_millicredits, MILLI)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".")
