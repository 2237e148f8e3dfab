"""Mean of checkpoints of one network, in half precision: how the default model was made of two trainings.

    python configs/mix_weights.py mix.safetensors one.safetensors=0.5 other.safetensors=0.5 --threshold 0.54

Trainings that begin from the same weights stay near enough to each other for a mean of their weights to be a
network that is as good as either on what both know, and between them where they differ.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sodslice.inference.engines.paddle import import_paddle


def main() -> None:
    """Parse, mix, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("parts", nargs="+", metavar="CHECKPOINT=SHARE")
    parser.add_argument("--threshold", type=float, help="score from which users are shown a box")
    given = parser.parse_args()
    shares = {Path(path): float(share) for path, _, share in (p.rpartition("=") for p in given.parts)}
    if abs(sum(shares.values()) - 1) > 1e-9:
        parser.error(f"shares must add up to 1, got {sum(shares.values()):g}")
    import_paddle()
    from sodslice.ppyoloe.checkpoints import load_checkpoint, read_metadata

    states = {path: load_checkpoint(path) for path in shares}
    first = next(iter(states.values()))
    mixed = {
        name: sum(share * states[path][name].astype(np.float64) for path, share in shares.items())
        for name in first
    }
    metadata = read_metadata(next(iter(shares)))
    facts = {key: metadata[key] for key in ("architecture", "class_names", "reg_range")}
    facts["training"] = {"mixed": ", ".join(f"{share:g} {path.stem}" for path, share in shares.items())}
    if given.threshold is not None:
        facts["draw_threshold"] = given.threshold
    halves = {name: np.asarray(value).astype(np.float16) for name, value in mixed.items()}
    save_file(halves, given.output, metadata={"sodslice": json.dumps(facts, sort_keys=True)})


if __name__ == "__main__":
    main()
