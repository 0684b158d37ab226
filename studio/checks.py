"""What the installation must be like, told by ``manage.py check`` before anything runs."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from inference import catalog


@register()
def checkpoints_exist(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every folder named in STUDIO_CHECKPOINTS is a diffusers folder, for a checkpoint that the catalogue has."""
    problems: list[CheckMessage] = []
    for slug, folder in settings.STUDIO_CHECKPOINTS.items():
        if slug not in catalog.load():
            known = ", ".join(catalog.load())
            problems.append(Error(f"STUDIO_CHECKPOINTS names {slug!r}; the catalogue has {known}.", id="studio.E001"))
        elif not (folder / "model_index.json").is_file():
            message = f"STUDIO_CHECKPOINTS: {folder} has no model_index.json, so it is no diffusers folder."
            problems.append(Error(message, id="studio.E002"))
    return problems
