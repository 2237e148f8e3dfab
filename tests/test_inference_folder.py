from __future__ import annotations

import pytest
import yaml

from sodslice import SodsliceError, load_model
from sodslice.inference import read_folder
from tests.tiny_models import PERMUTE, bright_tile, export_bright_box


def test_a_folder_says_what_it_lacks(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    settings = yaml.safe_load((folder / "inference.yml").read_text())
    for key, words in (("label_list", "has no `label_list`"), ("Preprocess", "has no list `Preprocess`")):
        (folder / "inference.yml").write_text(yaml.safe_dump({k: v for k, v in settings.items() if k != key}))
        with pytest.raises(SodsliceError, match=words):
            read_folder(folder)
    (folder / "inference.yml").write_text("a: [")
    with pytest.raises(SodsliceError, match="is not YAML"):
        read_folder(folder)
    (folder / "inference.yml").write_text(yaml.safe_dump(settings))
    (folder / "inference.pdiparams").rename(folder / "elsewhere")
    with pytest.raises(SodsliceError, match="holds no inference.pdiparams"):
        read_folder(folder)
    (folder / "inference.json").unlink()
    with pytest.raises(SodsliceError, match=r"holds no inference.json and no inference.pdmodel"):
        read_folder(folder)
    (folder / "inference.yml").unlink()
    with pytest.raises(SodsliceError, match="holds no inference.yml or infer_cfg.yml"):
        read_folder(folder)


def test_a_plain_paddledetection_export_is_a_model_folder_too(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    for old, new in (
        ("inference.json", "model.json"),
        ("inference.pdiparams", "model.pdiparams"),
        ("inference.yml", "infer_cfg.yml"),
    ):
        (folder / old).rename(folder / new)
    (found,) = load_model(folder, device="cpu").detect(bright_tile())
    assert len(found) == 1
