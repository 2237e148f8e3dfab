"""GeoJSON of other people's making: objects and detections as layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DataError
from sodslice.metrics.layer import Layer, distinct_names
from sodslice.place.geojson import Features, read_features
from sodslice.place.georef import GeoRef
from sodslice.results.columns import EDGES
from sodslice.results.reading import is_result
from sodslice.values import cells

NO_CLASS = "object"
"""What everything is called where classes do not matter."""


def geojson_layer(
    document: Mapping[str, Any], source: str, *, label_key: str | None = "label", scored: bool = False
) -> Layer:
    """The polygons of a FeatureCollection as a layer.

    Pixel boxes are taken from the property `bbox_px` where every feature has it, or from the columns of a
    run's own file, which nobody moved a polygon in; classes from `label_key`
    (None: all are alike), scores from `score`, ignored areas from `iscrowd` and `ignore`. The foreign
    members `scene` and `georef` are read where a run or `sodslice.synthetic` wrote them.

    Args:
        document: the parsed file.
        source: its name, for messages.
        label_key: the property with the class name.
        scored: whether these are detections, which must have a score.

    Raises:
        DataError: a feature has no polygon, class, or score; or the CRS cannot be read.
    """
    features = read_features(document, source)
    names = (NO_CLASS,) * len(features) if label_key is None else _names(features, label_key)
    keys = _box_keys(features, own=is_result(document))
    image, size = _scene(document.get("scene"), source)
    return Layer(
        source,
        names,
        distinct_names(names),
        pixels=features.boxes(*keys) if keys else None,
        shapes=features.polygons(),
        scores=features.scores() if scored else None,
        crowd=_crowd(features),
        image=image,
        size=size,
        georef=_georef(document.get("georef"), source),
    )


def _box_keys(features: Features, *, own: bool) -> tuple[str, ...]:
    """Properties that hold pixel boxes of all features; () where there are none."""
    ways: list[tuple[str, ...]] = [("bbox_px",), EDGES] if own else [("bbox_px",)]
    for keys in ways:
        if len(features) and all(set(keys) <= row.keys() for row in features.properties):
            return keys
    return ()


def _names(features: Features, key: str) -> tuple[str, ...]:
    column = features.column(key)
    names = tuple(name for value in column if (name := cells.name(value)) is not None)
    if len(names) < len(column):
        row = next(row for row, value in enumerate(column) if cells.name(value) is None)
        raise DataError(
            f"{features.source}: feature {row} has {cells.shown(column[row])} as its {key!r}; "
            "a class must be a text or a number"
        )
    return names


def _crowd(features: Features) -> npt.NDArray[np.bool_]:
    """The properties `iscrowd` and `ignore` `(N,)`, either of which makes an ignored area."""
    ignored = np.zeros(len(features), dtype=np.bool_)
    for key in ("iscrowd", "ignore"):
        values = [row.get(key) for row in features.properties]
        flags = [cells.flag(value) for value in values]
        if None in flags:
            got = cells.shown(values[flags.index(None)])
            raise DataError(f"{features.source}: each property {key!r} must be 0 or 1, got {got}")
        ignored |= np.array(flags, dtype=np.bool_)
    return ignored


def _scene(member: Any, source: str) -> tuple[str, tuple[int, int] | None]:
    """Name and (width, height) of the image, as far as the member `scene` says them."""
    values = member or {}
    if isinstance(values, Mapping):
        name = cells.text(values.get("path", ""))
        width, height = (cells.whole(values.get(key), least=1) for key in ("width", "height"))
        if name is not None and width is not None and height is not None:
            return name, (width, height)
        if name is not None and not {"width", "height"} <= set(values):
            return name, None
    raise DataError(
        f"{source}: its member 'scene' must be a mapping of path, width and height, got {cells.shown(member)}"
    )


def _georef(member: Any, source: str) -> GeoRef:
    """Where the scene lies, as the member `georef` says it."""
    if not member:
        return GeoRef()
    reason = "its CRS must be a text"
    if isinstance(member, Mapping) and isinstance(member.get("crs"), (str, type(None))):
        try:
            return GeoRef.from_dict(member)
        except (TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
    raise DataError(f"{source}: its member 'georef' places no scene: {reason}, got {cells.shown(member)}")
