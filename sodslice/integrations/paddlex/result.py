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

from sodslice.errors import OutputError, SceneError
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

NOT_WRITTEN = ("ICO",)
"""Formats that Pillow would write smaller than the image, and say nothing."""

LONGEST_SIDES = {"JPEG": 65500, "WEBP": 16383, "GIF": 65535}
"""Of pictures, by format."""

JPEG_QUALITY = 92


JSON = "application/json"


def check_folder(path: Path) -> None:
    """Refuse a folder for results that is a file, or is called like one and not there.

    Raises:
        OutputError: it is.
    """
    kind = _kind(path)
    like_a_file = kind == JSON or kind.startswith("image/")
    if path.is_file() or (like_a_file and not path.is_dir()):
        raise OutputError(f"a folder is wanted for the results, got {path}; give another `save_path`")


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
        self._held: SceneBase | None = scene

    @property
    def _scene(self) -> SceneBase:
        """The image.

        Raises:
            SceneError: it was given back.
        """
        if self._held is None:
            raise SceneError(f"the image of {self.name} was given back by close(); ask for pictures before")
        return self._held

    def close(self) -> None:
        """Give back the image, and the temporary file of one from the network; boxes and JSON stay."""
        if self._held is not None:
            self._held.close()
        self._held = None

    def __missing__(self, key: str) -> npt.NDArray[np.uint8]:
        if key != "input_img":
            raise KeyError(key)
        scene = self._scene
        pixels, _ = scene.read(0, 0, scene.width, scene.height)
        scene.close()
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
        scene = self._scene
        try:
            return {KEY: picture_of(scene, self["boxes"])}
        finally:
            scene.close()

    def print(
        self,
        json_format: bool = False,  # noqa: FBT001, FBT002 -- PaddleX takes them by position
        indent: int | None = 4,
        ensure_ascii: bool = False,  # noqa: FBT001, FBT002
        *,
        format_json: bool | None = None,
    ) -> None:
        """Write all of it to stdout: as a Python dict on one line, or as JSON.

        Args:
            json_format: whether JSON is wanted.
            indent: of JSON.
            ensure_ascii: whether JSON spells other letters as codes.
            format_json: what PaddleX's documentation calls `json_format`; goes before it.
        """
        wanted = json_format if format_json is None else format_json
        text = json.dumps(self.json, indent=indent, ensure_ascii=ensure_ascii) if wanted else str(self.json)
        sys.stdout.write(f"{text}\n")

    def save_to_json(
        self,
        save_path: str | Path,
        indent: int | None = 4,
        ensure_ascii: bool = False,  # noqa: FBT001, FBT002 -- PaddleX takes it by position
    ) -> None:
        """Write what stands under `res` to a file of JSON.

        Args:
            save_path: a folder, for NAME_res.json, or a file that ends in .json.
            indent: of JSON.
            ensure_ascii: whether other letters are spelt as codes.

        Raises:
            OutputError: it cannot be written.
        """
        self._write_json(
            self._file(Path(save_path), ".json", given=_kind(save_path) == JSON), indent, ensure_ascii
        )

    def _write_json(self, path: Path, indent: int | None, ensure_ascii: bool) -> None:  # noqa: FBT001
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
        path = Path(save_path)
        if _kind(path).startswith("image/"):
            self._write_picture(path)
        else:
            self._write_picture(self._file(path, self._picture_suffix(), given=False))

    def _write_picture(self, path: Path) -> None:
        kind = _format(path.suffix)
        if kind is None:
            raise OutputError(
                f"pictures are not written as {path.suffix}, got {path}; "
                "end its name in .png, .jpg, .webp or .tif"
            )
        picture = self.img[KEY]
        if max(picture.size) > LONGEST_SIDES.get(kind, max(picture.size)):
            raise OutputError(
                f"cannot write {path}: {kind} has at most {LONGEST_SIDES[kind]} pixels a side, the picture "
                f"has {picture.width} x {picture.height}; end its name in .png or .tif"
            )
        with appearing(path) as temporary:
            try:
                picture.save(temporary, quality=JPEG_QUALITY)
            except ValueError as error:
                raise OutputError(f"cannot write {path}: {error}; end its name in .png") from None

    def _picture_suffix(self) -> str:
        """That of the image, where pictures of their size are written so."""
        suffix = Path(self["input_path"] or "").suffix
        kind = _format(suffix) if _kind(f"image{suffix}").startswith("image/") else None
        longest = max(self._scene.width, self._scene.height)
        if kind is None or longest > LONGEST_SIDES.get(kind, longest):
            return PICTURE_SUFFIX
        return suffix

    def save_all(self, save_path: str | Path) -> None:
        """Write both files into a folder, whatever it is called; see `save_to_json` and `save_to_img`."""
        folder = Path(save_path)
        self._write_json(self._file(folder, ".json", given=False), 4, ensure_ascii=False)
        self._write_picture(self._file(folder, self._picture_suffix(), given=False))

    def _file(self, path: Path, suffix: str, *, given: bool) -> Path:
        return path if given else path / f"{self.name}_{KEY}{suffix}"


def _kind(path: str | Path) -> str:
    """The MIME type that a name stands for; "" for none."""
    return mimetypes.guess_type(str(path))[0] or ""


def _format(suffix: str) -> str | None:
    """The format in which Pillow writes files of a suffix; None where it does not."""
    from PIL import Image

    kind = Image.registered_extensions().get(suffix.lower())
    return kind if kind in Image.SAVE and kind not in NOT_WRITTEN else None
