"""Whether an image's bytes follow its recipe alone, in every family.

    python bench/determinism.py [--images 1000] [--others 100] [--kills 10] [--seed 0]

Images are painted in full batches and in order; then in batches of random size, neighbors and order, in processes of
their own: batches are stopped between two steps and asked for again, processes killed in a batch, images painted twice.
The last line has the figures; exit code 0 only if every image has one SHA-256.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="on the tiny Stable Diffusion checkpoint")
    parser.add_argument("--others", type=int, default=100, help="on those of each other family")
    parser.add_argument("--kills", type=int, default=10, help="processes killed for each family")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from inference.engine.bench import determinism

    found = {}
    for family in determinism.BUILD:
        images = options.images if family == "sd" else options.others
        with tempfile.TemporaryDirectory(prefix="bench") as scratch:
            folder = Path(scratch, family)
            found[family] = determinism.measure(family, folder, images=images, kills=options.kills, seed=options.seed)
    print(" · ".join(f"{family}: {determinism.told(outcome)}" for family, outcome in found.items()))
    return 0 if all(outcome.different == 0 and outcome.compared for outcome in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
