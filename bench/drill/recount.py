"""The recount after a drill, a process of its own: from what clients were told, from entries and from files.

    python -m drill.recount FOLDER      (started by bench/chaos.py, which sets the environment)

Prints one JSON object; everything under "broken" must be 0.
"""

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import django
from django.conf import settings


def main(folder: Path) -> None:
    """Count, and print."""
    django.setup()
    from drill import folders

    where = folders.Folders(folder)
    asked = list(folders.everything_asked(where))
    renders = _renders()
    entries = _entries()
    missing, drafts = _files()
    audit = subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "audit_ledger"], capture_output=True, text=True
    )
    broken = _broken(asked, renders, entries) | {"files missing": missing, "audit": abs(audit.returncode)}
    ends = Counter(one["status"] for one in renders.values())
    codes = Counter(f"{one['status']}: {one['failure_code']}" for one in renders.values() if one["failure_code"])
    figures = {
        "broken": broken,
        "audit": audit.stdout + audit.stderr if audit.returncode else "",
        "asked": sum(len(one["renders"]) for one in asked),
        "ends": dict(sorted(ends.items())),
        "failures": dict(sorted(codes.items())),
        "attempts": sum(one["attempts"] for one in renders.values()),
        "more_than_one_attempt": sum(1 for one in renders.values() if one["attempts"] > 1),
        "given_back": sum(one["given_back"] for one in renders.values()),
        "refunded": sum(1 for one in entries if one["kind"] == "refund"),
        "expired_buckets": sum(1 for one in entries if one["kind"] == "expire"),
        "drafts_left": drafts,
    }
    print(json.dumps(figures))


def _renders() -> dict[int, dict[str, Any]]:
    from inference.models import Render

    names = ("pk", "status", "failure_code", "attempts", "given_back", "asset_id", "hold_line_id")
    return {row["pk"]: row | {"cost": _cost(row.pop("request"))} for row in Render.objects.values(*names, "request")}


def _cost(request: dict[str, Any]) -> int:
    """What the price list says that an image costs, in millicredits: of what was asked, not of what was held."""
    from inference import catalog, pricing
    from inference.requests import ImageRequest

    asked = ImageRequest.from_json(request)
    return pricing.likely(asked, catalog.entry(asked.checkpoint))


def _entries() -> list[dict[str, Any]]:
    from billing.models import Entry

    return [dict(row) for row in Entry.objects.values("kind", "line_id", "spent", "held")]


def _broken(
    asked: list[dict[str, Any]], renders: dict[int, dict[str, Any]], entries: list[dict[str, Any]]
) -> dict[str, int]:
    told = [pk for one in asked for pk in one["renders"]]
    captures = Counter(one["line_id"] for one in entries if one["kind"] == "capture")
    releases = Counter(one["line_id"] for one in entries if one["kind"] == "release")
    refunds = Counter(one["line_id"] for one in entries if one["kind"] == "refund")
    rejected = {pk for one in asked if one["fate"] == "reject" for pk in one["renders"]}
    made = {pk for pk, one in renders.items() if one["status"] == "succeeded"}
    paid = sum(renders[pk]["cost"] for pk in made) - sum(renders[pk]["cost"] for pk in made & rejected)
    lines = {one["hold_line_id"]: pk for pk, one in renders.items()}
    return {
        "lost": sum(1 for pk in told if renders.get(pk, {}).get("status") in (None, "queued", "running")),
        "asked twice": len(told) - len(set(told)),
        "made up": len(renders.keys() - set(told)),
        "charged twice": sum(1 for number in captures.values() if number > 1),
        "charged without an image": sum(1 for line in captures if lines.get(line) not in made),
        "image not charged": sum(1 for pk in made if captures[renders[pk]["hold_line_id"]] != 1),
        "image without its asset": sum(1 for pk in made if renders[pk]["asset_id"] is None),
        "not one end of a line": sum(1 for line in lines if captures[line] + releases[line] != 1),
        "refunds wrong": sum(1 for line, pk in lines.items() if refunds[line] != (pk in made and pk in rejected)),
        "charge differs": abs(sum(one["spent"] for one in entries) - paid),
        "still held": abs(sum(one["held"] for one in entries)),
    }


def _files() -> tuple[int, int]:
    """Files of assets and renditions that are missing or have another hash; drafts that killed writers left."""
    from django.core.files.storage import default_storage

    from gallery import storage
    from gallery.models import Asset, Rendition

    assert isinstance(default_storage, storage.AtomicFileSystemStorage)
    keys = [*Asset.objects.values_list("storage_key", "sha256")]
    keys += [(key, Path(key).stem) for key in Rendition.objects.values_list("storage_key", flat=True) if key]
    missing = 0
    for key, sha256 in keys:
        try:
            missing += hashlib.sha256(storage.read(key)).hexdigest() != sha256
        except FileNotFoundError:
            missing += 1
    return missing, len(list(default_storage.drafts()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
