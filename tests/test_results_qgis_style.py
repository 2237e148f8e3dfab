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
    symbols = {one.get("name"): one for one in root.findall("renderer-v2/symbols/symbol")}
    for category in categories:
        layers = symbols[category.get("symbol")].findall("layer")
        assert [layer.get("class") for layer in layers] == [kind]
    opacity = root.find(".//symbol/data_defined_properties//Option[@name='alpha']/Option[@name='expression']")
    assert "score" in opacity.get("value")


def test_hundreds_of_classes_have_colours_of_their_own():
    text = qml([f"class {number}" for number in range(300)], geometry="box")
    colours = re.findall(r'name="line_color" type="QString" value="([^"]+)"', text)
    assert len(colours) == 300
    assert len(set(colours)) > 290
    assert text == qml([f"class {number}" for number in range(300)], geometry="box")


def test_no_class_is_a_style_too():
    root = parsed(qml([], geometry="box"))
    assert root.find("renderer-v2").get("attr") == "label"
    assert root.find("labeling/settings/text-style").get("isExpression") == "1"
