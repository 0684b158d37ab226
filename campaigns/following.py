"""Cells follow their product: another photo or mask becomes theirs as soon as its mask is there.

What was made keeps the photo that it was made from. Launches nothing.
"""

from collections.abc import Sequence

from django.db import transaction

from campaigns import recipes
from campaigns.models import Campaign, Cell, CellRender, Photo


@transaction.atomic
def take_photo(photo_id: int) -> int:
    """Have every cell that places a product take this photo of it; how many cells ask for something else since.

    Nothing happens before its mask is there, nor if the product has yet another photo by now.
    """
    photo = Photo.objects.select_related("upload").filter(pk=photo_id, product__photo=photo_id).first()
    if photo is None or not photo.mask_key:
        return 0
    placed = Cell.objects.filter(product=photo.product_id, photo__isnull=False)
    campaigns = Campaign.objects.select_for_update(of=("self",)).filter(pk__in=placed.order_by().values("campaign"))
    return sum(_take(campaign, photo, list(placed.filter(campaign=campaign))) for campaign in campaigns.order_by("pk"))


def _take(campaign: Campaign, photo: Photo, cells: Sequence[Cell]) -> int:
    """The caller holds the campaign's row."""
    for before in {cell.photo_id for cell in cells} - {photo.pk}:
        had_it = [cell.pk for cell in cells if cell.photo_id == before]
        CellRender.objects.filter(cell__in=had_it, photo=None).update(photo=before)
    for cell in cells:
        cell.photo = photo
        if cell.placement is None:
            # It keeps the photo's own size.
            cell.width, cell.height = photo.upload.width, photo.upload.height
    differing = recipes.write(campaign, cells, photos={photo.pk: photo})
    campaign.changes += bool(differing)
    for cell in differing:
        cell.changed = campaign.changes
    Cell.objects.bulk_update(cells, ("photo", "width", "height", "recipe_hashes", "changed"), batch_size=500)
    campaign.save(update_fields=("changes",))
    return len(differing)
