"""Styles of QGIS (3.22 and later): boxes outlined by class, opaque by score, the scene seen through them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from sodslice.results.colours import OTHER, Colour, class_colours
from sodslice.results.writing import BOX, POINT
from sodslice.system.hashes import sha256_of_bytes
from sodslice.values.markup import xml_text

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"

OTHER_LABEL = "other"
"""Objects of no known class, as after a correction by hand, are shown too."""

OPACITY = '35 + 65 * coalesce("score", 1)'
LABEL = '"label" || \' \' || format_number("score", 2)'
PLACEMENTS = {BOX: "8", POINT: "6"}
"""QGIS's numbers of "outside polygons" and "around a point, best places first"."""
GEOMETRY_TYPES = {BOX: "2", POINT: "0"}
"""QGIS's numbers of polygons and points; it refuses a style for the other."""
LABELLED_TO = 2000
"""Labels show at scales of 1:2000 and larger."""
OUTLINE_MM, POINT_MM = "0.6", "2.4"

LAYER_STYLES = """
CREATE TABLE IF NOT EXISTS layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
"""
"""As QGIS makes it."""


def qml(class_names: Sequence[str], *, geometry: str) -> str:
    """A style as QGIS saves it.

    Args:
        class_names: each gets a colour of its own; rows with other labels are white.
        geometry: "box": an outline; "point": a ring.
    """
    root = Element("qgis", version="3.22.0", styleCategories="Symbology|Labeling", labelsEnabled="1")
    renderer = SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr="label", forceraster="0", symbollevels="0"
    )
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for number, (name, label, colour) in enumerate(_categories(class_names)):
        SubElement(categories, "category", symbol=str(number), value=name, label=label, render="true")
        symbols.append(_symbol(str(number), colour, geometry))
    root.append(_labelling(geometry))
    SubElement(root, "layerGeometryType").text = GEOMETRY_TYPES[geometry]
    indent(root)
    return DOCTYPE + tostring(root, encoding="unicode") + "\n"


def add_style(path: Path, layer: str, column: str, style: str) -> None:
    """Put a style into a GeoPackage, which QGIS takes for the layer by itself.

    Args:
        path: of the GeoPackage.
        layer: the table that it is for.
        column: of its geometries.
        style: as `qml` gives it.
    """
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(LAYER_STYLES)
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', '')"
        )
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
            "styleName, styleQML, styleSLD, useAsDefault, description, owner) "
            "VALUES ('', '', ?, ?, 'detections', ?, '', 1, ?, '')",
            (layer, column, style, style_words(style)),
        )


def style_words(style: str) -> str:
    """What a style in a GeoPackage says of itself; one that somebody saved there does not fit it."""
    return f"outlined by class, opaque by score ({sha256_of_bytes(style.encode())[:12]})"


def _categories(class_names: Sequence[str]) -> list[tuple[str, str, Colour]]:
    """Value, words and colour of each class, and of the value "", by which QGIS means all other rows."""
    names = dict.fromkeys(map(xml_text, class_names))
    colours = dict(zip(names, class_colours(len(names)), strict=True))
    colours.setdefault("", OTHER)
    return [(name, name or OTHER_LABEL, colour) for name, colour in colours.items()]


def _symbol(name: str, colour: Colour, geometry: str) -> Element:
    kind = "fill" if geometry == BOX else "marker"
    symbol = Element("symbol", name=name, type=kind, alpha="1", clip_to_extent="1", force_rhr="0")
    opacity = {"active": True, "expression": OPACITY, "type": 3}
    symbol.append(_defined({"alpha": opacity}))
    words = ",".join(map(str, (*colour, 255)))
    if kind == "fill":
        line = {"line_color": words, "line_style": "solid", "line_width": OUTLINE_MM, "line_width_unit": "MM"}
        symbol.append(_layer("SimpleLine", {**line, "joinstyle": "miter"}))
    else:
        ring = {"outline_color": words, "outline_style": "solid", "outline_width": OUTLINE_MM}
        size = {"outline_width_unit": "MM", "size": POINT_MM, "size_unit": "MM"}
        symbol.append(_layer("SimpleMarker", {"name": "circle", "color": "0,0,0,0", **ring, **size}))
    return symbol


def _layer(kind: str, properties: Mapping[str, str]) -> Element:
    layer = Element("layer", attrib={"class": kind, "enabled": "1", "locked": "0", "pass": "0"})
    layer.append(_option("", dict(properties)))
    for key, value in properties.items():  # as readers before 3.24 want them
        SubElement(layer, "prop", k=key, v=value)
    return layer


def _defined(properties: Mapping[str, Any]) -> Element:
    """Properties that depend on a row."""
    element = Element("data_defined_properties")
    element.append(_option("", {"name": "", "properties": dict(properties), "type": "collection"}))
    return element


def _option(name: str, value: Any) -> Element:
    """A value as QGIS writes variants."""
    named = {"name": name} if name else {}
    if isinstance(value, dict):
        element = Element("Option", attrib={**named, "type": "Map"})
        element.extend(_option(key, inner) for key, inner in value.items())
        return element
    kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "QString"
    text = str(value).lower() if kind == "bool" else str(value)
    return Element("Option", attrib={**named, "type": kind, "value": text})


def _labelling(geometry: str) -> Element:
    labelling = Element("labeling", type="simple")
    settings = SubElement(labelling, "settings", calloutType="simple")
    text = SubElement(
        settings, "text-style", fieldName=LABEL, isExpression="1", fontSize="8", fontSizeUnit="Point",
        textColor="255,255,255,255", textOpacity="1",
    )  # fmt: skip
    SubElement(
        text, "text-buffer", bufferDraw="1", bufferSize="0.8", bufferSizeUnits="MM",
        bufferColor="25,25,25,255", bufferOpacity="0.7",
    )  # fmt: skip
    SubElement(
        settings, "placement", placement=PLACEMENTS[geometry], dist="0.5", distUnits="MM", priority="5"
    )
    SubElement(
        settings, "rendering", scaleVisibility="1", scaleMin="0", scaleMax=str(LABELLED_TO), drawLabels="1",
        obstacle="1", obstacleType="0", obstacleFactor="1", displayAll="0",
    )  # fmt: skip
    return labelling
