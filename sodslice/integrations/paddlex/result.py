"""`DetResult`: what was found in one image, with PaddleX's ways to print, save and draw it."""

from __future__ import annotations

import copy
import json
import mimetypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sodslice.integrations.paddlex.drawing import picture_of
from sodslice.results import RunResult
from sodslice.results.result import written_rows
from sodslice.scene import SceneBase
from sodslice.system.files import appearing, write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

KEY = "res"
"""Of the one part that PaddleX's results of detection have, and the ending of their files' names."""

PICTURE_SUFFIX = ".png"
"""Of pictures of what has no name, or one that Pillow does not write."""

JPEG_QUALITY = 92


class DetResult(dict[str, Any]):
    """What was found in one image: a dict of `input_path`, `page_index` and `boxes`, as PaddleX's.

    `result["input_img"]` is the image, `(H, W, 3)` uint8 BGR, read when it is asked for. Copies are plain
    dicts.

    Args:
        found: what the run gave.
        scene: that was looked at; it is read again for pictures.
        path: of the image; None where it has none.
        name: of files of this result, without ending.
    """

    def __init__(self, found: RunResult, scene: SceneBase, *, path: str | None, name: str) -> None:
        boxes = [
            {"cls_id": cls_id, "label": label, "score": score, "coordinate": box}
            for cls_id, label, score, box in written_rows(found)
        ]
        super().__init__(input_path=path, page_index=None, boxes=boxes)
        self.found = found
        self.name = name
        self._scene = scene

    def __missing__(self, key: str) -> npt.NDArray[np.uint8]:
        if key != "input_img":
            raise KeyError(key)
        pixels, _ = self._scene.read(0, 0, self._scene.width, self._scene.height)
        self._scene.close()
        return np.ascontiguousarray(pixels[:, :, ::-1])

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    @property
    def json(self) -> dict[str, dict[str, Any]]:
        """All of it under `res`, ready for JSON."""
        return {KEY: copy.deepcopy(dict(self))}

    @property
    def img(self) -> dict[str, Image]:
        """The picture with boxes, labels and scores under `res`, an image of Pillow.

        Raises:
            SceneError: the image cannot be read any more.
        """
        try:
            return {KEY: picture_of(self._scene, self["boxes"])}
        finally:
            self._scene.close()

    def print(self, *, json_format: bool = False, indent: int = 4, ensure_ascii: bool = False) -> None:
        """Write all of it to stdout: as a Python dict on one line, or as JSON.

        Args:
            json_format: whether JSON is wanted.
            indent: of JSON.
            ensure_ascii: whether JSON spells other letters as codes.
        """
        text = (
            json.dumps(self.json, indent=indent, ensure_ascii=ensure_ascii) if json_format else str(self.json)
        )
        sys.stdout.write(f"{text}\n")

    def save_to_json(
        self, save_path: str | Path, indent: int | None = 4, *, ensure_ascii: bool = False
    ) -> None:
        """Write what stands under `res` to a file of JSON.

        Args:
            save_path: a folder, for NAME_res.json, or a file that ends in .json.
            indent: of JSON.
            ensure_ascii: whether other letters are spelt as codes.

        Raises:
            OutputError: it cannot be written.
        """
        path = self._file(Path(save_path), ".json", given=_kind(save_path) == "application/json")
        text = json.dumps(self.json[KEY], indent=indent, ensure_ascii=ensure_ascii)
        write_atomically(path, text.encode("utf-8", "surrogateescape"))

    def save_to_img(self, save_path: str | Path) -> None:
        """Write the picture.

        Args:
            save_path: a folder, for NAME_res with the suffix of the image, or a file with that of a picture.

        Raises:
            OutputError: it cannot be written.
            SceneError: the image cannot be read any more.
        """
        own = Path(self["input_path"] or "").suffix.lower()
        path = self._file(Path(save_path), _written_suffix(own), given=_kind(save_path).startswith("image/"))
        picture = self.img[KEY]
        with appearing(path) as temporary:
            picture.save(temporary, quality=JPEG_QUALITY)

    def save_all(self, save_path: str | Path) -> None:
        """Write both files into a folder; see `save_to_json` and `save_to_img`."""
        self.save_to_json(save_path)
        self.save_to_img(save_path)

    def _file(self, path: Path, suffix: str, *, given: bool) -> Path:
        return path if given else path / f"{self.name}_{KEY}{suffix}"


def _kind(path: str | Path) -> str:
    """The MIME type that a name stands for; "" for none."""
    return mimetypes.guess_type(str(path))[0] or ""


def _written_suffix(suffix: str) -> str:
    """The suffix itself where Pillow writes such pictures."""
    from PIL import Image

    if not suffix or not _kind(f"image{suffix}").startswith("image/"):
        return PICTURE_SUFFIX
    return suffix if Image.registered_extensions().get(suffix) in Image.SAVE else PICTURE_SUFFIX
