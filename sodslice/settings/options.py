"""`Options`: all settings of a run, composed of the values of its stages.

Each setting is a field of one stage's value and stands nowhere else. To users they are one flat list of
names: the arguments of the API, the keys of YAML and JSON, the flags, the tables in the docs and the checks
are all read from the fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from sodslice.inference.choice import InferenceChoice
from sodslice.merging.joining import Joining
from sodslice.place.coverage import Coverage
from sodslice.results.keeping import Keeping
from sodslice.results.writing import Writing
from sodslice.scene.rendering import Rendering
from sodslice.settings.work import Work
from sodslice.values.kinds import Schema
from sodslice.values.setting import Setting, named_values, plain_values, schema_of, settings_of

HEADINGS = ("Model", "Tiles", "Merge", "Pixels", "Place", "Output", "Machine", "Survival")
"""Groups in the order in which they are shown; those of other names come after them."""

AnyOptions = TypeVar("AnyOptions", bound="Options")


@dataclass(frozen=True)
class Options:
    """The settings of a run, stage by stage; frozen and checked, whatever they came from.

    Args:
        inference: what runs the model.
        coverage: what is looked at.
        joining: what counts as one object.
        rendering: how the scene is read.
        keeping: which detections are kept.
        writing: how results are written.
        work: how the work is done and survives.

    A subclass may have further stages: their settings are flags, YAML keys and docs like all others.
    """

    inference: InferenceChoice = field(default_factory=InferenceChoice)
    coverage: Coverage = field(default_factory=Coverage)
    joining: Joining = field(default_factory=Joining)
    rendering: Rendering = field(default_factory=Rendering)
    keeping: Keeping = field(default_factory=Keeping)
    writing: Writing = field(default_factory=Writing)
    work: Work = field(default_factory=Work)

    @classmethod
    def from_mapping(cls: type[AnyOptions], values: Mapping[str, Any]) -> AnyOptions:
        """Options from names and values, as YAML gives them; dashes in names count as underscores.

        None (null in YAML) is the default of any setting.

        Raises:
            OptionError: a name is unknown or a value is out of range.
        """
        homes = {name: stage for stage, names in _stages(cls).items() for name in names}
        given: dict[str, dict[str, Any]] = {}
        for name, value in named_values(values, all_settings(cls), where="a run").items():
            if value is not None:
                given.setdefault(homes[name], {})[name] = value
        kinds = get_type_hints(cls)
        return cls(**{stage: kinds[stage](**named) for stage, named in given.items()})

    def replace(self: AnyOptions, values: Mapping[str, Any]) -> AnyOptions:
        """The same options with some values changed.

        Raises:
            OptionError: a name is unknown or a value is out of range.
        """
        changes = {str(name).replace("-", "_"): value for name, value in values.items()}
        return type(self).from_mapping({**self.as_dict(), **changes})

    def as_dict(self, *, changes_result: bool = False) -> dict[str, Any]:
        """Names and values, ready for JSON and YAML; `from_mapping` reads them back.

        Args:
            changes_result: whether those that do not change a result are left out.
        """
        plain = {name: value for stage in _stages(self) for name, value in self._plain(stage).items()}
        known = all_settings(type(self))
        return {name: plain[name] for name, s in known.items() if s.changes_result or not changes_result}

    def tile_settings(self) -> dict[str, Any]:
        """The settings on which the detections of a tile depend, as `as_dict` gives them."""
        plain = self.as_dict()
        return {name: plain[name] for name, s in all_settings(type(self)).items() if s.changes_tiles}

    def _plain(self, stage: str) -> dict[str, Any]:
        return plain_values(getattr(self, stage))


def all_settings(kind: type[Options] = Options) -> dict[str, Setting]:
    """All settings by name, in the order in which they are shown."""
    together = {name: known for stage in _stages(kind).values() for name, known in stage.items()}
    order = {heading: place for place, heading in enumerate(HEADINGS)}
    return dict(sorted(together.items(), key=lambda item: order.get(item[1].group, len(order))))


def settings_in(*stages: str) -> dict[str, Setting]:
    """The settings of some stages, by name, in the order in which they are shown."""
    inside = {name for stage in stages for name in _stages(Options)[stage]}
    return {name: known for name, known in all_settings().items() if name in inside}


def options_schema(kind: type[Options] = Options) -> Schema:
    """The JSON Schema of the mapping that `Options.from_mapping` takes, for editors and services."""
    return schema_of(all_settings(kind), kind().as_dict(), title="sodslice run")


def _stages(kind: type[Options] | Options) -> dict[str, dict[str, Setting]]:
    """The settings of each stage, by the stage's name."""
    owner = kind if isinstance(kind, type) else type(kind)
    hints = get_type_hints(owner)
    return {stage.name: settings_of(hints[stage.name]) for stage in dataclasses.fields(owner)}
