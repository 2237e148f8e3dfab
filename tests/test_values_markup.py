"""What XML forbids does not get into it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from sodslice.report.review.label_studio import labelling_config
from sodslice.results.qgis_style import DOCTYPE, qml
from sodslice.values.markup import xml_text


@pytest.mark.parametrize("text", ["a", 'é图 <b> & "c"', "tab\tline\n", "\U0001f697"])
def test_what_xml_can_hold_stays(text):
    assert xml_text(text) == text


@pytest.mark.parametrize("bad", ["\x00", "\x01", "\x1f", "\ufffe", "\ud800"])
def test_what_it_cannot_is_replaced_wherever_classes_are_written(bad):
    name = f"a{bad}b"
    assert xml_text(name) == "a\ufffdb"
    ElementTree.fromstring(labelling_config([name]))
    ElementTree.fromstring(qml([name], geometry="box").removeprefix(DOCTYPE))
