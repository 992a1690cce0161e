"""mosec with dynamic batching; each worker tokenises and runs the int8 graph.

MODEL=FOLDER WORKERS=2 MAX_BATCH=16 MAX_WAIT_MS=5 python mosec_app.py --port 8000
"""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from mosec import Server, Worker
from tokenizers import Tokenizer


class Evaluator(Worker):
    """Scores a batch of texts, padded to the longest."""

    def __init__(self) -> None:
        model = Path(os.environ["MODEL"])
        self._tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self._tokenizer.enable_truncation(512)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model / "onnx" / "model_quantized.onnx",
            options,
            # Slower on a CPU than the nodes it fuses; Tipstaff disables it too.
            disabled_optimizers=["SkipLayerNormFusion"],
        )

    def forward(
        self, data: dict[str, str] | list[dict[str, str]]
    ) -> dict[str, float] | list[dict[str, float]]:
        """Returns one score per text; with batches of one, mosec passes the item itself."""
        if isinstance(data, dict):
            return self.forward([data])[0]
        encodings = self._tokenizer.encode_batch([item["text"] for item in data])
        ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
        feeds = {
            "input_ids": ids,
            "attention_mask": np.array(
                [encoding.attention_mask for encoding in encodings], dtype=np.int64
            ),
            "token_type_ids": np.zeros_like(ids),
        }
        logits = self._session.run(["logits"], feeds)[0].reshape(-1).astype(float)
        return [{"score": float(score)} for score in 1 / (1 + np.exp(-logits))]


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Evaluator,
        num=int(os.environ["WORKERS"]),
        max_batch_size=int(os.environ["MAX_BATCH"]),
        max_wait_time=int(os.environ["MAX_WAIT_MS"]),
    )
    server.run()
