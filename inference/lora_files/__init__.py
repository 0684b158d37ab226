"""LoRAs as files that somebody gives us: what a safetensors file holds, and which checkpoints it fits.

Knows bytes, names and shapes; nothing about torch, Django, who uploads or where files are kept.
"""
