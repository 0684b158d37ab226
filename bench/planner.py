"""A plan of 2,000 images over 2 checkpoints, 3 sizes and 6 LoRAs, against a sorted loop that takes image by image.

    python bench/planner.py [--images 2000] [--every 1]

The engine paints the plan in planned batches; plain diffusers paints it sorted, one image a call, its checkpoint and
LoRA kept while they last. The checkpoints are tiny: on a CPU the ratio shows what is done less often, not what a GPU
gains by fuller batches. The last line has the figures; exit code 0 only if every counter of the engine is the least
possible and the loop takes 3.5 times as long.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--every", type=int, default=1, help="paint only so many of the loop's images and multiply")
    options = parser.parse_args()
    from inference.engine.bench import planner

    with tempfile.TemporaryDirectory(prefix="bench") as scratch:
        goals = planner.goals(Path(scratch), images=options.images, every=options.every)
    print(" · ".join(str(goal) for goal in goals))
    return 0 if all(goal.is_reached for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
