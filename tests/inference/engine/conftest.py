"""One engine and the tiny checkpoints for all engine tests: real classes, random weights, float32 on the CPU."""

import pytest

# First, because it sets what torch reads when it is loaded.
from inference.engine.engine import Engine

# isort: split
from inference.catalog import sources
from inference.engine import tiny

NATIVE_PX = 64


@pytest.fixture(scope="session")
def engine():
    return Engine(device="cpu")


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="session")
def sd(folders):
    """Stable Diffusion, text to image."""
    tiny.build_sd(folders / "sd", native_size_px=NATIVE_PX)
    return sources.read_source(folders / "sd", slug="sd")


@pytest.fixture(scope="session")
def sd_inpainting(folders):
    """Stable Diffusion whose U-Net has 9 input channels."""
    tiny.build_sd(folders / "sd-inpainting", in_channels=9, native_size_px=NATIVE_PX)
    return sources.read_source(folders / "sd-inpainting", slug="sd-inpainting")


@pytest.fixture(scope="session")
def sdxl(folders):
    """Stable Diffusion XL."""
    tiny.build_sdxl(folders / "sdxl", native_size_px=NATIVE_PX)
    return sources.read_source(folders / "sdxl", slug="sdxl")


@pytest.fixture(scope="session")
def sdxl_inpainting(folders):
    """Stable Diffusion XL whose U-Net has 9 input channels."""
    tiny.build_sdxl(folders / "sdxl-inpainting", in_channels=9, native_size_px=NATIVE_PX)
    return sources.read_source(folders / "sdxl-inpainting", slug="sdxl-inpainting")


@pytest.fixture(scope="session")
def flux(folders):
    """FLUX.1 dev."""
    tiny.build_flux(folders / "flux", native_size_px=NATIVE_PX)
    return sources.read_source(folders / "flux", slug="flux")


@pytest.fixture(scope="session")
def flux_fill(folders):
    """FLUX.1 Fill."""
    tiny.build_flux(folders / "flux-fill", is_inpainting=True, native_size_px=NATIVE_PX)
    return sources.read_source(folders / "flux-fill", slug="flux-fill")


@pytest.fixture(params=["sd", "sd_inpainting", "sdxl", "sdxl_inpainting", "flux", "flux_fill"])
def checkpoint(request):
    """Each of the kinds of checkpoint in turn."""
    return request.getfixturevalue(request.param)
