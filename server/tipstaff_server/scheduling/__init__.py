"""Which requests run together, when, and which are refused; knows neither grpc nor onnxruntime.

The way of a request: `Dispatcher.submit` asks `admission` whether it would be answered in time and
puts it into the `queue`; a free lane has the `scheduler` form the next batch, runs it and answers.
`cost` predicts how long a run takes.
"""

from tipstaff_server.scheduling.answer import Answer
from tipstaff_server.scheduling.cost import Measurement, nearly_cheapest
from tipstaff_server.scheduling.dispatcher import Dispatcher
from tipstaff_server.scheduling.events import BatchRan, Event, LaneReplaced, RequestLeft
from tipstaff_server.scheduling.model import Model, Outputs
from tipstaff_server.scheduling.scheduler import BatchLimits

__all__ = [
    "Answer",
    "BatchLimits",
    "BatchRan",
    "Dispatcher",
    "Event",
    "LaneReplaced",
    "Measurement",
    "Model",
    "Outputs",
    "RequestLeft",
    "nearly_cheapest",
]
