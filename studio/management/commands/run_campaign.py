"""``manage.py run_campaign BRIEF.toml``: a brief in, finished images out. script/campaign is its front door."""

import argparse
import os
import signal
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio import campaign_run, embedded

BAD_INPUT, INCOMPLETE, INTERRUPTED = 2, 1, 130


class Command(BaseCommand):
    help = "Render a brief's images. Run it again to go on where it stopped: nothing is lost or charged twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("brief", type=Path, metavar="BRIEF.toml")
        parser.add_argument("--out", type=Path, metavar="DIR", help="where images and manifest.csv go")
        parser.add_argument(
            "--plan", action=argparse.BooleanOptionalAction, default=False, help="print cells, estimate, ETA and stop"
        )

    def handle(self, *, brief: Path, out: Path | None, plan: bool, **options: object) -> None:
        if out and out.exists() and not (out.is_dir() and os.access(out, os.W_OK)):
            raise CommandError(f"{out} is not a folder that can be written. Give another --out.", returncode=BAD_INPUT)
        # Whoever ends this from outside means the same as Ctrl-C: end the workers, lose nothing.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        workspace = embedded.prepare()
        with campaign_run.scratch_folder() as scratch:
            try:
                seen = campaign_run.preview(brief, workspace=workspace, scratch=Path(scratch))
            except campaign_run.BAD_INPUT_ERRORS as error:
                raise CommandError(str(error), returncode=BAD_INPUT) from error
            self.stdout.write(campaign_run.describe(seen))
            if plan:
                return
            try:
                campaign = campaign_run.run(seen, workspace=workspace)
            except KeyboardInterrupt:
                self.stderr.write("\nStopped. Nothing is lost: run the same command again to go on.")
                sys.exit(INTERRUPTED)
            except campaign_run.BAD_INPUT_ERRORS as error:
                raise CommandError(str(error), returncode=BAD_INPUT) from error
            except campaign_run.WorkersFailedError as error:
                raise CommandError(str(error), returncode=INCOMPLETE) from error
        folder = (out or campaign_run.default_folder(seen.brief)).resolve()
        try:
            images = campaign_run.export(seen, campaign, folder=folder)
        except OSError as error:
            reason = f"The images are safe in the studio, but {folder} could not be written: {error}. Run this again."
            raise CommandError(reason, returncode=INCOMPLETE) from error
        self.stdout.write(campaign_run.summarize(campaign, images))
        self.stdout.write(f"Images, lock masks, manifest.csv and contact-sheet.png: {folder}")
        if not all(image.render.asset for image in images):
            raise CommandError(
                "Not every image was rendered; the manifest says which. Run the same command again to try those anew.",
                returncode=INCOMPLETE,
            )
