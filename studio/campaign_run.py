"""A campaign from the command line, step by step: read, examine, plan, launch, watch, export.

Each step is one call of the domain; what is here is their order and what a person at a terminal is told.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from tqdm import tqdm

from billing import clock, ledger
from campaigns import brief as briefs
from campaigns import cells, contact_sheet, launch, manifest, photos, planning
from campaigns.brief import Brief, BriefError
from campaigns.cells import PlannedCell
from campaigns.manifest import ExportedImage
from campaigns.models import Campaign, Photo
from campaigns.photos import ExaminedPhoto
from campaigns.planning import PhotoSize
from campaigns.slugs import slug
from inference import catalog, eta, loras
from inference.catalog import CatalogEntry
from inference.catalog.sources import CheckpointMissingError, CheckpointSource, CheckpointUnreadableError
from inference.models import Batch
from inference.pricing import Estimate
from inference.references import RequestError
from studio import embedded
from studio.models import Workspace
from studio.supervisor import WORKERS, Supervisor

BAD_INPUT_ERRORS = (
    BriefError,
    photos.PhotosRefusedError,
    catalog.UnknownCheckpointError,
    CheckpointMissingError,
    CheckpointUnreadableError,
    RequestError,
    launch.MaskMissingError,
    ledger.InsufficientCreditsError,
    ledger.OverBudgetError,
)
POLL_S = 0.5
MAX_DEATHS_WITHOUT_PROGRESS = 5
MAX_SUMMARY_LINES = 20
STALL_S = 15 * 60  # longer than any pause the queue makes, and than loading any checkpoint


class WorkersFailedError(Exception):
    """The workers die again and again without finishing anything."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a brief comes to, before anything is written."""

    brief: Brief
    entry: CatalogEntry
    source: CheckpointSource
    cells: Sequence[PlannedCell]
    examined: Mapping[str, ExaminedPhoto]
    digest: str

    @property
    def images(self) -> int:
        return len(self.cells) * self.brief.images_per_cell

    @property
    def cost(self) -> Estimate:
        return planning.estimate(images=self.images, entry=self.entry)

    @property
    def duration(self) -> timedelta:
        return eta.of(images=self.images, entry=self.entry)


def preview(path: Path, *, workspace: Workspace, scratch: Path) -> Preview:
    """Read and check everything of a brief: its text, checkpoint, photos and cost. Writes nothing.

    :raises BAD_INPUT_ERRORS: in sentences for the person asking.
    """
    brief = briefs.load(path, loras=loras.known(workspace_id=workspace.pk))
    entry = catalog.entry(brief.checkpoint)
    source = planning.source_of(entry)
    examined = photos.examine(brief.products, scratch=scratch)
    sizes = {sku: PhotoSize(one.photo.source_name, one.photo.width, one.photo.height) for sku, one in examined.items()}
    if faults := planning.kept_size_faults(brief, sizes=sizes):
        raise photos.PhotosRefusedError(faults)
    hashes = {
        sku: [found.photo.source_sha256, found.mask.source_sha256 if found.mask else ""]
        for sku, found in examined.items()
    }
    seen = Preview(
        brief=brief,
        entry=entry,
        source=source,
        cells=cells.expand(brief),
        examined=examined,
        digest=planning.digest(brief, file_hashes=hashes, source=source),
    )
    if not Campaign.objects.filter(workspace=workspace, digest=seen.digest).exists():
        planning.check_affordable(workspace_id=workspace.pk, brief=brief, cost=seen.cost, now=clock.now())
    return seen


def describe(seen: Preview) -> str:
    """Cells, estimate and ETA, in three lines."""
    likely, maximum = ledger.credits_text(seen.cost.likely), ledger.credits_text(seen.cost.maximum)
    products = len({cell.sku for cell in seen.cells})
    return (
        f"{seen.brief.name}: {len(seen.cells)} cells, {seen.images} images "
        f"({products} products × {len(seen.brief.channels)} channels × "
        f"{len({cell.axes for cell in seen.cells})} scenes × {seen.brief.images_per_cell})\n"
        f"Estimate: {likely} credits likely, {maximum} at most, on {seen.entry.name}\n"
        f"ETA: about {_duration_text(seen.duration)}"
    )


def run(seen: Preview, *, workspace: Workspace) -> Campaign:
    """Bring a previewed brief to its end with workers of its own; what an earlier run finished is not done again.

    :raises WorkersFailedError: the workers cannot work; the message names their log.
    :raises PhotosRefusedError: no mask could be made for a photo that came without one.
    """
    with embedded.running(WORKERS) as keeper:
        accepted = photos.accept(
            workspace_id=workspace.pk, rows=seen.brief.products, examined=seen.examined, now=clock.now()
        )
        ready = _wait_for_masks(accepted, keeper)
        campaign = planning.plan(
            workspace_id=workspace.pk,
            brief=seen.brief,
            cells=seen.cells,
            photos=ready,
            campaign_digest=seen.digest,
            now=clock.now(),
        )
        launch.launch(campaign_id=campaign.pk, now=clock.now())
        _watch(campaign, keeper)
    return campaign


def export(seen: Preview, campaign: Campaign, *, folder: Path) -> list[ExportedImage]:
    """Write images, masks, manifest and contact sheet; what each image came to.

    :raises OSError: the folder cannot be written.
    """
    paths = {row.sku: row.photo for row in seen.brief.products if row.photo}
    used = {cell.sku for cell in seen.cells}
    images = manifest.export(
        campaign=campaign, folder=folder, photo_paths={sku: path for sku, path in paths.items() if sku in used}
    )
    sheet = contact_sheet.draw(
        title=campaign.name,
        subtitle=f"{len(images)} images on {seen.entry.name}",
        frames=[_frame(image, folder) for image in images],
    )
    manifest.write(folder / "contact-sheet.png", sheet)
    manifest.write_table(campaign=campaign, images=images, folder=folder)
    return images


def summarize(campaign: Campaign, images: Sequence[ExportedImage]) -> str:
    """What came of the campaign and what it cost: a table by product, and the whole."""
    by_product: dict[str, list[ExportedImage]] = {}
    for image in images:
        by_product.setdefault(image.cell.product.sku if image.cell.product else "", []).append(image)
    width = max(len("product"), *(len(sku) for sku in by_product))
    lines = [f"{'product':{width}}  rendered  failed  credits  lock difference"]
    lines += [_summary_line(f"{sku:{width}}", group) for sku, group in list(by_product.items())[:MAX_SUMMARY_LINES]]
    if len(by_product) > MAX_SUMMARY_LINES:
        lines.append(f"… and {len(by_product) - MAX_SUMMARY_LINES} more products; the manifest has them all")
    lines.append(_summary_line(f"{'all':{width}}", images))
    left = ledger.credits_text(ledger.balance(workspace_id=campaign.workspace_id).available)
    charged = ledger.credits_text(launch.charged(campaign_id=campaign.pk))
    return "\n".join((*lines, f"{charged} credits charged in all, {left} left. Failed images cost nothing."))


def _summary_line(label: str, images: Sequence[ExportedImage]) -> str:
    assets = [image.render.asset for image in images if image.render.asset]
    charged = ledger.credits_text(sum(image.render.hold_line.captured for image in images))
    differences = [asset.certificate["lock_max_diff"] for asset in assets if asset.certificate]
    difference = str(max(differences)) if differences else "–"
    return f"{label}  {len(assets):8}  {len(images) - len(assets):6}  {charged:>7}  {difference:>15}"


def default_folder(seen: Preview) -> Path:
    """Where a campaign goes when nobody says: a folder of its own under STUDIO_DATA."""
    return Path(settings.STUDIO_DATA) / "campaigns" / f"{slug(seen.brief.name)}-{seen.digest[:8]}"


def check_folder(folder: Path, brief: Brief) -> None:
    """Refuse a folder that cannot take the images, before they are made.

    :raises BriefError: it cannot be made or written, or a product photo of the brief lies where a copy would go.
    """
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise BriefError([f"{nearest} is not a folder that can be written. Give another --out."])
    taken = [row.photo for row in brief.products if row.photo and folder / "photos" == row.photo.resolve().parent]
    if taken:
        raise BriefError([f"{folder} holds the brief's own photos ({taken[0].name}). Give another --out."])


def _frame(exported: ExportedImage, folder: Path) -> contact_sheet.Frame:
    cell = exported.cell
    sku = cell.product.sku if cell.product else ""
    number = f"\n#{exported.image}" if cell.campaign.images_per_cell > 1 else ""
    return contact_sheet.Frame(
        row=f"{sku}\n{cell.channel}".strip(),
        column=", ".join(cell.axes.values()) + number,
        path=folder / exported.file if exported.file else None,
        note=exported.render.failure_reason or exported.render.status,
    )


def _wait_for_masks(accepted: Mapping[str, Photo], keeper: Supervisor) -> dict[str, Photo]:
    """Until a worker made every missing mask; the photos with their masks, by SKU."""
    sku_of = {photo.pk: sku for sku, photo in accepted.items()}
    wanted = Photo.objects.filter(pk__in=sku_of).select_related("upload")
    missing = wanted.filter(mask_key="", mask_failure="")
    patience, number = _Patience(keeper), missing.count()
    if number:
        print(f"Making the lock masks of {number} photos that came without one", file=sys.stderr)
    while number:
        keeper.check()
        time.sleep(POLL_S)
        number = missing.count()
        patience.check(number)
    if failures := [
        f"{sku_of[photo.pk]}: {photo.mask_failure} Give a mask file in the products' CSV."
        for photo in wanted
        if photo.mask_failure
    ]:
        raise photos.PhotosRefusedError(failures)
    for photo in wanted:
        if photo.needs_a_look:
            print(
                f"{sku_of[photo.pk]}: the mask was made automatically and is uncertain "
                f"({photo.mask_confidence:.0%}); look at its lock mask, or give a mask file.",
                file=sys.stderr,
            )
    return {sku_of[photo.pk]: photo for photo in wanted}


def _watch(campaign: Campaign, keeper: Supervisor) -> None:
    """Show the campaign's progress until nothing of it waits."""
    now = launch.progress(campaign_id=campaign.pk)
    done = now.succeeded + now.failed
    patience = _Patience(keeper)
    bar = tqdm(total=now.total, initial=done, desc=campaign.name, unit="image", dynamic_ncols=True, smoothing=0.1)
    with bar:
        while now.waiting:
            keeper.check()
            time.sleep(POLL_S)
            now = launch.progress(campaign_id=campaign.pk)
            finished = now.succeeded + now.failed
            bar.update(finished - done)
            done = finished
            if now.failed:
                bar.set_postfix_str(f"{now.failed} failed")
            newest = Batch.objects.order_by("-pk").values_list("pk", "phase", "step").first()
            patience.check((finished, newest))


class _Patience:
    """Gives up on workers that die again and again, or live and do nothing."""

    def __init__(self, keeper: Supervisor) -> None:
        self.keeper = keeper
        self.state: object = None
        self.deaths = keeper.deaths
        self.since = time.monotonic()

    def check(self, state: object) -> None:
        """To be called with whatever changes while work advances.

        :raises WorkersFailedError: it did not change for too long, or the workers died too often meanwhile.
        """
        if state != self.state:
            self.state, self.deaths, self.since = state, self.keeper.deaths, time.monotonic()
        died = self.keeper.deaths - self.deaths
        if died <= MAX_DEATHS_WITHOUT_PROGRESS and time.monotonic() - self.since <= STALL_S:
            return
        what = f"ended {died} times" if died else f"have done nothing for {STALL_S // 60} minutes"
        raise WorkersFailedError(
            f"The workers {what}. Their words are in {settings.STUDIO_DATA / 'logs'}; run the same command again once "
            "the cause is mended: nothing is lost."
        )


def _duration_text(duration: timedelta) -> str:
    minutes, seconds = divmod(max(1, round(duration.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
