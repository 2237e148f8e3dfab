"""Styles of QGIS: well-formed, one colour a class, whatever the classes are called."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from sodslice.results.qgis_style import DOCTYPE, qml


def parsed(text: str) -> ElementTree.Element:
    assert text.startswith(DOCTYPE)
    return ElementTree.fromstring(text.removeprefix(DOCTYPE))


@pytest.mark.parametrize(("geometry", "kind"), [("box", "SimpleLine"), ("point", "SimpleMarker")])
def test_each_class_has_a_category_with_a_symbol_that_has_no_filling(geometry, kind):
    names = ["car", 'a "b" & <c>', "car", ""]
    root = parsed(qml(names, geometry=geometry))
    categories = root.findall("renderer-v2/categories/category")
    assert [one.get("value") for one in categories] == ["car", 'a "b" & <c>', ""]
    assert root.find("layerGeometryType").text == {"box": "2", "point": "0"}[geometry]
    symbols = {one.get("name"): one for one in root.findall("renderer-v2/symbols/symbol")}
    for category in categories:
        layers = symbols[category.get("symbol")].findall("layer")
        assert [layer.get("class") for layer in layers] == [kind]
    opacity = root.find(".//symbol/data_defined_properties//Option[@name='alpha']/Option[@name='expression']")
    assert "score" in opacity.get("value")


def test_rows_of_no_known_class_are_shown_too():
    categories = parsed(qml(["car"], geometry="box")).findall("renderer-v2/categories/category")
    assert [(one.get("value"), one.get("label")) for one in categories] == [("car", "car"), ("", "other")]


def test_what_xml_cannot_hold_does_not_spoil_the_style():
    text = qml(["a\x01b", "a\ud800b", "line\nbreak"], geometry="box")
    text.encode("utf-8")
    categories = parsed(text).findall("renderer-v2/categories/category")
    assert [one.get("value") for one in categories] == ["a\ufffdb", "line\nbreak", ""]


def test_each_class_has_its_own_colour_in_the_style():
    text = qml([f"class {number}" for number in range(300)], geometry="box")
    colours = re.findall(r'name="line_color" type="QString" value="([^"]+)"', text)
    assert len(colours) == len(set(colours)) == 301
    assert text == qml([f"class {number}" for number in range(300)], geometry="box")


def test_no_class_is_a_style_too():
    root = parsed(qml([], geometry="box"))
    assert root.find("renderer-v2").get("attr") == "label"
    assert root.find("labeling/settings/text-style").get("isExpression") == "1"
