"""What it costs to use another LoRA: on a U-Net of SDXL's full size, in both spellings of public files.

    python bench/lora_switch.py [--repeat 9]

The file is read, matched, checked and let act, in turn with reading it and copying its values, and with diffusers'
load_lora_weights. Nothing is compiled, so nothing is compiled anew. The last line has the figures; exit code 0 only if
a switch takes at most twice its file's read and copy, and a tenth of load_lora_weights.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=9, help="rounds of each way")
    options = parser.parse_args()
    # The engine first: it sets what torch reads when it is loaded.
    from inference.engine.engine import Engine

    # isort: split
    from inference.engine.bench import lora_switch

    Engine(device="cpu")
    goals = lora_switch.goals(options.repeat)
    print(" · ".join(str(goal) for goal in goals))
    return 0 if all(goal.is_reached for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
