"""Types that the measurements share: arrays, metrics by name, and the parts of reports."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Metrics = dict[str, float | int | None]


class Part(BaseModel):
    """A part of a report: its fields are keys of the report's JSON."""

    model_config = ConfigDict(frozen=True)
