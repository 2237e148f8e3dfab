"""A checkpoint as an exported folder, made on the way, once for each input size."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from sodslice.errors import ModelError, OutputError
from sodslice.inference import ModelInfo
from sodslice.inference.engines import ENGINES
from sodslice.inference.folder import info_from
from sodslice.ppyoloe.checkpoints import checkpoint_config, load_checkpoint, read_metadata
from sodslice.ppyoloe.config import EXPORT_VERSION
from sodslice.ppyoloe.description import folder_entries, settings_of
from sodslice.system.caches import alone_with, cache_folder, cache_refusals_said
from sodslice.system.hashes import sha256_of, sha256_of_facts

log = logging.getLogger(__name__)

GRAPH_SUFFIX = ".json"
"""Of the graphs that Paddle exports."""


def converted_folder(
    checkpoint: Path, *, input_size: tuple[int, int], class_names: Sequence[str] | None = None
) -> Path:
    """The exported folder of a checkpoint, from the cache or made now.

    The cache is known by content: the same weights under another name are not exported again, changed weights
    under the same name are. Two processes that want the same folder make it once.

    Args:
        checkpoint: a `.pdparams` or `.safetensors` file.
        input_size: height and width in pixels, multiples of 32; of no weight for a network that takes any.
        class_names: names in the order of the class ids, where the checkpoint does not say them.

    Raises:
        ModelError: the checkpoint is damaged or fits no known network.
        OutputError: the cache cannot be written.
    """
    if checkpoint.suffix not in (".pdparams", ".safetensors") or not checkpoint.is_file():
        raise ModelError(f"{checkpoint} is no checkpoint: give a .pdparams or .safetensors file")
    with cache_refusals_said():
        stem = cache_folder() / "exports" / _content_key(checkpoint, class_names or ())
        kept = _kept(stem, input_size)
        if kept is not None:
            return kept
        with alone_with(stem, _folders(stem, input_size)):
            return _kept(stem, input_size) or _export(checkpoint, stem, input_size, class_names)


def described_checkpoint(
    checkpoint: Path, *, input_size: tuple[int, int], class_names: Sequence[str] | None = None
) -> tuple[ModelInfo, str]:
    """What the exported folder of a checkpoint will say of itself, and the suffix of its graph.

    Paddle is not needed.

    Args:
        checkpoint: a `.pdparams` or `.safetensors` file.
        input_size: as for `converted_folder`.
        class_names: as for `converted_folder`.

    Raises:
        ModelError: the checkpoint is damaged or fits no known network.
    """
    try:
        arrays, metadata = load_checkpoint(checkpoint), read_metadata(checkpoint)
        config = checkpoint_config(arrays, metadata, class_names=class_names)
    except ModelError as error:
        raise ModelError(f"{checkpoint}: {error}") from None
    size = None if config.transformer is None else input_size
    entries = folder_entries(config, settings_of(metadata, size))
    key = sha256_of_facts({"content": _content_key(checkpoint, class_names or ()), "size": size})
    return info_from(entries, checkpoint, key), GRAPH_SUFFIX


def _content_key(checkpoint: Path, class_names: Sequence[str]) -> str:
    """One hash over all that an export depends on but its size.

    Paddle's version counts, since an older one cannot read what a newer one wrote.
    """
    facts = {
        "checkpoint": sha256_of(checkpoint),
        "class_names": list(class_names),
        "export": EXPORT_VERSION,
        "paddle": ENGINES["paddle"].version(),
    }
    return sha256_of_facts(facts)[:32]


def _kept(stem: Path, input_size: tuple[int, int]) -> Path | None:
    """The folder for this size, or one for any size."""
    return next((folder for folder in _folders(stem, input_size) if folder.is_dir()), None)


def _folders(stem: Path, input_size: tuple[int, int]) -> tuple[Path, Path]:
    """Where an export that runs at this size can be: one for any size, one for this alone."""
    return _folder(stem, None), _folder(stem, input_size)


def _folder(stem: Path, input_size: tuple[int, int] | None) -> Path:
    return stem.with_name(f"{stem.name}-{f'{input_size[0]}x{input_size[1]}' if input_size else 'any'}")


def _export(
    checkpoint: Path, stem: Path, input_size: tuple[int, int], class_names: Sequence[str] | None
) -> Path:
    from sodslice.ppyoloe.export import export_folder
    from sodslice.ppyoloe.weights import load_network

    network, metadata = load_network(checkpoint, class_names=class_names)
    size = None if network.config.transformer is None else input_size
    folder = _folder(stem, size)
    words = f"{size[1]} x {size[0]} pixels" if size else "tiles of any size"
    log.warning("exporting %s for %s, this once; it is kept in %s", checkpoint, words, folder)
    try:
        export_folder(network, folder, settings_of(metadata, size))
    except OutputError:
        if not folder.is_dir():  # where there are no locks, another process may have been first
            raise
    return folder
