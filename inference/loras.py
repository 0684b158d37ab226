"""A workspace's LoRAs: taken in, named, put away, and chosen for a request. Loads nothing that reads tensors.

Whether a file is sound, a worker finds out (inference.lora_intake).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

from celery import current_app
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from inference import catalog, trigger_words
from inference.catalog import CatalogEntry
from inference.lora_files import header
from inference.lora_files.header import LoraFileError
from inference.models import Lora, LoraStatus
from inference.references import MAX_LORAS, LoraReference, RequestError

SUFFIX = ".safetensors"
CHUNK_BYTES = 1 << 20
MAX_NAME_LENGTH = 60
MAX_WORDS_LENGTH = 200
MAX_NOTE_LENGTH = 300
MAX_WEIGHT = 2.0
# More than a page shows, and than anybody tells apart.
OFFERED = 200


class LoraError(RequestError):
    """What was asked of a LoRA cannot be done; the sentence says what to do. Nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What people say of a LoRA: its name, the words that call it up with commas between, where it comes from."""

    name: str
    trigger_words: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ChosenLora:
    """A LoRA in a form, by id, and how strongly it acts: 0 to 2."""

    lora_id: int
    weight: float = 1.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What dataclasses.asdict gave."""
        return cls(lora_id=int(values["lora_id"]), weight=float(values["weight"]))


@dataclass(frozen=True, kw_only=True)
class KnownLora:
    """A LoRA that may be asked for, by the name that briefs call it; `fits` are slugs of checkpoints."""

    name: str
    file: str
    trigger_words: str
    fits: frozenset[str]
    is_archived: bool


@dataclass(frozen=True, kw_only=True)
class UsedLora:
    """What a LoRA comes to in a request: the file with its weight, and the words that the prompt needs for it."""

    name: str
    trigger_words: str
    reference: LoraReference


# --- taken in ---------------------------------------------------------------------------------------------------------


def receive(
    *, workspace_id: int, source: BinaryIO, file_name: str, words: Words, created_by_id: int | None, now: datetime
) -> Lora:
    """Put a file that somebody sends into quarantine, by pieces, and ask a worker to decide about it.

    :param source: an open file that can be read twice. Where its bytes are those of a LoRA whose stored file was lost,
        they take its place, and that LoRA is returned. Refused at once where storage cannot take it.
    :raises LoraError: it is no safetensors file, too large, here already, or its name is taken; nothing was kept.
    """
    shown = _short(Path(file_name).name) or "The file"
    sha256, size_bytes = _measured(source, shown)
    _check_header(source, shown, size_bytes)
    if known := Lora.objects.filter(workspace_id=workspace_id, sha256=sha256, status=LoraStatus.CLEAN).first():
        if not default_storage.exists(known.storage_key):
            # The very file that was checked, lost since.
            source.seek(0)
            default_storage.save(known.storage_key, File(source))
            return known
        raise LoraError(_is_known(shown, known))
    words = checked(words)
    try:
        with transaction.atomic():
            lora = Lora.objects.create(
                workspace_id=workspace_id,
                created_by_id=created_by_id,
                name=words.name,
                trigger_words=words.trigger_words,
                note=words.note,
                file_name=shown,
                size_bytes=size_bytes,
                sha256=sha256,
                created_at=now,
            )
    except IntegrityError:
        raise LoraError(_is_taken(words.name)) from None
    source.seek(0)
    try:
        default_storage.save(quarantine_key(lora), File(source))
    except OSError as error:
        refusal = f"{shown} could not be stored ({error.strerror or error}). Upload it again once that is mended."
        move(lora, LoraStatus.RECEIVED, LoraStatus.REFUSED, refusal=refusal, decided_at=now)
        return lora
    move(lora, LoraStatus.RECEIVED, LoraStatus.QUARANTINED)
    ask_for_check(lora)
    return lora


def ask_for_check(lora: Lora) -> None:
    """Tell a worker, once this is committed. By name: the task's module loads numpy; the sweep replaces a lost one."""
    transaction.on_commit(lambda: current_app.send_task("inference.check_lora", args=[lora.pk]), robust=True)


def ask_for_another_check(lora: Lora) -> None:
    """Have a worker find anew which models a clean LoRA fits."""
    transaction.on_commit(lambda: current_app.send_task("inference.check_lora_again", args=[lora.pk]), robust=True)


def move(lora: Lora, start: LoraStatus, end: LoraStatus, **facts: Any) -> bool:
    """Change the state, and what is known with it, if the LoRA is still where the step starts; whether it was."""
    is_moved = Lora.objects.filter(pk=lora.pk, status=start).update(status=end, **facts) > 0
    lora.refresh_from_db()
    return is_moved


def quarantine_key(lora: Lora) -> str:
    """Where its bytes lie until they are decided about."""
    return f"quarantine/loras/{lora.workspace_id}/{lora.pk}{SUFFIX}"


# --- named and put away -----------------------------------------------------------------------------------------------


def checked(words: Words) -> Words:
    """The words without blanks around them.

    :raises LoraError: one is missing, too long, or more than a line.
    """
    plain = Words(
        name=" ".join(words.name.split()),
        trigger_words=", ".join(trigger_words.words(words.trigger_words)),
        note=" ".join(words.note.split()),
    )
    if not plain.name:
        raise LoraError("Give the LoRA a name; briefs call it by that.")
    for what, text, most in (
        ("name", plain.name, MAX_NAME_LENGTH),
        ("list of trigger words", plain.trigger_words, MAX_WORDS_LENGTH),
        ("note", plain.note, MAX_NOTE_LENGTH),
    ):
        if len(text) > most:
            raise LoraError(f"The {what} has {len(text)} characters. Shorten it to {most}.")
        if not text.isprintable():
            raise LoraError(f"The {what} holds a control character. Write it in plain text.")
    return plain


def rename(*, lora_id: int, words: Words) -> None:
    """Give a LoRA another name, other trigger words, another note. What was asked for keeps those that it had.

    :raises LoraError: see `checked`; or the name is another one's.
    """
    words = checked(words)
    try:
        with transaction.atomic():
            Lora.objects.filter(pk=lora_id).update(name=words.name, trigger_words=words.trigger_words, note=words.note)
    except IntegrityError:
        raise LoraError(_is_taken(words.name)) from None


def archive(*, lora_id: int, now: datetime) -> None:
    """Put a LoRA away: nothing new is made with it; what was made, and what is launched, stays."""
    Lora.objects.filter(pk=lora_id, archived_at=None).update(archived_at=now)


def restore(*, lora_id: int) -> None:
    """Offer a LoRA again."""
    Lora.objects.filter(pk=lora_id).update(archived_at=None)


def dismiss(*, lora_id: int) -> bool:
    """Take a refused file off the list; False if it is not refused."""
    deleted, _ = Lora.objects.filter(pk=lora_id, status=LoraStatus.REFUSED).delete()
    return deleted > 0


# --- chosen -----------------------------------------------------------------------------------------------------------


def usable(*, workspace_id: int) -> QuerySet[Lora]:
    """The LoRAs that may be chosen, by name."""
    clean = Lora.objects.filter(workspace_id=workspace_id, status=LoraStatus.CLEAN, archived_at=None)
    return clean.order_by("name", "pk")


def known(*, workspace_id: int) -> tuple[KnownLora, ...]:
    """Every clean LoRA, archived ones too, so that it can be said of them; one query."""
    rows = Lora.objects.filter(workspace_id=workspace_id, status=LoraStatus.CLEAN).order_by("name", "pk")
    return tuple(
        KnownLora(
            name=row.name,
            file=row.storage_key,
            trigger_words=row.trigger_words,
            fits=frozenset(row.fits),
            is_archived=row.archived_at is not None,
        )
        for row in rows
    )


def names(files: Sequence[str]) -> dict[str, str]:
    """The names of LoRAs by their files' storage keys; one query."""
    return dict(Lora.objects.filter(storage_key__in=files).values_list("storage_key", "name"))


def used(chosen: Sequence[ChosenLora], *, workspace_id: int, entry: CatalogEntry) -> tuple[UsedLora, ...]:
    """What a form's LoRAs come to; those at weight 0 do nothing and are left out.

    :raises LoraError: one is gone, archived, or does not fit the model; or there are too many.
    """
    wanted = [each for each in chosen if each.weight]
    if not wanted:
        return ()
    if len(wanted) > MAX_LORAS:
        raise LoraError(f"{len(wanted)} LoRAs were chosen. Take at most {MAX_LORAS}.")
    rows = Lora.objects.filter(workspace_id=workspace_id, status=LoraStatus.CLEAN)
    found = rows.in_bulk([each.lora_id for each in wanted])
    return tuple(_used(found.get(each.lora_id), each.weight, entry) for each in wanted)


def _used(lora: Lora | None, weight: float, entry: CatalogEntry) -> UsedLora:
    if lora is None:
        raise LoraError("A LoRA that was chosen is not here any more. Take it out.")
    if lora.archived_at:
        raise LoraError(f"The LoRA “{lora.name}” is archived. Take it out, or restore it under LoRAs.")
    if entry.slug not in lora.fits:
        raise LoraError(misfit(lora.name, frozenset(lora.fits), entry))
    reference = LoraReference(file=lora.storage_key, weight=weight)
    return UsedLora(name=lora.name, trigger_words=lora.trigger_words, reference=reference)


def misfit(name: str, fits: frozenset[str], entry: CatalogEntry) -> str:
    """Why a LoRA cannot be used with a model, in a sentence."""
    names = " or ".join(catalog.load()[slug].name for slug in sorted(fits) if slug in catalog.load())
    instead = f"choose {names}" if names else "check it again under LoRAs"
    return f"The LoRA “{name}” does not fit {entry.name}. Take it out, or {instead}."


# --- inside -----------------------------------------------------------------------------------------------------------


def _measured(source: BinaryIO, name: str) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes, read by pieces."""
    most = settings.STUDIO_LORA_MAX_BYTES
    digest, size_bytes = hashlib.sha256(), 0
    source.seek(0)
    while chunk := source.read(CHUNK_BYTES):
        size_bytes += len(chunk)
        if size_bytes > most:
            raise LoraError(
                f"{name} is larger than {most / 1e6:g} MB. Save it in half precision, or with a lower rank."
            )
        digest.update(chunk)
    if not size_bytes:
        raise LoraError(f"{name} is empty. Send the file again.")
    return digest.hexdigest(), size_bytes


def _check_header(source: BinaryIO, name: str, size_bytes: int) -> None:
    source.seek(0)
    try:
        header.read_from(source, size_bytes=size_bytes)
    except LoraFileError as error:
        raise LoraError(f"{name} {error}") from None


def _is_known(name: str, known: Lora) -> str:
    where = "archived: restore it" if known.archived_at else "use that one"
    return f"{name} is here already, as “{known.name}”, {where}."


def _is_taken(name: str) -> str:
    return f"There is a LoRA called “{name}” already. Choose another name."


def _short(name: str) -> str:
    """A file's name without control characters, at most 255 characters long, its end kept."""
    return "".join(sign for sign in name if sign.isprintable())[-255:]
