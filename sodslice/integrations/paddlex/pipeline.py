"""`create_pipeline` and the pipeline that it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from sodslice.errors import OptionError
from sodslice.integrations.paddlex.crew import Crew
from sodslice.integrations.paddlex.inputs import Given, GivenImages
from sodslice.integrations.paddlex.result import DetResult, check_folder
from sodslice.jobs.names import free_name, short_stem
from sodslice.scene import ScaleWish, SceneBase, as_scene, seen_size
from sodslice.settings import Options, pipeline_settings, read_yaml
from sodslice.settings.paddlex import PIPELINE, YAML_SUFFIXES, check_name, is_pipeline, threshold_setting
from sodslice.tables.limits import SMALLEST_TILE


class SmallObjectDetectionPipeline:
    """A model that is ready, and what PaddleX's pipeline does with it.

    Args:
        options: settings of a run; the model is loaded here.

    Raises:
        ModelError: the model is not here, or cannot be run.
        DeviceError: the device is not there.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._crew = Crew(options)
        self._numbers = count(1)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that the model knows, by id."""
        return self._crew.info.class_names

    def predict(  # the words of PaddleX
        self,
        input: Any,
        threshold: float | Mapping[int, float] | None = None,
        *,
        batch_size: int | None = None,
        save_path: str | Path | None = None,
        slice: bool = True,
    ) -> Iterator[DetResult]:
        """Find the objects in images, one after the other.

        Args:
            input: a path, an http or https address, a folder, an array (BGR, `(H, W, 3)`), bytes, a dict as
                `{"img": ...}`, or a list of these.
            threshold: lowest score that is kept, or one for each class id, where others have 0.5; None for
                that of the pipeline.
            batch_size: tiles per call of the model; None for that of the pipeline.
            save_path: folder for the JSON and the picture of each result, in which no images are looked for;
                None writes nothing.
            slice: whether an image that is larger than a tile is cut into tiles; else it is resized to the
                model's input as a whole, as PaddleX does.

        Returns:
            One result for each image, in the order given, when its turn comes. After an error of one image
            the next one can be asked for.

        Raises:
            OptionError: an argument is out of range, or names a class that the model does not know.
            OutputError: `save_path` is a file, or called like one.
            SceneError: when its turn comes, an image that cannot be read.
        """
        wanted = {"threshold": threshold_setting(threshold), "batch": batch_size}
        options = self._options.replace({name: value for name, value in wanted.items() if value is not None})
        options.keeping.score_thresholds(self.class_names, self._crew.info.threshold)
        if save_path is not None:
            check_folder(Path(save_path))
        return _Results(self, input, options, save_path, slicing=slice)

    __call__ = predict

    def close(self) -> None:
        """Give back what the engine holds; the next image loads the model again."""
        self._crew.close()

    def __enter__(self) -> SmallObjectDetectionPipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def result_of(self, image: Given, options: Options, taken: set[str], *, slicing: bool) -> DetResult:
        """The result of one image.

        Args:
            image: to look at.
            options: of the run.
            taken: names that other results have; that of this one is added.
            slicing: see `predict`.

        Raises:
            SceneError: the image cannot be read.
        """
        name = self._name(image, taken)
        taken.add(name)
        scene = as_scene(image.source, options.rendering)
        try:
            whole = not slicing or self._fits(scene, options)
            chosen = _whole(scene, options) if whole else options
            found = self._crew.found_in(scene, chosen, whole=whole)
        finally:
            scene.close()
        return DetResult(found, scene, path=image.path, name=name)

    def _fits(self, scene: SceneBase, options: Options) -> bool:
        """Whether a scene is no larger than a tile, where the tile does not follow from the scene."""
        size, tile = self._crew.info.input_size, options.coverage.tile
        if tile is None:
            tile = None if size is None else (size[1], size[0])
        if tile is None:
            return False
        width, height = (tile, tile) if isinstance(tile, int) else tile
        seen = _seen(scene, options)
        return seen[0] <= width and seen[1] <= height

    def _name(self, image: Given, taken: set[str]) -> str:
        """A name for the files of a result: that of the image; numbered where another image has had it."""
        if image.path is not None:
            return free_name(short_stem(Path(image.path).stem) or "image", taken)
        while (name := f"image-{next(self._numbers)}") in taken:
            pass
        return name


class _Results(Iterator[DetResult]):
    """Results, one when it is asked for; an error of one image does not end them, as it would a generator.

    Args:
        pipeline: that finds them.
        given: images.
        options: of the runs.
        save_path: folder for the files of each; None writes none.
        slicing: see `SmallObjectDetectionPipeline.predict`.
    """

    def __init__(
        self,
        pipeline: SmallObjectDetectionPipeline,
        given: Any,
        options: Options,
        save_path: str | Path | None,
        *,
        slicing: bool,
    ) -> None:
        self._images = GivenImages(given, without=None if save_path is None else Path(save_path))
        self._pipeline, self._options, self._slicing = pipeline, options, slicing
        self._save_path = save_path
        self._taken: set[str] = set()

    def __next__(self) -> DetResult:
        image = next(self._images)
        result = self._pipeline.result_of(image, self._options, self._taken, slicing=self._slicing)
        if self._save_path is not None:
            result.save_all(self._save_path)
        return result


def create_pipeline(
    pipeline: str | Path | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    device: str | None = None,
    use_hpip: bool | None = None,
    enable_hpi: bool | None = None,
    options: Mapping[str, Any] | None = None,
) -> SmallObjectDetectionPipeline:
    """A pipeline that is ready.

    Args:
        pipeline: its name, "small_object_detection", or the path of its YAML.
        config: what such a YAML holds, in place of it.
        device: such as "cpu", "gpu:0", "gpu:1,2" or "npu:0"; None for that of the YAML, else the best there
            is.
        use_hpip: taken and without effect: the fastest engine that is installed is found out in any case.
        enable_hpi: what PaddleX called `use_hpip` before.
        options: settings of sodslice, such as `{"tile": 1024, "overlap": 0.2, "engine": "openvino"}`; they go
            before those of the YAML.

    Raises:
        OptionError: there is no such pipeline or file, or a setting is wrong.
        ModelError: the model is not on this machine, or cannot be run.
        DeviceError: the device is not there.
    """
    del use_hpip, enable_hpi
    named = {**_configured(pipeline, config), **(options or {})}
    if device is not None:
        named["device"] = device
    return SmallObjectDetectionPipeline(Options.from_mapping(named))


def _configured(pipeline: str | Path | None, config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The settings that a pipeline's name, YAML or mapping stands for.

    Raises:
        OptionError: it is none.
    """
    if config is not None:
        return pipeline_settings(config, where="config")
    if pipeline is None:
        raise OptionError(f'create_pipeline needs a name or a YAML; give pipeline="{PIPELINE}"')
    path = Path(pipeline)
    if path.suffix.lower() not in YAML_SUFFIXES:
        check_name(str(pipeline))
        return pipeline_settings({"pipeline_name": PIPELINE}, where=PIPELINE)
    values = read_yaml(path)
    if not is_pipeline(values):
        raise OptionError(
            f"{path} is no pipeline of PaddleX, which has pipeline_name and SubModules; give such a file, or "
            f'the name "{PIPELINE}"'
        )
    return pipeline_settings(values, where=str(path))


def _seen(scene: SceneBase, options: Options) -> tuple[int, int]:
    """Width and height in pixels that the model sees."""
    return seen_size(scene, ScaleWish(options.coverage.gsd, options.coverage.scale))


def _whole(scene: SceneBase, options: Options) -> Options:
    """The same options with one tile, all of the scene."""
    width, height = (max(SMALLEST_TILE, side) for side in _seen(scene, options))
    return options.replace({"tile": (width, height), "overlap": 0})
