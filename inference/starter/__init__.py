"""The starter checkpoint: its data renderer, trainer, evaluation and weights.

Knows nothing of Django, the queue or the studio; `checkpoint/` is a plain diffusers folder.
"""
