"""What the models of `site.yaml` are made of: texts with their patterns, and mappings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

# These texts go into files and requests, where a control character would begin a line of its own.
ID_PATTERN = r"^[0-9a-f]{4}$"
IDS_PATTERN = r"^[0-9a-f]{4}:[0-9a-f]{4}$"
ADDRESS_PATTERN = r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$"
# A folder's name in sysfs, which is no address.
PARENT_PATTERN = r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"
# `name:count[,name:count]` is how a flavor writes it, so a card's name has neither sign.
CARD_PATTERN = r"^[^:,\s\x00-\x1f\x7f][^:,\x00-\x1f\x7f]{0,254}$"
CUSTOM_PATTERN = r"^CUSTOM_[A-Z0-9_]{1,248}$"
TRAIT_PATTERN = r"^[A-Z][A-Z0-9_]{0,254}$"
NAME_PATTERN = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,253}[^\s\x00-\x1f\x7f])?$"
LINE_PATTERN = r"^[^\x00-\x1f\x7f]*$"
# Several lines; of control characters a tab and the ends of lines.
TEXT_PATTERN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

HexId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Ids = Annotated[str, StringConstraints(pattern=IDS_PATTERN)]
PciAddress = Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN)]
ParentName = Annotated[str, StringConstraints(pattern=PARENT_PATTERN)]
CardName = Annotated[str, StringConstraints(pattern=CARD_PATTERN)]
Custom = Annotated[str, StringConstraints(pattern=CUSTOM_PATTERN)]
Trait = Annotated[str, StringConstraints(pattern=TRAIT_PATTERN)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Line = Annotated[str, StringConstraints(pattern=LINE_PATTERN)]
Text = Annotated[str, StringConstraints(pattern=TEXT_PATTERN)]
Count = Annotated[int, Field(ge=1)]
# NVIDIA's boards have 8 or 16 GPUs, numbered from 0 or 1.
ModuleId = Annotated[int, Field(ge=0, le=255)]
RuleCode = Annotated[str, StringConstraints(pattern=r"^WC\d{1,3}$")]


class Model(BaseModel):
    """A mapping of `site.yaml`: frozen, and a key that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, data: Any) -> Any:
        """A key without a value means the same as no key."""
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        return {
            key: value
            for key, value in data.items()
            if value is not None or key not in fields or fields[key].is_required()
        }
