"""``manage.py run_campaign BRIEF.toml``: a brief in, finished images out. script/campaign is its front door."""

import argparse
import signal
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns import photos
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
        # Whoever ends this from outside means the same as Ctrl-C: end the workers, lose nothing.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._run(brief, out.resolve() if out else None, is_plan=plan)
        except campaign_run.BAD_INPUT_ERRORS as error:
            raise CommandError(str(error), returncode=BAD_INPUT) from error
        except campaign_run.WorkersFailedError as error:
            raise CommandError(str(error), returncode=INCOMPLETE) from error
        except KeyboardInterrupt:
            self.stderr.write("\nStopped. Nothing is lost: run the same command again to go on.")
            sys.exit(INTERRUPTED)

    def _run(self, brief: Path, out: Path | None, *, is_plan: bool) -> None:
        workspace = embedded.prepare()
        with photos.scratch_folder() as scratch:
            seen = campaign_run.preview(brief, workspace=workspace, scratch=Path(scratch))
            folder = out or campaign_run.default_folder(seen)
            campaign_run.check_folder(folder, seen.brief)
            self.stdout.write(campaign_run.describe(seen))
            if is_plan:
                return
            campaign = campaign_run.run(seen, workspace=workspace)
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
