"""Credits move here and nowhere else: grant, hold, capture, release, refund, expire.

Amounts are whole millicredits. Every function is one transaction (or joins the caller's) and takes the time from
outside. Rows are locked in one order everywhere: line and hold, budget, account, buckets.

granting.py lets credits come and go, holding.py sets them aside, settling.py says what became of them; moves.py has
what all of these come down to.
"""

from billing.amounts import MILLI as MILLI
from billing.amounts import credits_text as credits_text
from billing.budgets import OverBudgetError as OverBudgetError
from billing.budgets import open_budget as open_budget
from billing.ledger.granting import Balance as Balance
from billing.ledger.granting import GrantKeyReusedError as GrantKeyReusedError
from billing.ledger.granting import balance as balance
from billing.ledger.granting import expire as expire
from billing.ledger.granting import give_bonus as give_bonus
from billing.ledger.granting import give_order as give_order
from billing.ledger.granting import grant as grant
from billing.ledger.granting import open_account as open_account
from billing.ledger.granting import top_up as top_up
from billing.ledger.holding import STANDARD_ONLY as STANDARD_ONLY
from billing.ledger.holding import InsufficientCreditsError as InsufficientCreditsError
from billing.ledger.holding import hold as hold
from billing.ledger.settling import RETURNED_BONUS_LIFE as RETURNED_BONUS_LIFE
from billing.ledger.settling import AlreadyResolvedError as AlreadyResolvedError
from billing.ledger.settling import NotSettledError as NotSettledError
from billing.ledger.settling import RefundKeyReusedError as RefundKeyReusedError
from billing.ledger.settling import Settlement as Settlement
from billing.ledger.settling import capture as capture
from billing.ledger.settling import refund as refund
from billing.ledger.settling import release as release
from billing.ledger.settling import settle as settle
