"""Every address of the studio in one table: path, view, who may come in, and what its ids name.

studio.urls builds the URLconf from it; a test tries each row as everybody who could come along.
"""

from typing import Final

from studio.routes.house import ACCOUNTS, CREDITS, GENERAL, NOTIFICATIONS, OPERATIONS, PRODUCTION
from studio.routes.images import FILES, GALLERY, PROJECTS, REVIEW
from studio.routes.making import CAMPAIGNS, LORAS, STUDIO

ROUTES: Final = (
    *ACCOUNTS,
    *CAMPAIGNS,
    *FILES,
    *GENERAL,
    *LORAS,
    *REVIEW,
    *GALLERY,
    *PROJECTS,
    *CREDITS,
    *NOTIFICATIONS,
    *OPERATIONS,
    *PRODUCTION,
    *STUDIO,
)
