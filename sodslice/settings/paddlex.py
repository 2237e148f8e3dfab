"""PaddleX's pipeline YAML: told by its keys, read as settings of a run, and written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sodslice.errors import OptionError, did_you_mean
from sodslice.values.documents import yaml_line

PIPELINE = "small_object_detection"
MODULE = "SmallObjectDetection"
OFFICIAL_MODEL = "PP-YOLOE_plus_SOD-L"
"""What the pipeline runs where nothing else is named."""
THRESHOLD = 0.5
"""What PaddleX takes for classes that a threshold by class does not name, and where there is none."""

YAML_SUFFIXES = (".yaml", ".yml")

ASIDE = ("use_hpip", "Serving")
"""Keys that change no result: which engine is fastest is found out anyway, and services have their own."""
UNTRANSLATED = ("hpi_config", "engine", "engine_config", "genai_config", "pp_option")
"""Keys that name backends in words of PaddleX's own."""
TOP = ("pipeline_name", "SubModules", *ASIDE, *UNTRANSLATED)
OLD_TOP = ("Global", "Pipeline")
OLD_GLOBAL = ("pipeline_name", "input")
OLD_PIPELINE = ("model", "batch_size", "device", "threshold")
OF_MODULE = ("module_name", "model_name", "model_dir", "batch_size", "threshold", *ASIDE, *UNTRANSLATED)

TEMPLATE = """\
# A pipeline for PaddleX, and for sodslice wherever it reads settings or pipelines from a file.
pipeline_name: {pipeline}

SubModules:
  {module}:
    module_name: {pipeline}
    # a name that sodslice models lists; the folder below goes before it; PaddleX knows only PP-YOLOE's
    model_name: {model_name}
    # an exported model: inference.yml with inference.json or inference.pdmodel
    model_dir: {model_dir}
    # images (here: tiles) per call of the model; 1 leaves it to sodslice
    batch_size: {batch_size}
    # lowest score that is kept: a number, or one for each class id; PaddleX 3 reads it from its caller alone
    threshold: {threshold}
"""


def check_name(name: str) -> None:
    """Refuse the names of other pipelines.

    Raises:
        OptionError: it is one.
    """
    if name != PIPELINE:
        raise OptionError(
            f"there is no pipeline {name!r}{did_you_mean(name, [PIPELINE])}; sodslice has {PIPELINE}, "
            "or takes the path of its YAML"
        )


def is_pipeline(values: Any) -> bool:
    """Whether what a YAML file holds is a pipeline of PaddleX, not settings of a run."""
    return isinstance(values, Mapping) and any(
        key in values for key in ("pipeline_name", "SubModules", "Pipeline")
    )


def pipeline_settings(values: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The settings of a run that a pipeline of PaddleX names.

    Args:
        values: what its YAML holds, in the form of PaddleX 3 (`SubModules`) or the one before (`Pipeline`).
        where: the file, for messages.

    Raises:
        OptionError: it is another pipeline, or has a key that cannot be followed.
    """
    if not isinstance(values, Mapping):
        raise OptionError(
            f"{where} must hold keys and values, as a pipeline's YAML does, got {type(values).__name__}"
        )
    old = "Pipeline" in values
    _check_keys(values, OLD_TOP if old else TOP, where)
    head = _mapping(values, "Global", where) if old else values
    name = head.get("pipeline_name", PIPELINE)
    if name != PIPELINE:
        raise OptionError(f"{where} is of the pipeline {name!r}, and sodslice is one for {PIPELINE}")
    if old:
        _check_keys(head, OLD_GLOBAL, f"{where}, Global,")
        module = _mapping(values, "Pipeline", where)
        _check_keys(module, OLD_PIPELINE, f"{where}, Pipeline,")
    else:
        modules = _mapping(values, "SubModules", where)
        _check_keys(modules, (MODULE,), f"{where}, SubModules,")
        module = _mapping(modules, MODULE, where)
        _check_keys(module, OF_MODULE, f"{where}, {MODULE},")
    return _settings(module)


def pipeline_yaml(settings: Mapping[str, Any] | None = None) -> str:
    """A pipeline's YAML, which PaddleX reads, too.

    Args:
        settings: of a run, of which it has the model, batch and threshold; None for PaddleX's own values.

    Raises:
        OptionError: there are thresholds for names of classes, or others have another than PaddleX's.
    """
    from sodslice.models.store import MODELS

    given = settings or {}
    model = given.get("model") or OFFICIAL_MODEL
    values = {
        "pipeline": PIPELINE,
        "module": MODULE,
        "model_name": model if model in MODELS else OFFICIAL_MODEL,
        "model_dir": None if model in MODELS else model,
        "batch_size": given.get("batch") or 1,
        "threshold": _written_threshold(given.get("threshold")),
    }
    return TEMPLATE.format(**{name: yaml_line(value) for name, value in values.items()})


def _written_threshold(threshold: Any) -> float | dict[int, float]:
    """A run's setting in words of PaddleX: one number, or one for each class id.

    Raises:
        OptionError: there are thresholds for names, or others have another than PaddleX's.
    """
    if threshold is None:
        return THRESHOLD
    if not isinstance(threshold, Mapping):
        return float(threshold)
    by_class = {key: float(score) for key, score in threshold.items() if key != "all"}
    if not by_class:
        return float(threshold["all"])
    named = [key for key in by_class if not (key.isascii() and key.isdecimal())]
    if named:
        raise OptionError(
            f"a pipeline of PaddleX knows classes by their ids, and `threshold` names {named[0]!r}; "
            "give ids, or one number"
        )
    if threshold.get("all") != THRESHOLD:
        raise OptionError(
            f"a pipeline of PaddleX has {THRESHOLD} for classes that `threshold` does not name; give "
            f"`threshold=all={THRESHOLD}` beside the ids, or one number"
        )
    return {int(key): score for key, score in by_class.items()}


def _settings(module: Mapping[str, Any]) -> dict[str, Any]:
    """What a module of a pipeline says, by the names of settings."""
    batch = module.get("batch_size")
    settings = {
        "model": module.get("model_dir") or module.get("model_name") or module.get("model") or OFFICIAL_MODEL,
        "batch": None if batch == 1 else batch,
        "threshold": threshold_setting(module.get("threshold")),
        "device": module.get("device"),
    }
    return {name: value for name, value in settings.items() if value is not None}


def threshold_setting(threshold: Any) -> Any:
    """PaddleX's threshold, a number or a mapping from class ids, as the setting; None where there is none."""
    if not isinstance(threshold, Mapping):
        return threshold
    return {"all": THRESHOLD, **{str(key): score for key, score in threshold.items()}}


def _mapping(values: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    inner = values.get(key, {})
    if not isinstance(inner, Mapping):
        raise OptionError(f"{where}: {key} must hold keys and values, got {type(inner).__name__}")
    return inner


def _check_keys(values: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuse keys that would be left out in silence.

    Raises:
        OptionError: there is one.
    """
    for key, value in values.items():
        if key not in known:
            raise OptionError(
                f"{where} has the key {key!r}{did_you_mean(str(key), known)}; known are {', '.join(known)}"
            )
        if key in UNTRANSLATED and value:
            raise OptionError(
                f"{where} has {key}, in words of PaddleX's own; leave it out and choose with `engine`"
            )
