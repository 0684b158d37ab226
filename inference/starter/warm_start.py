"""Starts the autoencoder as a plain picture codec: 8 x 8 averages in, smooth enlargement out.

Training then only has to add what averaging loses; on a CPU that saves the first hours. Knows no data.
"""

from typing import Any

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn

from inference.starter.models import Vae

COLORS = 3
CONSTANT = 3.0
QUIET_LOG_VARIANCE = -7.0


@torch.no_grad()
def warm_start(vae: Vae) -> Vae:
    """Set the weights so that the first three latents are the local mean color, and return the network.

    Channels 0-2 carry the color through every layer, 3-5 its negative before the last nonlinearity, since
    silu(x) - silu(-x) = x; a few constant channels there keep the group norm from rescaling the picture. The first two
    and the last two of the network's widths must differ.
    """
    for half in (vae.encoder, vae.decoder):
        for module in half.modules():
            if isinstance(module, ResnetBlock2D) and module.conv_shortcut is not None:
                _carry(module.conv_shortcut, torch.ones(1, 1))
            elif isinstance(module, Downsample2D):
                _carry(module.conv, nn.functional.pad(torch.full((2, 2), 0.25), (0, 1, 0, 1)))
            elif isinstance(module, Upsample2D):
                line = torch.tensor([0.25, 0.5, 0.25])
                _carry(module.conv, line[:, None] * line[None])
    _carry(vae.encoder.conv_in, _middle(3))
    _carry(vae.decoder.conv_in, _middle(3))
    _split(vae.encoder.down_blocks[-1].resnets[0])
    _split(vae.decoder.up_blocks[-1].resnets[0])
    _gather(vae.encoder.conv_out, vae.encoder.conv_norm_out)
    _gather(vae.decoder.conv_out, vae.decoder.conv_norm_out)
    vae.encoder.conv_out.bias[4:] = QUIET_LOG_VARIANCE
    vae.encoder.conv_out.weight[4:] *= 0.1
    for convolution in (vae.quant_conv, vae.post_quant_conv):
        nn.init.dirac_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    return vae


def _middle(side: int) -> torch.Tensor:
    kernel = torch.zeros(side, side)
    kernel[side // 2, side // 2] = 1
    return kernel


def _carry(convolution: Any, kernel: torch.Tensor) -> None:
    """Let the color channels through by this kernel, untouched by the others."""
    convolution.weight[:COLORS] = 0
    convolution.bias[:COLORS] = 0
    for channel in range(COLORS):
        convolution.weight[channel, channel] = kernel


def _split(block: Any) -> None:
    """Write the color's negative into channels 3-5 and constants into a quarter, half of them negative."""
    convolution = block.conv_shortcut
    width = convolution.out_channels
    convolution.weight[COLORS : 2 * COLORS] = -convolution.weight[:COLORS]
    convolution.bias[COLORS : 2 * COLORS] = 0
    constants = slice(width - max(4, width // 4), width)
    convolution.weight[constants] = 0
    convolution.bias[constants] = CONSTANT
    convolution.bias[width - max(4, width // 4) // 2 :] = -CONSTANT


def _gather(convolution: Any, norm: nn.GroupNorm) -> None:
    """Read the color back as the difference of the two channels, undoing the norm's scale as far as it is known."""
    width = norm.num_channels
    scale = (max(4, width // 4) / width) ** 0.5 * CONSTANT
    convolution.weight[:COLORS] = 0
    convolution.bias[:COLORS] = 0
    for channel in range(COLORS):
        convolution.weight[channel, channel] = scale * _middle(3)
        convolution.weight[channel, channel + COLORS] = -scale * _middle(3)
