"""PaddleX's own pipeline on a model and some images, in an interpreter that has it.

    python paddlex_process.py MODEL_FOLDER OUTPUT_FOLDER THRESHOLD IMAGE...

It writes what PaddleX writes: a JSON file an image. oneDNN is off, and nothing is asked of the network.
"""

from __future__ import annotations

import os
import sys

os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"


def main(model: str, output: str, threshold: str, *images: str) -> None:
    from paddlex import create_pipeline

    module = {
        "module_name": "small_object_detection",
        "model_name": "PP-YOLOE_plus_SOD-L",
        "model_dir": model,
        "batch_size": 1,
        "threshold": 0.5,
    }
    config = {"pipeline_name": "small_object_detection", "SubModules": {"SmallObjectDetection": module}}
    pipeline = create_pipeline(config=config, device="cpu", engine_config={"run_mode": "paddle"})
    for result in pipeline.predict(list(images), threshold=float(threshold)):
        result.save_to_json(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
