"""``manage.py remake_image``: make an image again from its recipe and compare it with the stored one."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from gallery.models import Asset
from inference import tasks
from inference.catalog.sources import CheckpointMissingError
from inference.engine.interface import EngineError
from inference.remake import NotRemadeError, remake


class Command(BaseCommand):
    help = "Make an image again from its recipe and compare it, byte by byte, with the stored one. Nothing is changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("image", type=int, help="the number in the image's address")
        parser.add_argument("--out", type=Path, help="keep what came out in this PNG file")

    def handle(self, *args: object, image: int, out: Path | None, **options: object) -> None:
        try:
            made = remake(asset_id=image, engine=tasks.make_engine())
        except Asset.DoesNotExist as missing:
            raise CommandError(f"There is no image {image}.") from missing
        except (NotRemadeError, CheckpointMissingError, EngineError, FileNotFoundError) as error:
            raise CommandError(str(error)) from error
        if out is not None:
            out.write_bytes(made.data)
        for difference in made.differs:
            self.stdout.write(f"not as it was then: {difference}")
        if not made.is_identical:
            raise CommandError(f"Image {image} came out with other bytes.")
        self.stdout.write(f"Image {image} came out the same, to the byte.")
