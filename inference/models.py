"""Images asked for and images made. The package inference.queue is the only writer of a render's status.

A render knows its frozen request, its hold line and its asset; who asked, and for which campaign, stands above.
"""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower


class RenderStatus(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


UNFINISHED = (RenderStatus.QUEUED, RenderStatus.RUNNING)
# Of queued renders: that they wait for somebody to let them go on.
IS_PAUSED = Q(generation__is_paused=True) | Q(workspace__queue_pause__isnull=False)


class Generation(models.Model):
    """One launch or one click: renders that were held for, and are paused or canceled, together."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="generations")
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="generations")
    hold = models.OneToOneField("billing.Hold", on_delete=models.PROTECT, related_name="generation")
    key = models.CharField(max_length=160, help_text="the same key asks for the same generation again")
    request_hash = models.CharField(max_length=64)
    price_version = models.PositiveIntegerField(default=1, help_text="of the catalogue entry's price when it was asked")
    settings = models.JSONField(null=True, help_text="the Studio form as it was sent; null for a campaign's launch")
    is_paused = models.BooleanField(default=False)
    deadline_at = models.DateTimeField(null=True)
    total = models.PositiveIntegerField()
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("workspace", "key"), name="generation_once"),
            models.CheckConstraint(
                condition=Q(total__gte=F("succeeded") + F("failed") + F("canceled") + F("expired")),
                name="generation_counts",
            ),
        )
        indexes = (
            models.Index(
                fields=("workspace", "created_by", "-id"),
                condition=Q(settings__isnull=False),
                name="generation_of_studio",
            ),
        )

    def __str__(self) -> str:
        return self.key

    @property
    def done(self) -> int:
        """Renders that reached an end, whichever."""
        return self.succeeded + self.failed + self.canceled + self.expired


class QueuePause(models.Model):
    """That nothing of a workspace is claimed, for as long as the row is there."""

    workspace = models.OneToOneField("studio.Workspace", on_delete=models.PROTECT, related_name="queue_pause")
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="queue_pauses")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"pause of workspace {self.workspace_id}"


class StudioDraft(models.Model):
    """The Studio form as a person left it in a workspace."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="studio_drafts")
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, related_name="studio_drafts")
    settings = models.JSONField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("workspace", "created_by"), name="studio_draft_one_each"),)

    def __str__(self) -> str:
        return f"draft of {self.created_by_id} in {self.workspace_id}"


class LoraStatus(models.TextChoices):
    RECEIVED = "received"
    QUARANTINED = "quarantined"
    CLEAN = "clean"
    REFUSED = "refused"


class Lora(models.Model):
    """A LoRA of a workspace's own: a file, the words that call it up, and the checkpoints that it fits.

    Only a clean one may be used. inference.loras and inference.lora_intake are the only writers of its status.
    """

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="loras")
    created_by = models.ForeignKey("studio.User", on_delete=models.PROTECT, null=True, related_name="loras")
    status = models.CharField(max_length=11, choices=LoraStatus, default=LoraStatus.RECEIVED)
    name = models.CharField(max_length=60)
    trigger_words = models.CharField(max_length=200, blank=True, help_text="with commas between them")
    note = models.CharField(max_length=300, blank=True, help_text="where it comes from, and under which license")
    file_name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    storage_key = models.CharField(max_length=160, blank=True)
    style = models.CharField(max_length=5, blank=True, help_text="how its tensors are called: kohya, peft, xlabs")
    family = models.CharField(max_length=10, blank=True, help_text="of the checkpoints that it fits")
    parts = models.JSONField(default=list, help_text="what it changes: unet, transformer, text_encoder …")
    least_rank = models.PositiveIntegerField(default=0)
    rank = models.PositiveIntegerField(default=0, help_text="the greatest of its layers")
    fits = models.JSONField(default=list, help_text="slugs of the checkpoints that it was found to fit")
    refusal = models.TextField(blank=True)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "workspace", Lower("name"), condition=~Q(status=LoraStatus.REFUSED), name="lora_name_once"
            ),
            models.UniqueConstraint(
                fields=("workspace", "sha256"), condition=Q(status=LoraStatus.CLEAN), name="lora_clean_once"
            ),
            models.CheckConstraint(condition=Q(status__in=LoraStatus.values), name="lora_status_known"),
            models.CheckConstraint(
                condition=~Q(status=LoraStatus.CLEAN) | (~Q(storage_key="") & Q(rank__gt=0)), name="lora_clean_is_read"
            ),
        )
        indexes = (models.Index(fields=("workspace", "-created_at", "-id"), name="lora_newest"),)

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """A process that claims batches: where it runs, on what device, with which checkpoint loaded."""

    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    queue = models.CharField(max_length=10)
    device_class = models.CharField(max_length=60, blank=True)
    checkpoint = models.CharField(max_length=60, blank=True, help_text="the loaded one's slug")
    loaded_at = models.DateTimeField(null=True, help_text="when it was loaded: its quantum begins then")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.queue}@{self.host}:{self.pid}"


class BatchLimit(models.Model):
    """That a device class has memory for fewer images of a checkpoint at once than the catalogue says.

    inference.batch_sizes is its only writer.
    """

    checkpoint = models.CharField(max_length=60)
    device_class = models.CharField(max_length=60)
    size = models.PositiveIntegerField(help_text="images that fit at once")
    failed_size = models.PositiveIntegerField(help_text="images that did not")
    found_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("checkpoint", "device_class"), name="batch_limit_once"),
            models.CheckConstraint(condition=Q(size__gte=1, size__lt=F("failed_size")), name="batch_limit_is_less"),
        )

    def __str__(self) -> str:
        return f"{self.checkpoint} on {self.device_class}: {self.size}"


class Batch(models.Model):
    """One claim: the renders that share one forward pass, and how far it has come."""

    worker = models.ForeignKey(Worker, on_delete=models.PROTECT, related_name="batches")
    batch_key = models.CharField(max_length=64)
    size = models.PositiveIntegerField(help_text="renders claimed; the pass itself is padded to the batch size")
    batch_size = models.PositiveIntegerField(default=0, help_text="of its device class when it was claimed; 0: unknown")
    phase = models.CharField(max_length=10, default="claimed")
    step = models.PositiveIntegerField(default=0)
    steps = models.PositiveIntegerField(default=0)
    preview_step = models.PositiveIntegerField(default=0, help_text="the step that the stored previews show; 0: none")
    load_s = models.FloatField(default=0, help_text="seconds of it that loading the checkpoint took")
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "batches"
        indexes = (models.Index(fields=("id",), condition=Q(preview_step__gt=0), name="batch_previewed"),)

    def __str__(self) -> str:
        return f"batch {self.pk}: {self.size} × {self.batch_key[:8]}"


class Render(models.Model):
    """One image to make, with its frozen request. Its fence says which attempt may still settle it."""

    workspace = models.ForeignKey("studio.Workspace", on_delete=models.PROTECT, related_name="renders")
    generation = models.ForeignKey(Generation, on_delete=models.PROTECT, related_name="renders")
    hold_line = models.OneToOneField("billing.HoldLine", on_delete=models.PROTECT, related_name="render")
    asset = models.OneToOneField("gallery.Asset", on_delete=models.PROTECT, null=True, related_name="render")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, related_name="renders")
    queue = models.CharField(max_length=10)
    checkpoint = models.CharField(max_length=60)
    batch_key = models.CharField(max_length=64)
    request = models.JSONField()
    seed = models.BigIntegerField(help_text="the last try's seed")
    status = models.CharField(max_length=9, choices=RenderStatus, default=RenderStatus.QUEUED)
    priority = models.SmallIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    given_back = models.PositiveSmallIntegerField(default=0, help_text="attempts that failed by our own fault")
    must_run_alone = models.BooleanField(default=False)
    not_before = models.DateTimeField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    tries = models.JSONField(default=list, help_text="pictures thrown away by the guard: seed and reason of each")
    failure_code = models.CharField(max_length=30, blank=True)
    failure_reason = models.TextField(blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(status__in=RenderStatus.values), name="render_status_known"),
            models.CheckConstraint(
                condition=(Q(status=RenderStatus.SUCCEEDED) & Q(asset__isnull=False))
                | (~Q(status=RenderStatus.SUCCEEDED) & Q(asset__isnull=True)),
                name="render_succeeded_has_asset",
            ),
            models.CheckConstraint(
                condition=(Q(status=RenderStatus.RUNNING) & Q(lease_expires_at__isnull=False, batch__isnull=False))
                | (~Q(status=RenderStatus.RUNNING) & Q(lease_expires_at__isnull=True)),
                name="render_running_has_lease",
            ),
        )
        indexes = (
            models.Index(
                fields=("queue", "checkpoint", "-priority", "id"),
                condition=Q(status=RenderStatus.QUEUED),
                name="render_queued",
            ),
            models.Index(fields=("lease_expires_at",), condition=Q(status=RenderStatus.RUNNING), name="render_leases"),
            models.Index(fields=("generation", "status"), name="render_by_generation"),
        )

    def __str__(self) -> str:
        return f"render {self.pk} ({self.status})"
