"""Settings from files: YAML, PaddleX's pipelines, and the results of former runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sodslice.errors import OptionError
from sodslice.settings.options import Options
from sodslice.settings.paddlex import is_pipeline, pipeline_settings

RESULT_SUFFIXES = (".json", ".geojson")


def load_options(source: str | Path) -> Options:
    """Options from a YAML file, which may be a pipeline of PaddleX, or from the JSON of a former run.

    Raises:
        OptionError: the file cannot be read, is not YAML, or holds unknown settings.
    """
    return Options.from_mapping(named_settings(source))


def as_options(options: Options | Mapping[str, Any] | str | Path | None) -> Options:
    """Options from whatever a caller gives.

    Args:
        options: settings, a mapping of some of them, or the path of a YAML file or of a former output; None
            for the defaults.

    Raises:
        OptionError: see `load_options`.
    """
    if options is None:
        return Options()
    if isinstance(options, Options):
        return options
    if isinstance(options, (str, Path)):
        return load_options(options)
    return Options.from_mapping(options)


def named_settings(source: str | Path) -> Mapping[str, Any]:
    """The settings that a YAML file or a former output names, unchecked.

    Raises:
        OptionError: the file cannot be read or holds no settings.
    """
    path = Path(source)
    values = read_yaml(path)
    if isinstance(values, Mapping) and isinstance(values.get("run"), Mapping):
        values = values["run"].get("options")
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise OptionError(
            f"{path} must hold settings by name, got {type(values).__name__}; see `sodslice config`"
        )
    if is_pipeline(values):
        return pipeline_settings(values, where=str(path))
    return values


def read_yaml(path: Path) -> Any:
    """What a YAML or JSON file holds; None where it holds nothing.

    Raises:
        OptionError: it cannot be read, or is neither.
    """
    from sodslice.values.documents import json_of, yaml_of

    try:
        content = path.read_bytes()
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}; give a YAML file of settings") from None
    try:
        return json_of(content) if path.suffix.lower() in RESULT_SUFFIXES else yaml_of(content)
    except ValueError as error:
        raise OptionError(f"{path} is not YAML or JSON: {error}") from None
