"""What an evaluator is and how to run one; knows neither grpc nor queues."""

from tipstaff_server.evaluator.evaluator import Evaluator, Prediction

__all__ = ["Evaluator", "Prediction"]
