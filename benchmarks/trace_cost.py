"""What spans cost of an answer, in processor time: with `trace_endpoint` set, by `trace_share`.

    python benchmarks/trace_cost.py BUNDLE

In one process, without gRPC: the time to read and run one interaction, and what
telling the telemetry of it adds, with the exporter's thread and the sending to a collector of this
machine. Exits with 1 if it adds more than 2 % at the share that is the default.
"""

from __future__ import annotations

import argparse
import http.server
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from pathlib import Path

from tipstaff import Interaction, Reason, Score, Verdict
from tipstaff.types import Timing
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.settings import Settings
from tipstaff_server.telemetry.interaction import Interaction as Told
from tipstaff_server.telemetry.observer import Telemetry
from tipstaff_server.telemetry.tracing import Tracing

_MOST = 0.02
_ROUNDS = 5
_TEXT = Interaction(
    "Can I return the kettle?",
    "Yes, within 30 days.",
    "Kitchen appliances can be returned within 14 days of delivery.",
)
_SCORE = Score(
    verdict=Verdict.PASS,
    score=0.9,
    request_id="request",
    evaluator="tiny",
    reasons=(Reason.UNCERTIFIED,),
    timing=Timing(encode=0.001, queue=0.001, inference=0.002, total=0.004),
)


class _Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _collect(ports: Queue[int]) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Collector)
    ports.put(server.server_port)
    server.serve_forever()


def _seconds(step: Callable[[], object], count: int) -> float:
    """Processor time of a step, the median of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        for number in range(count):
            step()
            if number % 200 == 199:
                time.sleep(0.05)  # for the exporter's thread, which sends as it goes
        rounds.append((time.process_time() - started) / count)
    return statistics.median(rounds)


def main() -> int:
    """Reads the arguments, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--calls", type=int, default=1000)
    args = parser.parse_args()
    evaluator = Evaluator.load(args.bundle)
    evaluator.score(_TEXT)
    answer = _seconds(lambda: evaluator.score(_TEXT), args.calls // 5)
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    collector = context.Process(target=_collect, args=(ports,), daemon=True)
    collector.start()
    endpoint = f"http://127.0.0.1:{ports.get()}"
    share = Settings.model_fields["trace_share"].default
    told = Told("request", "checkout", "tiny", "OK", 0.004, _SCORE)
    added = {}
    for each in (0.0, share, 1.0):
        telemetry = Telemetry(tracing=Tracing(endpoint), trace_share=each)

        def tell(telemetry: Telemetry = telemetry) -> None:
            telemetry.begin([("user-agent", "grpc"), ("tipstaff-caller", "checkout")])
            telemetry.tell(told)

        added[each] = _seconds(tell, args.calls)
        telemetry.close()
    collector.kill()
    print(f"an answer: {answer * 1e6:.0f} µs\n| trace_share | added | of an answer |")
    print("| --- | --- | --- |")
    for each, seconds in added.items():
        print(f"| {each:g} | {seconds * 1e6:.1f} µs | {seconds / answer:.2%} |")
    return int(added[share] / answer > _MOST)


if __name__ == "__main__":
    sys.exit(main())
