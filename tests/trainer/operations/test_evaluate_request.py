from __future__ import annotations

import pytest

from tipstaff.errors import UsageError
from tipstaff_trainer.operations.evaluate import EvaluateRequest

STORED = {"bundle": "bundle", "data": {"dataset": 1}}


def test_a_data_set_s_report_is_always_written_so_its_settings_need_no_folder():
    request = EvaluateRequest.parse({**STORED, "slice_by": ["system"], "separator": "/"})
    assert (request.slice_by, request.separator) == (("system",), "/")


def test_a_data_set_s_report_is_written_into_its_job_s_folder():
    with pytest.raises(UsageError) as error:
        EvaluateRequest.parse({**STORED, "out": "report"})
    assert error.value.field == "out"
