"""The noise scheduler behind each name of the interface, on the checkpoint's own noise schedule.
Knows nothing about pipelines or prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)

from inference.catalog.entry import LCM_STEPS

# Every switch that a checkpoint's own scheduler config could carry over is set, so that a name means one thing.
_DPM = {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": False}
_CLASSES: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "Euler a": (EulerAncestralDiscreteScheduler, {}),
    "Euler": (EulerDiscreteScheduler, {"use_karras_sigmas": False}),
    "DPM++ 2M": (DPMSolverMultistepScheduler, _DPM),
    "DPM++ 2M Karras": (DPMSolverMultistepScheduler, {**_DPM, "use_karras_sigmas": True}),
    "DPM++ 2M SDE Karras": (
        DPMSolverMultistepScheduler,
        {**_DPM, "algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
    ),
    # Latents are not bounded by 1 as pixels are: clipping them, DDIM's default, greys the picture.
    "DDIM": (DDIMScheduler, {"clip_sample": False, "set_alpha_to_one": False}),
    "UniPC": (UniPCMultistepScheduler, {"use_karras_sigmas": False, "solver_type": "bh2"}),
    # For few steps, with a checkpoint or LoRA that was distilled for it.
    "LCM": (LCMScheduler, {"clip_sample": False, "original_inference_steps": LCM_STEPS}),
}


def names() -> tuple[str, ...]:
    """The interface's names of the schedulers."""
    return tuple(_CLASSES)


def scheduler(name: str, checkpoint_config: Mapping[str, Any]) -> Any:
    """A fresh diffusers scheduler of that name, with the betas and prediction type of the checkpoint's own config.

    Raises KeyError for a name that names() does not list.
    """
    cls, switches = _CLASSES[name]
    return cls.from_config(dict(checkpoint_config), **switches)
