"""Review: one row at a time."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tipstaff_trainer.desk.asked import Asked, Tone
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.desk.views import verdict_word
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.tables import ReviewItem


def routes() -> list[Route]:
    """The addresses of the review."""
    return [
        get("/review", show_all),
        get("/review/{dataset:int}", show),
        post("/review/{dataset:int}", act),
    ]


def show_all(asked: Asked) -> Response:
    """The data sets with rows to review."""
    datasets = asked.workspace.datasets.all()
    waiting = [(each, asked.workspace.reviews.progress(each.id)) for each in datasets]
    return asked.page("reviews.html", waiting=waiting)


def show(asked: Asked) -> Response:
    """The next row, or one that was asked for by going back."""
    dataset = asked.workspace.datasets.get(asked.number("dataset"))
    if not asked.who:
        return asked.page("who.html", back=asked.request.url.path)
    reviews = asked.workspace.reviews
    chosen = asked.whole("item")
    item = reviews.item(chosen) if chosen else reviews.claim(dataset.id, asked.who)
    if item is not None and item.dataset_id != dataset.id:
        raise WorkspaceError(f"there is no row {item.id} in the review of {dataset.name}")
    progress = reviews.progress(dataset.id)
    if item is None:
        return asked.page("review_done.html", dataset=dataset, progress=progress)
    row = asked.workspace.datasets.row(item.row_id)
    labels = asked.workspace.datasets.labels(row.id)
    judged = [each for each in labels if each.source == "judge"]
    mine = [each for each in labels if each.source == "human" and each.who == asked.who]
    return asked.page(
        "review.html",
        dataset=dataset,
        criterion=asked.workspace.criteria.get(dataset.criterion) if dataset.criterion else None,
        item=item,
        row=row,
        judged=judged[-1] if judged else None,
        mine=mine[-1] if mine and mine[-1].value is not None else None,
        progress=progress,
    )


def act(asked: Asked) -> Response:
    """What a person decided."""
    dataset = asked.number("dataset")
    here = f"/review/{dataset}"
    if not asked.who:
        return asked.page("who.html", back=here)
    reviews = asked.workspace.reviews
    action = asked.text("action")
    if action == "bring-back":
        return asked.go(here, f"{reviews.bring_back(dataset):,} rows are back in the queue.")
    if action == "undo":
        item = reviews.undo(dataset, who=asked.who)
        return _undone(asked, here, item)
    item_id = asked.whole("item")
    if item_id is None:
        raise WorkspaceError("which row? Open the review again")
    item = reviews.item(item_id)
    if action == "back":
        before = reviews.before(item, who=asked.who)
        return (
            asked.go(f"{here}?item={before.id}")
            if before
            else asked.go(here, "That was your first row.", "note")
        )
    if action == "skip":
        reviews.skip(item_id, who=asked.who)
        return asked.go(here)
    if action not in ("good", "bad"):
        raise WorkspaceError("good or bad? Open the review again")
    submitted = reviews.submit(
        item_id,
        1.0 if action == "good" else 0.0,
        who=asked.who,
        over=asked.whole("over", 0) or 0,
        reason=asked.text("note")[:2000],
    )
    other = submitted.crossed
    if other is None:
        return asked.go(here)
    return asked.go(
        here,
        f"{other.who} had labelled that row {verdict_word(other.value)} while you looked at it. "
        "Yours is kept beside theirs; where the two differ, the row counts as disputed.",
        "note",
    )


def _undone(asked: Asked, here: str, item: ReviewItem | None) -> Response:
    if item is None:
        return asked.go(here, "There is nothing of yours to undo.", "note")
    tone: Tone = "note"
    return asked.go(f"{here}?item={item.id}", "Taken back: the row waits for you again.", tone)
