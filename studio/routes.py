"""Every address of the studio in one table: path, view, who may come in, and what its ids name.

studio.urls builds the URLconf from it; a test tries each row as everybody who could come along.
"""

from typing import Final

from studio.http import Access, Route
from studio.permissions import Action
from studio.views import health, home

PUBLIC: Final = Access(reads=Action.VIEW, is_public=True)
PERSONAL: Final = Access(reads=Action.VIEW, is_personal=True)
PERSONAL_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW, is_personal=True)
STAFF: Final = Access(reads=Action.VIEW, is_staff=True)
STAFF_POST: Final = Access(writes=Action.VIEW, is_staff=True)
VIEW: Final = Access(reads=Action.VIEW)
PRODUCE_FORM: Final = Access(reads=Action.PRODUCE, writes=Action.PRODUCE)
PRODUCE_POST: Final = Access(writes=Action.PRODUCE)
REVIEW_PAGE: Final = Access(reads=Action.REVIEW)
REVIEW_POST: Final = Access(writes=Action.REVIEW)
MANAGE_FORM: Final = Access(reads=Action.MANAGE, writes=Action.MANAGE)
MANAGE_POST: Final = Access(writes=Action.MANAGE)

GENERAL: Final = (
    Route(path="health/", view=health.health, name="health", access=PUBLIC),
    Route(path="", view=home.home, name="home", access=PERSONAL),
    Route(path="", view=home.workspace, name="workspace", access=VIEW),
)

ROUTES: Final = (*GENERAL,)
