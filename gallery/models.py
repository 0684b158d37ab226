"""What came in (Upload), what was made (Asset), where it lies (Project, Tag), whether it may ship (Review, Decision).

Bytes live in storage under their own hash. gallery.review is the only writer of a review's status.
"""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower


class UploadStatus(models.TextChoices):
    RECEIVED = "received"
    QUARANTINED = "quarantined"
    CLEAN = "clean"
    REFUSED = "refused"


class Upload(models.Model):
    """A file somebody gave us. Only its re-encoded pixels are kept, and only a clean one may be used."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="uploads")
    status = models.CharField(max_length=11, choices=UploadStatus, default=UploadStatus.RECEIVED)
    name = models.CharField(max_length=255)
    source_sha256 = models.CharField(max_length=64)
    source_format = models.CharField(max_length=10, blank=True)
    source_size_bytes = models.BigIntegerField()
    storage_key = models.CharField(max_length=160, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    has_alpha = models.BooleanField(default=False)
    refusal = models.TextField(blank=True)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "source_sha256", "sha256"),
                condition=Q(status=UploadStatus.CLEAN),
                name="upload_clean_once",
            ),
            models.CheckConstraint(condition=Q(status__in=UploadStatus.values), name="upload_status_known"),
            models.CheckConstraint(
                condition=~Q(status=UploadStatus.CLEAN) | (Q(width__gt=0, height__gt=0) & ~Q(storage_key="")),
                name="upload_clean_has_pixels",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """A word of the workspace's own, to find assets by."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="tags")
    name = models.CharField(max_length=60)

    class Meta:
        constraints = (models.UniqueConstraint("workspace", Lower("name"), name="tag_once"),)

    def __str__(self) -> str:
        return self.name


class AssetOrigin(models.TextChoices):
    GENERATED = "generated"
    IMPORTED = "imported"


class Asset(models.Model):
    """A stored original, with everything needed to make it again and to prove what it shows."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="assets")
    created_by = models.ForeignKey(
        "studio.User", on_delete=models.PROTECT, null=True, related_name="assets", help_text="who asked for it"
    )
    hold_line = models.ForeignKey(
        "billing.HoldLine", on_delete=models.PROTECT, null=True, related_name="assets", help_text="what paid for it"
    )
    origin = models.CharField(max_length=9, choices=AssetOrigin)
    storage_key = models.CharField(max_length=160)
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size_bytes = models.BigIntegerField()
    lock_mask_key = models.CharField(
        max_length=160, blank=True, help_text="aligned with the image; empty without a lock"
    )
    prompt = models.TextField(blank=True)
    recipe = models.JSONField(help_text="request, checkpoint hash, library versions, batch size, device class")
    recipe_hash = models.CharField(max_length=64)
    certificate = models.JSONField(null=True, help_text="the measured product lock; null without a product")
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)
    tags = models.ManyToManyField(Tag, related_name="assets")

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(origin__in=AssetOrigin.values), name="asset_origin_known"),)
        indexes = (models.Index(fields=("workspace", "-created_at", "-id"), name="asset_newest"),)

    def __str__(self) -> str:
        return f"{self.sha256[:12]} {self.width}×{self.height}"


class RenditionKind(models.TextChoices):
    THUMB = "thumb"
    VIEW = "view"
    DIFFERENCE = "difference"


class Rendition(models.Model):
    """A stored file made smaller or made visible for a page. Its source is an asset's or an upload's storage key."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="renditions")
    source_key = models.CharField(max_length=160)
    kind = models.CharField(max_length=10, choices=RenditionKind)
    storage_key = models.CharField(max_length=160, blank=True, help_text="empty where it could not be made")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("source_key", "kind"), name="rendition_once"),
            models.CheckConstraint(condition=Q(kind__in=RenditionKind.values), name="rendition_kind_known"),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.source_key}"


class Project(models.Model):
    """A folder of assets. What else lies in it refers to it from the packages above."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="projects")
    name = models.CharField(max_length=120)
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="projects")
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)
    assets = models.ManyToManyField(Asset, through="ProjectAsset", related_name="projects")

    class Meta:
        constraints = (models.UniqueConstraint("workspace", Lower("name"), name="project_name_once"),)

    def __str__(self) -> str:
        return self.name


class ProjectAsset(models.Model):
    """An asset in a folder; it may lie in several."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="entries")
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="project_entries")
    added_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("project", "asset"), name="project_asset_once"),)

    def __str__(self) -> str:
        return f"asset {self.asset_id} in project {self.project_id}"


class ReviewStatus(models.TextChoices):
    PENDING = "pending", "In review"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"


class Review(models.Model):
    """Whether an asset may ship. The hashes are those of the bytes and the recipe that it is about."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="reviews")
    asset = models.OneToOneField(Asset, on_delete=models.PROTECT, related_name="review")
    status = models.CharField(max_length=17, choices=ReviewStatus, default=ReviewStatus.PENDING)
    standing = models.OneToOneField(
        "Decision", on_delete=models.PROTECT, null=True, related_name="+", help_text="the decision that made the status"
    )
    content_hash = models.CharField(max_length=64)
    recipe_hash = models.CharField(max_length=64)
    claimed_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="claimed_reviews")
    claimed_until = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(status__in=ReviewStatus.values), name="review_status_known"),
            models.CheckConstraint(
                condition=Q(status=ReviewStatus.PENDING, standing__isnull=True)
                | (~Q(status=ReviewStatus.PENDING) & Q(standing__isnull=False)),
                name="review_decided_by_a_decision",
            ),
            models.CheckConstraint(
                condition=Q(claimed_by__isnull=True, claimed_until__isnull=True)
                | Q(claimed_by__isnull=False, claimed_until__isnull=False),
                name="review_claim_is_whole",
            ),
        )
        indexes = (models.Index(fields=("workspace", "status", "asset"), name="review_by_status"),)

    def __str__(self) -> str:
        return f"review of asset {self.asset_id} ({self.status})"


class Verdict(models.TextChoices):
    APPROVE = "approve"
    REJECT = "reject"
    REQUEST_CHANGES = "request_changes"
    UNDO = "undo"


class Reason(models.TextChoices):
    """Why an image was rejected, in the order of the digits that choose it."""

    PRODUCT_DISTORTED = "product_distorted", "Product distorted"
    WRONG_BACKGROUND = "wrong_background", "Wrong background"
    BAD_LIGHT = "bad_light", "Bad light"
    OFF_BRAND = "off_brand", "Off brand"
    ARTIFACT = "artifact", "Text or artifact"
    OTHER = "other", "Other"


class Decision(models.Model):
    """Who decided what about an asset, when and why; never changed afterwards (a trigger of the database refuses)."""

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=15, choices=Verdict)
    made_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, related_name="decisions")
    reason = models.CharField(max_length=17, choices=Reason, blank=True)
    note = models.TextField(blank=True)
    must_have = models.JSONField(default=list, help_text="pairs of what the image must have and whether it was ticked")
    refunded = models.BigIntegerField(default=0, help_text="millicredits that this decision gave back")
    act = models.CharField(
        max_length=32, blank=True, help_text="the same for what was decided, and is undone, together"
    )
    undoes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="undone_by")
    content_hash = models.CharField(max_length=64)
    recipe_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(verdict__in=Verdict.values), name="decision_verdict_known"),
            models.CheckConstraint(
                condition=Q(verdict=Verdict.REJECT, reason__in=Reason.values)
                | (~Q(verdict=Verdict.REJECT) & Q(reason="")),
                name="decision_rejects_for_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(verdict=Verdict.UNDO, undoes__isnull=False)
                | (~Q(verdict=Verdict.UNDO) & Q(undoes__isnull=True)),
                name="decision_undo_names_one",
            ),
            models.CheckConstraint(condition=Q(undoes__isnull=True) | ~Q(undoes=F("id")), name="decision_not_itself"),
            models.CheckConstraint(condition=Q(refunded__gte=0), name="decision_refunded"),
        )
        indexes = (models.Index(fields=("made_by", "-id"), name="decision_by_person"),)

    def __str__(self) -> str:
        return f"{self.verdict} of review {self.review_id}"
