"""The ZIP that leaves the house: approved images only, each still the bytes and the recipe that were approved.

Written while it is sent, one file in memory at a time. What an image shows is told from above; who may have it, too.
"""

import csv
import hashlib
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gallery import storage
from gallery.csv_text import quoted
from gallery.models import Asset, Review, ReviewStatus

COLUMNS = (
    "file", "sku", "scene", "channel", "image", "width", "height", "size_bytes", "sha256", "recipe_sha256",
    "decision", "decided_by", "decided_at", "note", "not_ticked", "credits", "created_at",
)  # fmt: skip
PART_LIMIT = 60
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Label:
    """What an image shows, for its file's name and its row; ``number`` among the same SKU, scene and channel."""

    sku: str = ""
    scene: str = ""
    channel: str = ""
    number: int = 1


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image that is not delivered, and why."""

    asset_id: int
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """What would be in the ZIP, and what would not. Names are unique and safe on every file system."""

    files: tuple[tuple[str, Review, Label], ...]
    left_out: tuple[LeftOut, ...]

    @property
    def size_bytes(self) -> int:
        """Of the images, about the ZIP's."""
        return sum(review.asset.size_bytes for _, review, _ in self.files)


def prepare(*, workspace_id: int, asset_ids: Iterable[int], labels: Mapping[int, Label]) -> Package:
    """Decide what may leave, from the rows alone; the bytes are looked at when they are sent.

    :param labels: by asset id; an asset without one is named by its number.
    """
    reviews = Review.objects.filter(workspace_id=workspace_id, asset_id__in=list(asset_ids))
    files: list[tuple[str, Review, Label]] = []
    left_out = []
    taken: set[str] = set()
    for review in reviews.select_related("asset__hold_line", "standing__made_by").order_by("asset_id"):
        label = labels.get(review.asset_id, Label())
        name = _unique(_name(review.asset, label), taken)
        if reason := _obstacle(review):
            left_out.append(LeftOut(asset_id=review.asset_id, name=name, reason=reason))
        else:
            files.append((name, review, label))
    return Package(files=tuple(files), left_out=tuple(left_out))


def stream(package: Package) -> Iterator[bytes]:
    """The ZIP's bytes as they come: the images, then manifest.csv and, where needed, left-out.csv.

    An image whose stored bytes are no longer those that were approved is left out and listed.
    """
    pipe = _Pipe()
    sent, left_out = [], list(package.left_out)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for name, review, label in package.files:
            data = _approved_bytes(review)
            if data is None:
                reason = "The stored file is not the one that was approved. Have it rendered again."
                left_out.append(LeftOut(asset_id=review.asset_id, name=name, reason=reason))
                continue
            sent.append((name, review, label))
            yield from _written(archive, pipe, f"images/{name}", data, review.asset.created_at)
        now = max((review.asset.created_at for _, review, _ in sent), default=datetime(1980, 1, 1, tzinfo=UTC))
        yield from _written(archive, pipe, "manifest.csv", _manifest(sent), now)
        if left_out:
            yield from _written(archive, pipe, "left-out.csv", _left_out_table(left_out), now)
    yield pipe.take()


def _obstacle(review: Review) -> str:
    """Why an image may not leave; empty when it may."""
    if review.status != ReviewStatus.APPROVED:
        return f"{review.get_status_display()}: only approved images are delivered."
    if (review.content_hash, review.recipe_hash) != (review.asset.sha256, review.asset.recipe_hash):
        return "Approved with other bytes or another recipe. Have it reviewed again."
    if review.asset.archived_at is not None:
        return "Archived. Restore it first."
    return ""


def _approved_bytes(review: Review) -> bytes | None:
    try:
        data = storage.read(review.asset.storage_key)
    except FileNotFoundError:
        return None
    return data if hashlib.sha256(data).hexdigest() == review.content_hash else None


def _written(archive: zipfile.ZipFile, pipe: "_Pipe", name: str, data: bytes, when: datetime) -> Iterator[bytes]:
    entry = zipfile.ZipInfo(name, date_time=when.timetuple()[:6])
    entry.external_attr = 0o644 << 16
    with archive.open(entry, "w") as file:
        for start in range(0, len(data), CHUNK_BYTES):
            file.write(data[start : start + CHUNK_BYTES])
            yield pipe.take()
    yield pipe.take()


@dataclass(eq=False)
class _Pipe:
    """The end of a file that only goes forward: what the ZIP writes is taken off again at once."""

    chunks: list[bytes] = field(default_factory=list)

    def write(self, data: bytes, /) -> int:
        self.chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> bytes:
        taken = b"".join(self.chunks)
        self.chunks.clear()
        return taken


def _name(asset: Asset, label: Label) -> str:
    parts = [part for raw in (label.sku, label.scene, label.channel) if (part := _safe(raw))]
    return "--".join([*parts, str(label.number)] if parts else ["image", str(asset.pk)])


def _safe(part: str) -> str:
    """Letters, figures, points and dashes of any script, at most 60: what every file system and unpacker takes."""
    plain = re.sub(r"[^\w.]+", "-", unicodedata.normalize("NFC", part))
    return re.sub(r"[-.]{2,}", "-", plain)[:PART_LIMIT].strip("-._")


def _unique(name: str, taken: set[str]) -> str:
    found, number = name, 1
    # Case does not tell files apart everywhere.
    while found.casefold() in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found.casefold())
    return f"{found}.png"


def _manifest(sent: Sequence[tuple[str, Review, Label]]) -> bytes:
    return _table(COLUMNS, (_row(*one) for one in sent))


def _row(name: str, review: Review, label: Label) -> list[object]:
    asset, decision = review.asset, review.standing
    assert decision is not None  # noqa: S101  (the database holds it: an approved review has its decision)
    paid = asset.hold_line.captured - asset.hold_line.refunded if asset.hold_line else 0
    missing = "; ".join(one["text"] for one in decision.must_have if not one["is_met"])
    return [
        quoted(f"images/{name}"), quoted(label.sku), quoted(label.scene), quoted(label.channel), label.number,
        asset.width, asset.height, asset.size_bytes, asset.sha256, asset.recipe_hash,
        review.status, quoted(decision.made_by.email), decision.created_at.isoformat(), quoted(decision.note),
        quoted(missing), f"{paid / 1000:g}", asset.created_at.isoformat(),
    ]  # fmt: skip


def _left_out_table(left_out: Sequence[LeftOut]) -> bytes:
    return _table(("name", "reason"), ((quoted(one.name), quoted(one.reason)) for one in left_out))


def _table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue().encode()
