"""The service that most tutorials show: FastAPI around a transformers model, one text a call.

MODEL=FOLDER uvicorn fastapi_app:app
"""

import os

import torch
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

app = FastAPI()
tokenizer = AutoTokenizer.from_pretrained(os.environ["MODEL"])
model = AutoModelForSequenceClassification.from_pretrained(
    os.environ["MODEL"], trust_remote_code=True
).eval()


class Item(BaseModel):
    """A request."""

    text: str


@app.post("/score")
def score(item: Item) -> dict[str, float]:
    """Scores one text."""
    inputs = tokenizer(item.text, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs).logits
    return {"score": torch.sigmoid(logits).item()}
