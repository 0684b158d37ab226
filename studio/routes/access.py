"""Who may come in where: the levels that rows of the table name."""

from typing import Final

from studio.http import Access
from studio.permissions import Action

PUBLIC: Final = Access(reads=Action.VIEW, is_public=True)
PUBLIC_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW, is_public=True)
PERSONAL: Final = Access(reads=Action.VIEW, is_personal=True)
PERSONAL_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW, is_personal=True)
PERSONAL_POST: Final = Access(writes=Action.VIEW, is_personal=True)
STAFF: Final = Access(reads=Action.VIEW, is_staff=True)
# Staff in the browser; Prometheus with a token.
STAFF_OR_TOKEN: Final = Access(reads=Action.VIEW, is_staff=True, takes_token=True)
STAFF_POST: Final = Access(writes=Action.VIEW, is_staff=True)
STAFF_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW, is_staff=True)
VIEW: Final = Access(reads=Action.VIEW)
VIEW_POST: Final = Access(writes=Action.VIEW)
MEMBER_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW)
PRODUCE_FORM: Final = Access(reads=Action.PRODUCE, writes=Action.PRODUCE)
PRODUCE_POST: Final = Access(writes=Action.PRODUCE)
REVIEW_PAGE: Final = Access(reads=Action.REVIEW)
REVIEW_POST: Final = Access(writes=Action.REVIEW)
VIEW_PRODUCE_FORM: Final = Access(reads=Action.VIEW, writes=Action.PRODUCE)
VIEW_MANAGE_FORM: Final = Access(reads=Action.VIEW, writes=Action.MANAGE)
MANAGE_FORM: Final = Access(reads=Action.MANAGE, writes=Action.MANAGE)
MANAGE_POST: Final = Access(writes=Action.MANAGE)
