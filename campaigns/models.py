"""Products, and from a brief to its cells. A cell's status is a query over its renders, never a column here."""

from django.db import models
from django.db.models import Q


class Product(models.Model):
    """A thing that is sold, by its stock-keeping unit."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="products")
    sku = models.CharField(max_length=80)
    title = models.CharField(max_length=300)
    photo = models.ForeignKey(
        "Photo", on_delete=models.PROTECT, null=True, related_name="+", help_text="the one that new campaigns take"
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("workspace", "sku"), name="product_sku_once"),)
        indexes = (models.Index(fields=("workspace", "-created_at", "-id"), name="product_newest"),)

    def __str__(self) -> str:
        return self.sku


class MaskSource(models.TextChoices):
    FILE = "file"
    HAND = "hand"
    ALPHA = "alpha"
    OPENCV = "opencv"


# Below it a person should look at an automatic mask: plain backgrounds come out above 0.9, busy ones near 0.4.
LOW_CONFIDENCE = 0.75


class Photo(models.Model):
    """A product's photo with its lock: both are stored normalised, the mask white on the product."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="photos")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="photos")
    upload = models.ForeignKey("gallery.Upload", on_delete=models.PROTECT, related_name="photos")
    mask_upload = models.ForeignKey("gallery.Upload", on_delete=models.PROTECT, null=True, related_name="masked_photos")
    mask_key = models.CharField(max_length=160, blank=True, help_text="storage key; empty until the mask is made")
    mask_source = models.CharField(max_length=6, choices=MaskSource, blank=True)
    mask_confidence = models.FloatField(null=True, help_text="0 to 1")
    mask_failure = models.TextField(blank=True, help_text="why no mask could be made, and what to do")
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("product", "upload", "mask_upload"), name="photo_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(mask_source="", mask_key="") | (Q(mask_source__in=MaskSource.values) & ~Q(mask_key="")),
                name="photo_mask_known",
            ),
        )

    def __str__(self) -> str:
        return f"photo of {self.product_id}"

    @property
    def needs_a_look(self) -> bool:
        """Whether its mask was made automatically and may well be wrong."""
        return self.mask_confidence is not None and self.mask_confidence < LOW_CONFIDENCE


class Campaign(models.Model):
    """A brief, planned: its cells exist from now on, whether or not anything was launched."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="campaigns")
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="campaigns")
    project = models.ForeignKey(
        "gallery.Project",
        on_delete=models.PROTECT,
        null=True,
        related_name="campaigns",
        help_text="the folder it lies in",
    )
    name = models.CharField(max_length=120)
    brief = models.TextField(help_text="the TOML as it was given")
    digest = models.CharField(max_length=64, help_text="of brief, products, photos, masks and checkpoint")
    checkpoint = models.CharField(max_length=60)
    images_per_cell = models.PositiveSmallIntegerField()
    planned = models.PositiveIntegerField(default=0, help_text="images: cells × images per cell")
    axes = models.JSONField(help_text="axis names in the brief's order")
    titles = models.JSONField(default=dict, help_text="SKU → the product's title when this was planned")
    must_have = models.JSONField(default=list)
    loras = models.JSONField(default=list, help_text="name, weight, file and trigger words of each when planned")
    budget = models.OneToOneField("billing.Budget", on_delete=models.PROTECT, null=True, related_name="campaign")
    revision = models.PositiveIntegerField(default=1, help_text="counts the briefs that it was planned from")
    changes = models.PositiveIntegerField(
        default=0, help_text="counts whatever changed what its cells ask for: a brief, a photo, a hand edit"
    )
    has_set_aside = models.BooleanField(
        default=False, help_text="whether images were asked for that the brief no longer wants"
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("workspace", "digest"), name="campaign_once"),)
        indexes = (models.Index(fields=("workspace", "-created_at", "-id"), name="campaign_newest"),)

    def __str__(self) -> str:
        return self.name

    @property
    def asked_cells(self) -> "models.QuerySet[Cell]":
        """The cells that its brief asks for; those that it no longer does are set aside."""
        return self.cells.filter(is_set_aside=False)


class Draft(models.Model):
    """A brief that is still being written. Once it was launched, it leads to its campaign.

    With ``revises``, it holds changes to a campaign that is there already, until they are saved to it.
    """

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="drafts")
    key = models.UUIDField(help_text="made with the form: saving one form twice makes one draft")
    name = models.CharField(max_length=120, blank=True)
    entered = models.JSONField(help_text="campaigns.entered.Entered, as it was typed")
    revision = models.PositiveIntegerField(default=1, help_text="counts the saves, so that the later of two is told")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, null=True, related_name="drafts")
    revises = models.ForeignKey(Campaign, on_delete=models.PROTECT, null=True, related_name="revisions")
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="+")
    saved_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()
    saved_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("workspace", "key"), name="draft_once"),
            # Two people who change one campaign's brief meet in one draft, where the later save is told.
            models.UniqueConstraint(fields=("revises",), condition=Q(campaign=None), name="draft_revises_once"),
        )
        indexes = (models.Index(fields=("workspace", "-saved_at", "-id"), name="draft_latest"),)

    def __str__(self) -> str:
        return self.name


class Cell(models.Model):
    """One combination of product, channel and axis values, as today's brief asks for it.

    ``edit`` lies over prompt, negative prompt and seeds; campaigns.recipes writes ``recipe_hashes`` with every change.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="cells")
    position = models.PositiveIntegerField()
    key = models.CharField(max_length=300)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, null=True, related_name="cells")
    photo = models.ForeignKey(Photo, on_delete=models.PROTECT, null=True, related_name="cells")
    channel = models.CharField(max_length=80)
    placement = models.JSONField(null=True, help_text="scale and anchor; null keeps the photo as it is")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    axes = models.JSONField(help_text="axis name → value")
    prompt = models.TextField()
    negative_prompt = models.TextField(blank=True)
    seeds = models.JSONField(help_text="one per image")
    edit = models.JSONField(null=True, help_text="what a person wrote over the brief: prompt, negative_prompt, seed")
    recipe_hashes = models.JSONField(default=list, help_text="one per image: what it would be made from today")
    changed = models.PositiveIntegerField(default=0, help_text="the campaign's changes when these last differed")
    is_set_aside = models.BooleanField(default=False, help_text="the brief no longer asks for it; what was made stays")

    class Meta:
        ordering = ("campaign", "position")
        constraints = (
            models.UniqueConstraint(fields=("campaign", "key"), name="cell_key_once"),
            models.UniqueConstraint(fields=("campaign", "position"), name="cell_position_once"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="cell_has_size"),
        )

    def __str__(self) -> str:
        return self.key


class Launch(models.Model):
    """One time that a campaign's missing images were asked for; numbered, so that a race launches once.

    What it asks for again had ended before: how many of those images had come out, and how many had not, stays true
    for ever, so that a campaign's progress is a sum over its launches.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="launches")
    number = models.PositiveIntegerField()
    generation = models.OneToOneField("inference.Generation", on_delete=models.PROTECT, related_name="launch")
    again_succeeded = models.PositiveIntegerField(default=0, help_text="images asked for again that had come out")
    again_failed = models.PositiveIntegerField(default=0, help_text="images asked for again that had not")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "launches"
        constraints = (models.UniqueConstraint(fields=("campaign", "number"), name="launch_once"),)

    def __str__(self) -> str:
        return f"launch {self.number} of campaign {self.campaign_id}"


class CellRender(models.Model):
    """A version of one of a cell's images: the render that makes it."""

    cell = models.ForeignKey(Cell, on_delete=models.PROTECT, related_name="versions")
    image = models.PositiveSmallIntegerField(help_text="1 to images_per_cell")
    render = models.OneToOneField("inference.Render", on_delete=models.PROTECT, related_name="cell_version")
    recipe_hash = models.CharField(max_length=64)
    made_from = models.CharField(max_length=64, blank=True, help_text="the cell's recipe hash when it was asked for")
    axes = models.JSONField(null=True, help_text="what it shows, where the cell's axis values were changed since")
    photo = models.ForeignKey(
        Photo, on_delete=models.PROTECT, null=True, related_name="+", help_text="where the cell has another one since"
    )

    class Meta:
        indexes = (models.Index(fields=("cell", "image", "-id"), name="version_newest"),)

    def __str__(self) -> str:
        return f"image {self.image} of cell {self.cell_id}"
