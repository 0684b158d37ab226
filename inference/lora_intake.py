"""Decides about LoRAs in quarantine: a worker's work, since it reads the whole file. quarantined → clean or refused.
Knows files, storage and rows; what makes a file sound stands in inference.lora_files.
"""

import contextlib
import hashlib
import logging
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Q

from gallery import storage
from inference import catalog, loras
from inference.catalog.sources import CheckpointMissingError, CheckpointSource, CheckpointUnreadableError, resolve
from inference.lora_files.check import LoraFacts, check
from inference.lora_files.header import LoraFileError
from inference.models import Lora, LoraStatus

logger = logging.getLogger(__name__)

# No file is checked for as long; its message was lost, or its worker died.
LOST_AFTER = timedelta(minutes=2)
# No browser sends a file for as long without the request being ended.
BROKEN_OFF_AFTER = timedelta(hours=2)
# So long the file of one that was decided about is looked for in quarantine once more.
CLEARED_FOR = timedelta(hours=1)
BROKEN_OFF = "did not arrive whole. Upload it again."


def admit(*, lora_id: int, now: datetime) -> None:
    """Decide about a LoRA in quarantine; nothing to do for one that is decided about.

    :raises OSError: storage does not answer; it stays in quarantine and is tried again.
    """
    lora = Lora.objects.filter(pk=lora_id).exclude(status=LoraStatus.RECEIVED).first()
    if lora is None:
        return
    key = loras.quarantine_key(lora)
    if lora.status == LoraStatus.QUARANTINED:
        if default_storage.exists(key):
            with storage.on_disk(key) as path:
                _decide(lora, path, now)
        else:
            _refuse(lora, BROKEN_OFF, now)
    # Of one that was decided about before, too: whoever did may have been killed before this.
    _clear(key)


def check_again(*, lora_id: int, now: datetime) -> None:
    """Find anew which of the installed checkpoints a clean LoRA fits, after one was installed or replaced.

    :raises OSError: its file is gone, or storage does not answer.
    """
    lora = Lora.objects.get(pk=lora_id, status=LoraStatus.CLEAN)
    with storage.on_disk(lora.storage_key) as path:
        try:
            fits = check(path, installed()).fits
        except LoraFileError:
            fits = ()
    Lora.objects.filter(pk=lora.pk).update(fits=list(fits), decided_at=now)


def sweep(*, now: datetime) -> None:
    """Decide about those whose message was lost, and refuse those that broke off on their way in."""
    waiting = Q(status=LoraStatus.QUARANTINED, created_at__lt=now - LOST_AFTER)
    left_behind = Q(decided_at__gt=now - CLEARED_FOR)
    for pk in Lora.objects.filter(waiting | left_behind).order_by("pk").values_list("pk", flat=True):
        try:
            admit(lora_id=pk, now=now)
        except Exception:
            # Whatever is wrong with this one, the others are decided about.
            logger.exception("LoRA %s", pk)
    for lora in Lora.objects.filter(status=LoraStatus.RECEIVED, created_at__lt=now - BROKEN_OFF_AFTER):
        refusal = f"{lora.file_name} {BROKEN_OFF}"
        loras.move(lora, LoraStatus.RECEIVED, LoraStatus.REFUSED, refusal=refusal, decided_at=now)
        _clear(loras.quarantine_key(lora))


def _clear(key: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        default_storage.delete(key)


def installed() -> dict[str, CheckpointSource]:
    """The checkpoints that take LoRAs and are on this machine, by their names."""
    found = {}
    for entry in catalog.load().values():
        if "lora" in entry.capabilities:
            with contextlib.suppress(CheckpointMissingError, CheckpointUnreadableError):
                found[entry.name] = resolve(entry, overrides=settings.STUDIO_CHECKPOINTS, data_dir=settings.STUDIO_DATA)
    return found


def _decide(lora: Lora, path: Path, now: datetime) -> None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != lora.sha256:
            _refuse(lora, BROKEN_OFF, now)
            return
    try:
        facts = check(path, installed())
    except LoraFileError as error:
        _refuse(lora, str(error), now)
        return
    key = storage.put_file(lora.workspace_id, path, sha256=lora.sha256, suffix=loras.SUFFIX)
    try:
        with transaction.atomic():
            loras.move(lora, LoraStatus.QUARANTINED, LoraStatus.CLEAN, **_columns(lora, facts, key, now))
    except IntegrityError:
        _refuse(lora, "is here already. Use that one; an archived one can be restored.", now)


def _columns(lora: Lora, facts: LoraFacts, key: str, now: datetime) -> dict[str, object]:
    return {
        "storage_key": key,
        "style": facts.style,
        "family": facts.family,
        "parts": list(facts.parts),
        "least_rank": facts.ranks[0],
        "rank": facts.ranks[1],
        "fits": list(facts.fits),
        # What its trainer noted, where nobody said otherwise.
        "trigger_words": lora.trigger_words or facts.trigger_words,
        "decided_at": now,
    }


def _refuse(lora: Lora, reason: str, now: datetime) -> None:
    logger.info("LoRA %s: %s", lora.pk, reason)
    refusal = f"{lora.file_name} {reason}"
    loras.move(lora, LoraStatus.QUARANTINED, LoraStatus.REFUSED, refusal=refusal, decided_at=now)
