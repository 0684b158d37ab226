"""An image made again from its recipe, and compared with what is stored: is it what the recipe says?

Reads what the runner wrote; changes nothing, charges nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from django.conf import settings

from gallery.models import Asset, AssetOrigin
from inference import addons, catalog
from inference.catalog.sources import CheckpointSource, fingerprint, resolve
from inference.engine import passes
from inference.engine.batching import BatchKey, batch_key
from inference.engine.interface import Addons, RenderEngine
from inference.finishing import engine_inputs, finish, joined, prepare
from inference.requests import ImageRequest


class NotRemadeError(Exception):
    """The image cannot be made again here; the sentence says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Remade:
    """What came out. `differs` names what is not as it was then, each as "name: then, now"; it may change the bytes."""

    data: bytes
    is_identical: bool
    differs: tuple[str, ...]


def remake(*, asset_id: int, engine: RenderEngine) -> Remade:
    """Paint an image again, in a batch of its own padded to the size it was painted in.

    :raises gallery.models.Asset.DoesNotExist: there is no such image.
    :raises NotRemadeError: it was not painted here, or its checkpoint is another one by now, or a file of it is gone.
    :raises inference.catalog.sources.CheckpointMissingError: its checkpoint is not installed.
    """
    asset = Asset.objects.get(pk=asset_id)
    if asset.origin != AssetOrigin.GENERATED:
        raise NotRemadeError(f"Image {asset_id} was not painted here, so that it has no recipe.")
    recipe = asset.recipe
    request = ImageRequest.from_json(recipe["request"])
    source = _source(request.checkpoint, recipe)
    key = replace(batch_key(request, source.sizes), width=recipe["painted_width"], height=recipe["painted_height"])
    prepared = prepare(request, key)
    painted = passes.run(
        engine,
        key,
        engine_inputs(prepared, seed=request.seed),
        source=source,
        addons=_addons(key),
        batch_size=recipe["batch_size"],
        on_progress=lambda progress: None,
        should_stop=lambda: False,
    )
    in_order = [picture for _, picture in sorted(painted, key=itemgetter(0))]
    data = finish(prepared, joined(prepared, in_order)).data
    return Remade(
        data=data,
        is_identical=hashlib.sha256(data).hexdigest() == asset.sha256,
        differs=_differences(recipe, engine),
    )


def _addons(key: BatchKey) -> Addons:
    try:
        return addons.of(key)
    except addons.MissingFileError as error:
        raise NotRemadeError(str(error)) from error


def _source(checkpoint: str, recipe: Mapping[str, Any]) -> CheckpointSource:
    source = resolve(catalog.entry(checkpoint), overrides=settings.STUDIO_CHECKPOINTS, data_dir=settings.STUDIO_DATA)
    if recipe["checkpoint_sha256"] and source.folder.is_dir() and fingerprint(source) != recipe["checkpoint_sha256"]:
        raise NotRemadeError(
            f'The checkpoint "{checkpoint}" is another one than then: {fingerprint(source)[:12]} instead of '
            f"{recipe['checkpoint_sha256'][:12]}. Install that one and name its folder in STUDIO_CHECKPOINTS."
        )
    return source


def _differences(recipe: Mapping[str, Any], engine: RenderEngine) -> tuple[str, ...]:
    then = {**recipe["versions"], "device": recipe["device_class"]}
    now = {**engine.versions(), "device": engine.device_class}
    return tuple(
        f"{name}: {then.get(name, 'none')}, {now.get(name, 'none')}"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    )
