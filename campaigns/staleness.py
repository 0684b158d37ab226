"""Which versions are stale: not made from what their cell would be made from today. Asked of the database, never kept.

An approved image is frozen: whatever changes, it is not stale. Knows the hashes, not what they are made of.
"""

from django.db.models import F, Q, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from campaigns.brief import MAX_IMAGES_PER_CELL
from campaigns.models import Campaign
from gallery.models import ReviewStatus
from inference.models import RenderStatus


def is_stale() -> Q:
    """Versions that came out, are not approved, and are made from something else than they would be today."""
    fresh = Q()
    for image in range(1, MAX_IMAGES_PER_CELL + 1):
        today = KeyTextTransform(image - 1, "cell__recipe_hashes")
        # What has no hash has nothing to differ from.
        fresh |= Q(image=image, made_from=Coalesce(today, F("made_from"), output_field=TextField()))
    approved = Q(render__asset__review__status=ReviewStatus.APPROVED)
    return Q(render__status=RenderStatus.SUCCEEDED) & ~approved & ~fresh


def counted(campaign: Campaign) -> Q:
    """Versions of images that the campaign's brief asks for; what is set aside does not count."""
    return Q(cell__campaign=campaign, cell__is_set_aside=False, image__lte=campaign.images_per_cell)
