"""`recognise`: which layout the answers of an ONNX file have, by shapes and by what its metadata says."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from sodslice.errors import ModelError
from sodslice.inference.foreign.kinds import DETR, ROWS, SIZED, V5, V8, Layout
from sodslice.inference.foreign.metadata import DETECTION, NAMES_SUFFIX, ULTRALYTICS, YOLOV5, Metadata
from sodslice.inference.graphs.ports import Port, Ports

STRIDES = (4, 8, 16, 32, 64, 128)
"""Of the maps that a YOLO looks for objects in."""

FEWEST_MAPS = 2

ANCHORS = 3
"""Boxes that YOLOv5 gives for a cell of a map."""

ROW = 6
"""Numbers of a box that is final: x0, y0, x1, y1, score, class."""

MOST = 1000
"""Final boxes that a model gives at the most."""

YOLOV7_ROW = 7
"""Numbers of a box of YOLOv7 with NMS inside, whose rows are those of all images."""

LONGEST_SIDE, LARGEST_AREA = 1 << 16, 64 << 20
"""Of images in pixels; no model that anybody trained takes more."""

MASKS = 32
"""Numbers that a YOLO gives for the mask of a box."""


OTHER_TASKS = {
    "classify": "says what a whole image shows",
    "segment": "gives masks",
    "semantic": "says what each pixel shows",
    "pose": "gives key points",
    "obb": "gives turned boxes",
}


@dataclass(frozen=True)
class Recognised:
    """What was recognised in a file.

    Args:
        layout: of its answers.
        image: the input that takes tiles.
        size: height and width that it takes; None for any.
        batch: images that it takes at once, no more and no less; None for any number.
        sizes: the input that is told how large tiles are; None without.
        outputs: places of the outputs that are read, in the order of the layout.
        most: boxes at which it stops; None where it does not, or no shape says it.
    """

    layout: Layout
    image: Port
    size: tuple[int, int] | None
    batch: int | None
    sizes: Port | None = None
    outputs: tuple[int, ...] = (0,)
    most: int | None = None


def recognise(ports: Ports, metadata: Metadata, path: Path) -> Recognised:
    """The layout of a file.

    Args:
        ports: what it takes and gives.
        metadata: what it says of itself.
        path: of it, for messages.

    Raises:
        ModelError: it is no detector, names no classes, or has a layout that is not known or not clear.
    """
    return _File(ports, metadata, path).recognised()


@dataclass(frozen=True)
class _File:
    """A file that is looked at."""

    ports: Ports
    metadata: Metadata
    path: Path

    def recognised(self) -> Recognised:
        self._refuse_other_tasks()
        image, sizes = self._inputs()
        if not self.metadata.names:
            beside = self.path.with_suffix(NAMES_SUFFIX).name
            raise self.error(
                "has no `names` in its metadata, so its classes have no names and its answers could mean "
                f"several things; write the names, one a line, into {beside} beside it"
            )
        size = self._size(image)
        if sizes is not None:
            outputs, most = self._sized_outputs()
            return Recognised(SIZED, image, self._needed(size), image.dims[0], sizes, outputs, most)
        layout, place = self._layout(size)
        size = self._needed(size) if layout is DETR else size
        most = self.ports.outputs[place].dims[1] if layout in (ROWS, DETR) else None
        return Recognised(layout, image, size, image.dims[0], None, (place,), most)

    def error(self, what: str) -> ModelError:
        """A refusal, with the shapes that were seen."""
        return ModelError(f"{self.path} {what} ({self.ports})")

    def _refuse_other_tasks(self) -> None:
        """Refuse what is no detector, by the word for its task or by shapes that detectors never have.

        Raises:
            ModelError: it is none.
        """
        task = self.metadata.task or self._task_by_shapes()
        if task in ("", DETECTION):
            return
        does = OTHER_TASKS.get(task, "is for something else")
        raise self.error(
            f"{does} (task {task}), and only upright boxes are read here; export a model that detects "
            "(task detect)"
        )

    def _task_by_shapes(self) -> str:
        """What a model does that gives maps, or one row of scores an image; "" where shapes do not say it."""
        ranks = [len(port.dims) for port in self.ports.outputs]
        first = self.ports.outputs[0]
        if ranks == [2] and first.is_float and first.dims[1] not in (None, YOLOV7_ROW):
            return "classify"
        if 4 in ranks:
            return "segment" if 3 in ranks else "semantic"
        return ""

    def _inputs(self) -> tuple[Port, Port | None]:
        """The input for tiles, and that for their sizes.

        Raises:
            ModelError: there are others, or one that cannot be fed.
        """
        images = [port for port in self.ports.inputs if len(port.dims) == 4]
        others = [port for port in self.ports.inputs if len(port.dims) != 4]
        sized = [port for port in others if len(port.dims) == 2 and port.dims[1] in (2, None)]
        if len(images) != 1 or len(others) > 1 or others != sized:
            raise self.error(
                "does not take one image, or one and its size, as YOLOs and RT-DETRs do; "
                "of a PaddleDetection export give the folder with its yml"
            )
        image = images[0]
        if image.dims[1] not in (3, None) or image.dtype not in ("float32", "float16"):
            raise self.error("does not take RGB as (N, 3, height, width) floats; export it so")
        return image, sized[0] if sized else None

    def _size(self, image: Port) -> tuple[int, int] | None:
        height, width = image.dims[2:]
        if (height is None) != (width is None):
            raise self.error("takes images of one fixed side only; export it with both sides fixed or free")
        if height is None or width is None:
            return None
        return self._bounded(height, width)

    def _bounded(self, height: int, width: int) -> tuple[int, int]:
        """A size, if it is one that a model can have.

        Raises:
            ModelError: it is larger.
        """
        if max(height, width) > LONGEST_SIDE or height * width > LARGEST_AREA:
            raise self.error(
                f"takes images of {height} x {width} pixels, more than any model; export it again"
            )
        return height, width

    def _needed(self, size: tuple[int, int] | None) -> tuple[int, int]:
        """The size that an RT-DETR works at."""
        size = size or self.metadata.sides
        if size is None:
            raise self.error("does not say the size that it works at; export it with a fixed size")
        return self._bounded(*size)

    def _sized_outputs(self) -> tuple[tuple[int, ...], int | None]:
        """Places of boxes, scores and, where there are such, labels; and how many boxes there are.

        Raises:
            ModelError: there are others.
        """
        ports = list(enumerate(self.ports.outputs))
        boxes = [i for i, p in ports if p.is_float and len(p.dims) == 3 and p.dims[2] == 4]
        scores = [i for i, p in ports if p.is_float and i not in boxes and len(p.dims) in (2, 3)]
        labels = [i for i, p in ports if p.dtype.startswith("int") and len(p.dims) == 2]
        found = (*boxes, *scores, *labels)
        if len(boxes) == len(scores) == 1 and len(found) == len(ports):
            rank = len(self.ports.outputs[scores[0]].dims)
            classes = self.ports.outputs[scores[0]].dims[2] if rank == 3 else None
            if (len(labels), rank) in ((1, 2), (0, 3)) and classes in (len(self.metadata.names), None):
                return found, self.ports.outputs[boxes[0]].dims[1]
        raise self._unknown()

    def _layout(self, size: tuple[int, int] | None) -> tuple[Layout, int]:
        """The one layout that shapes and metadata allow, and the place of the output.

        Raises:
            ModelError: there is none, or there are several.
        """
        planes = [i for i, port in enumerate(self.ports.outputs) if port.is_float and len(port.dims) == 3]
        others = [port for i, port in enumerate(self.ports.outputs) if i not in planes]
        if len(planes) != 1 or any(len(port.dims) != 5 for port in others):
            raise self._unknown()
        _, rows, columns = self.ports.outputs[planes[0]].dims
        layouts = self._possible(rows, columns, size)
        if not layouts:
            raise self._unknown(rows, columns)
        if len(layouts) > 1:
            words = " or ".join(layout.words for layout in layouts)
            raise self.error(
                f"could be {words}; say in its metadata whether its boxes are final: `end2end` True or False"
            )
        if layouts == [V5] and self._is_undecoded(rows, size):
            raise self.error(
                "has one box a cell with objectness, as YOLOX has, whose boxes are in cells and not in "
                "pixels; export it with its boxes decoded, in the layout of YOLOv8"
            )
        return layouts[0], planes[0]

    def _possible(self, rows: int | None, columns: int | None, size: tuple[int, int] | None) -> list[Layout]:
        """The layouts that go with the lengths of two axes, with the size, and with what metadata says."""
        classes, said = len(self.metadata.names), self.metadata
        known = rows is not None and size is not None
        grid = known and any(_is_grid(rows or 0, size or (0, 0), each) for each in (1, ANCHORS))
        final = bool(said.finished or said.detr) or (not grid and (rows is None or rows <= MOST))
        found = []
        if columns in (5 + classes, None) and said.maker != ULTRALYTICS and (grid or not known):
            found.append(V5)
        if rows in (4 + classes, None):
            found.append(V8)
        if final and (columns == ROW or (columns is None and said.finished)):
            found.append(ROWS)
        if final and said.detr is not False and (columns == 4 + classes or (columns is None and said.detr)):
            found.append(DETR)
        if said.finished is not None:
            found = [layout for layout in found if (layout is ROWS) == said.finished]
        if said.detr and DETR in found:
            return [DETR]
        return [V5] if said.maker == YOLOV5 and V5 in found else found

    def _is_undecoded(self, rows: int | None, size: tuple[int, int] | None) -> bool:
        if rows is None or size is None or self.metadata.maker == YOLOV5:
            return False
        return _is_grid(rows, size, 1) and not _is_grid(rows, size, ANCHORS)

    def _unknown(self, rows: int | None = None, columns: int | None = None) -> ModelError:
        """What to say of a layout that is not known."""
        classes = len(self.metadata.names)
        if columns == 4 + classes:
            return self.error(f"looks like YOLOv8 transposed; export it as (N, {4 + classes}, boxes)")
        doubt = self._other_kind(rows, columns)
        guess = f", but perhaps those of {doubt}" if doubt else ""
        return self.error(
            f"gives answers that are not those of a YOLO or RT-DETR with the {classes} classes that it names"
            f"{guess}; export a detection model as Ultralytics, YOLOv5 or RT-DETR do"
        )

    def _other_kind(self, rows: int | None, columns: int | None) -> str:
        """What has so many numbers more for each box than a detector has; "" for nothing known."""
        if rows is None or columns is None:
            return ""
        classes = len(self.metadata.names)
        more = rows - (4 + classes) if rows < columns else columns - (ROW if rows <= MOST else 5 + classes)
        if more == 1:
            return "a model of turned boxes (OBB)"
        if more == MASKS:
            return "a segmenter"
        return "a pose model" if more > 1 and (more % 3 == 0 or more % 2 == 0) else ""


def _is_grid(count: int, size: tuple[int, int], each: int) -> bool:
    """Whether it is a number of boxes that neighbouring maps of an input of a size have, so many a cell."""
    cells = [-(-size[0] // stride) * -(-size[1] // stride) for stride in STRIDES]
    ends = combinations(range(len(cells) + 1), 2)
    return any(count == each * sum(cells[first:last]) for first, last in ends if last - first >= FEWEST_MAPS)
