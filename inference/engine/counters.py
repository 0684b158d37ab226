"""What an engine has done so far, counted where it is done: loads, switches, encodings, passes.
Knows nothing about what any of it is for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """How often each was done, since the engine was made."""

    checkpoint_loads: int = 0
    lora_switches: int = 0
    """Times that other LoRAs, or others' weights, were let act; leaving them out is none, since nothing is read."""
    text_encodings: int = 0
    picture_encodings: int = 0
    passes: int = 0
    decoded: int = 0
