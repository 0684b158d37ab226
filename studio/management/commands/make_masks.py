"""``manage.py make_masks PRODUCTS.csv --out DIR``: the lock masks of photos as files, with how sure each is."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns import mask_files, photos
from campaigns.models import LOW_CONFIDENCE
from campaigns.photos import PhotosRefusedError

BAD_INPUT, INCOMPLETE = 2, 1


class Command(BaseCommand):
    help = "Find the lock masks of a products file: SKU.png for each, and masks.csv with the confidence of each."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("products", type=Path, metavar="PRODUCTS.csv")
        parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="where masks and masks.csv go")

    def handle(self, *, products: Path, out: Path, **options: object) -> None:
        settings.STUDIO_DATA.mkdir(parents=True, exist_ok=True)
        try:
            with photos.scratch_folder() as scratch:
                made = mask_files.make(products, out=out, scratch=Path(scratch))
        except PhotosRefusedError as refusal:
            raise CommandError(str(refusal), returncode=BAD_INPUT) from refusal
        except OSError as error:
            raise CommandError(f"{out} could not be written: {error}. Nothing else is lost.", returncode=1) from error
        for mask in made:
            doubt = "  look at it" if mask.confidence < LOW_CONFIDENCE else ""
            self.stdout.write(f"{mask.sku}  {mask.failure or f'{mask.confidence:.0%} sure'}{doubt}")
        self.stdout.write(f"Masks and {mask_files.TABLE}: {out}")
        if not all(mask.path for mask in made):
            raise CommandError("Not every photo has a mask now: see above.", returncode=INCOMPLETE)
