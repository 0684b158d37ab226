"""What came in (Upload) and what was made (Asset). Bytes live in storage under their own hash."""

from django.db import models
from django.db.models import Q


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


class AssetOrigin(models.TextChoices):
    GENERATED = "generated"
    IMPORTED = "imported"


class Asset(models.Model):
    """A stored original, with everything needed to make it again and to prove what it shows."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="assets")
    origin = models.CharField(max_length=9, choices=AssetOrigin)
    storage_key = models.CharField(max_length=160)
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size_bytes = models.BigIntegerField()
    lock_mask_key = models.CharField(
        max_length=160, blank=True, help_text="aligned with the image; empty without a lock"
    )
    recipe = models.JSONField(help_text="request, checkpoint hash, library versions, batch size, device class")
    recipe_hash = models.CharField(max_length=64)
    certificate = models.JSONField(null=True, help_text="the measured product lock; null without a product")
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(origin__in=AssetOrigin.values), name="asset_origin_known"),)
        indexes = (models.Index(fields=("workspace", "-created_at", "-id"), name="asset_newest"),)

    def __str__(self) -> str:
        return f"{self.sha256[:12]} {self.width}×{self.height}"
