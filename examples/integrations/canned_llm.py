"""Stands in for an LLM API, to try a guardrail without a key: answers every chat the same.

    python examples/integrations/canned_llm.py "Yes, within 30 days." [--port 10001]

Speaks OpenAI's chat completions, streamed where the request asks for it.
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def answer(say: str, *, stream: bool) -> tuple[str, bytes]:
    """The type and the body of an answer."""
    if not stream:
        message = {"role": "assistant", "content": say}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        body = {"id": "canned", "object": "chat.completion", "model": "canned", "choices": choices}
        return "application/json", json.dumps(body).encode()
    events = [
        {"choices": [{"index": 0, "delta": {"content": piece}}]}
        for piece in say.replace(" ", " \0").split("\0")
    ]
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers a chat."""

    say = ""

    def do_POST(self) -> None:
        """Answers one request."""
        try:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        except ValueError:
            self.send_error(400, "the body is not JSON")
            return
        kind, body = answer(self.say, stream=bool(request.get("stream")))
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serves until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("say", help="what it answers")
    parser.add_argument("--port", type=int, default=10001)
    args = parser.parse_args()
    Handler.say = args.say
    server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    print(f"answers on http://127.0.0.1:{args.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
