"""Small pictures of latents on their way, so that people see something while it is painted.
Knows nothing about steps, files or who is looking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from inference.engine.interface import Pixels

# What the projection is fitted to: latent cells a side, and how many of them one patch of color covers.
PROBE_CELLS = 24
PATCH_CELLS = 4


class Preview:
    """One VAE's linear approximation: a latent cell to one pixel of RGB.

    Latents of Stable Diffusion are nearly a linear code of color and brightness. The matrix is not written down for
    each VAE but fitted by least squares, once, to what the loaded one makes of smooth random patches: so it also
    suits fine-tuned VAEs, and costs one decoding of 192 × 192 pixels a load.
    """

    def __init__(self, vae: Any) -> None:
        self._matrix = _fit(vae)

    def pictures(self, latents: torch.Tensor, *, first: int | None = None) -> tuple[Pixels, ...]:
        """One uint8 (h, w, 3) RGB for each of the first latents (n, C, h, w), in the denoiser's scale.

        None if any of them is not finite.

        Early latents are mostly noise whose size depends on the scheduler: each image is brought to deviation 1.
        """
        cells = latents[:first].float().permute(0, 2, 3, 1)
        cells = cells / cells.std(dim=(1, 2, 3), keepdim=True).clamp(min=1.0)
        levels = (_with_one(cells) @ self._matrix / 2 + 0.5).clamp(0, 1) * 255
        # One copy from the device answers both questions.
        on_cpu = levels.cpu()
        if not bool(torch.isfinite(on_cpu).all()):
            return ()
        return tuple(on_cpu.round().to(torch.uint8).numpy())


def _fit(vae: Any) -> torch.Tensor:
    """Matrix (C + 1, 3): the latent channels and a one, to RGB in -1..1."""
    noise = torch.Generator("cpu").manual_seed(0)
    patches = torch.randn(
        1, vae.config.latent_channels, PROBE_CELLS // PATCH_CELLS, PROBE_CELLS // PATCH_CELLS, generator=noise
    )
    probe = torch.nn.functional.interpolate(patches, size=(PROBE_CELLS, PROBE_CELLS), mode="bilinear")
    latents = (probe / probe.std()).to(vae.device, vae.dtype)
    code = latents / vae.config.scaling_factor + (getattr(vae.config, "shift_factor", None) or 0.0)
    decoded = vae.decode(code, return_dict=False)[0].float()
    colors = torch.nn.functional.adaptive_avg_pool2d(decoded.nan_to_num(), PROBE_CELLS)[0].flatten(1).T.cpu()
    cells = _with_one(latents.float()[0].flatten(1).T.cpu())
    matrix: torch.Tensor = torch.linalg.lstsq(cells, colors).solution.to(vae.device)
    return matrix


def _with_one(cells: torch.Tensor) -> torch.Tensor:
    """A constant 1 beside the last dimension's channels."""
    return torch.cat((cells, torch.ones_like(cells[..., :1])), dim=-1)
