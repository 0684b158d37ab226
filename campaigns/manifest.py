"""A campaign on disk: its images, lock masks, source photos and manifest.csv, readable without this program."""

import csv
import hashlib
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from billing import ledger
from campaigns.launch import newest_renders
from campaigns.models import Campaign, Cell
from campaigns.slugs import slug
from gallery import storage
from gallery.csv_text import quoted
from inference.models import Render

COLUMNS = (
    "render", "cell", "sku", "channel", "image", "photo", "photo_sha256", "file", "lock_mask", "sha256", "width",
    "height", "seed", "checkpoint", "prompt", "status", "credits_estimated", "credits_charged", "lock_max_diff",
    "lock_mean_diff", "placement",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ExportedImage:
    """One image of the campaign, finished or not. Paths are relative to the folder; empty where there is no file."""

    cell: Cell
    image: int
    render: Render
    photo: str
    file: str
    lock_mask: str


def export(*, campaign: Campaign, folder: Path, photo_paths: Mapping[str, Path]) -> list[ExportedImage]:
    """Write a campaign's files into a folder, replacing what an earlier export wrote there.

    :param photo_paths: where each SKU's photo lies now; its copy is what the manifest's ``photo`` names.
    :raises OSError: the folder cannot be written; files are whole or absent. The manifest comes last.
    """
    photos = {sku: _copy_photo(sku, path, folder) for sku, path in photo_paths.items()}
    return [_export_image(*entry, photos=photos, folder=folder) for entry in _entries(campaign)]


def write_table(*, campaign: Campaign, images: Sequence[ExportedImage], folder: Path) -> None:
    """Write manifest.csv, and remove the images and masks that only an earlier campaign's manifest there named."""
    path = folder / "manifest.csv"
    before = _named_files(path)
    write(path, _table(campaign, images).encode())
    for name in before - {name for image in images for name in (image.file, image.lock_mask)}:
        (folder / name).unlink(missing_ok=True)


def _named_files(path: Path) -> set[str]:
    """The images and masks that a manifest names, as far as they are ours: nothing outside our two folders."""
    if not path.is_file():
        return set()
    with path.open(newline="") as file:
        names = {row.get(column) or "" for row in csv.DictReader(file) for column in ("file", "lock_mask")}
    return {name for name in names if name.startswith(("images/", "lock-masks/")) and ".." not in name}


def _entries(campaign: Campaign) -> Iterator[tuple[Cell, int, Render]]:
    newest = newest_renders(campaign.pk)
    renders = Render.objects.select_related("asset", "hold_line").in_bulk(newest.values())
    for cell in campaign.asked_cells.select_related("product", "photo__upload").order_by("position"):
        for image in range(1, campaign.images_per_cell + 1):
            if (cell.pk, image) in newest:
                yield cell, image, renders[newest[cell.pk, image]]


def _export_image(cell: Cell, image: int, render: Render, *, photos: Mapping[str, str], folder: Path) -> ExportedImage:
    file = lock_mask = ""
    if asset := render.asset:
        # The position keeps apart what the dashes would not, and sorts as the brief does.
        name = f"{cell.position:04}--{cell.key.replace('/', '--')}--{image}.png"
        file = _copy(asset.storage_key, f"images/{name}", folder)
        lock_mask = _copy(asset.lock_mask_key, f"lock-masks/{name}", folder) if asset.lock_mask_key else ""
    sku = cell.product.sku if cell.product else ""
    photo = photos.get(sku, "") if cell.photo_id else ""
    return ExportedImage(cell=cell, image=image, render=render, photo=photo, file=file, lock_mask=lock_mask)


def _table(campaign: Campaign, images: Iterable[ExportedImage]) -> str:
    stream = io.StringIO()
    names = [f"axis_{name}" for name in campaign.axes]
    writer = csv.DictWriter(stream, [*COLUMNS, *names], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(campaign, image) for image in images)
    return stream.getvalue()


def _row(campaign: Campaign, exported: ExportedImage) -> dict[str, object]:
    cell, render, asset = exported.cell, exported.render, exported.render.asset
    certificate = (asset.certificate or {}) if asset else {}
    axes = {f"axis_{name}": quoted(cell.axes[name]) for name in campaign.axes}
    return {
        "render": render.pk,
        "cell": quoted(cell.key),
        "sku": quoted(cell.product.sku if cell.product else ""),
        "channel": quoted(cell.channel),
        "image": exported.image,
        "photo": quoted(exported.photo),
        "photo_sha256": cell.photo.upload.source_sha256 if cell.photo else "",
        "file": quoted(exported.file),
        "lock_mask": quoted(exported.lock_mask),
        "sha256": asset.sha256 if asset else "",
        "width": asset.width if asset else cell.width,
        "height": asset.height if asset else cell.height,
        "seed": render.seed,
        "checkpoint": render.checkpoint,
        "prompt": quoted(cell.prompt),
        "status": render.status,
        "credits_estimated": ledger.credits_text(render.hold_line.amount),
        "credits_charged": ledger.credits_text(render.hold_line.captured),
        "lock_max_diff": certificate.get("lock_max_diff", ""),
        "lock_mean_diff": certificate.get("lock_mean_diff", ""),
        "placement": certificate.get("placement", ""),
        **axes,
    }


def _copy_photo(sku: str, path: Path, folder: Path) -> str:
    relative = f"photos/{slug(sku)}{path.suffix.lower()}"
    write(folder / relative, path.read_bytes())
    return relative


def _copy(key: str, relative: str, folder: Path) -> str:
    write(folder / relative, storage.read(key))
    return relative


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; a file that is there already with these bytes is left alone."""
    if path.is_file() and path.stat().st_size == len(data) and _sha256(path.read_bytes()) == _sha256(data):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
