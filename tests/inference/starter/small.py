"""A preset of the trainer that learns next to nothing in a moment."""

import dataclasses

from inference.starter.models import PRESETS

SMALL = dataclasses.replace(
    PRESETS["cpu"],
    vae_channels=(16, 32, 32, 64),
    unet_channels=(16, 32, 32),
    unet_batch=4,
    text_width=64,
    text_layers=1,
)
