"""Which requests run together, when, and which are refused; knows neither grpc nor onnxruntime.

A request's way: `Dispatcher.submit` asks `admission` whether it would be answered in time and puts
its runs into the `queue`; a free worker takes the next batch from the `scheduler`, runs it, and
resolves its futures with a `RunResult` each (`outcome`). `cost` predicts how long a run takes.
"""

from tipstaff_server.scheduling.cost import Measurement, nearly_cheapest
from tipstaff_server.scheduling.dispatcher import Dispatcher
from tipstaff_server.scheduling.events import BatchRan, Event, RequestLeft, WorkerRestarted
from tipstaff_server.scheduling.model import Model, ModelOutputs
from tipstaff_server.scheduling.run_result import RunResult
from tipstaff_server.scheduling.scheduler import BatchLimits

__all__ = [
    "BatchLimits",
    "BatchRan",
    "Dispatcher",
    "Event",
    "Measurement",
    "Model",
    "ModelOutputs",
    "RequestLeft",
    "RunResult",
    "WorkerRestarted",
    "nearly_cheapest",
]
