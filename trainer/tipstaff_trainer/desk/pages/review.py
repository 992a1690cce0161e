"""Review: one row at a time."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tipstaff_trainer.desk.context import Asked
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.desk.views import address, verdict_word
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import LabelSet, ReviewItem


def routes() -> list[Route]:
    """The addresses of the review."""
    return [
        get("/review", show_all),
        get("/review/{dataset:int}", show),
        post("/review/{dataset:int}", act),
    ]


def show_all(asked: Asked) -> Response:
    """The data sets with rows to review, by criterion."""
    waiting = [
        (labels, asked.workspace.reviews.progress(labels))
        for dataset in asked.workspace.datasets.all()
        for labels in dataset.label_sets
    ]
    return asked.page("reviews.html", waiting=waiting)


def show(asked: Asked) -> Response:
    """The next row, or one that was asked for by going back."""
    labels = asked.label_set()
    if not asked.who:
        return asked.page("who.html", back=address(labels, room="review"))
    reviews = asked.workspace.reviews
    chosen = asked.whole("item")
    item = reviews.item(chosen) if chosen else reviews.claim(labels, asked.who)
    if item is None:
        return asked.page("review_done.html", labels=labels, progress=reviews.progress(labels))
    _check_within(item, labels)
    return _row_page(asked, labels, item)


def _row_page(asked: Asked, labels: LabelSet, item: ReviewItem, error: str = "") -> Response:
    row = asked.workspace.datasets.row(item.row_id, labels)
    given = asked.workspace.datasets.labels(row.id, labels)
    judged = [each for each in given if each.source == "judge"]
    mine = [each for each in given if each.source == "human" and each.who == asked.who]
    last = mine[-1] if mine and mine[-1].value is not None else None
    return asked.page(
        "review.html",
        status=400 if error else 200,
        labels=labels,
        criterion=asked.workspace.criteria.get(labels.criterion) if labels.criterion else None,
        item=item,
        row=row,
        judged=judged[-1] if judged else None,
        mine=last,
        note=asked.text("note") if error else last.reason if last else "",
        progress=asked.workspace.reviews.progress(labels),
        error=error,
    )


def act(asked: Asked) -> Response:
    """What a person decided."""
    labels = asked.label_set()
    if not asked.who:
        return asked.page("who.html", back=address(labels, room="review"))
    item_id = asked.whole("item")
    item = None if item_id is None else asked.workspace.reviews.item(item_id)
    if item is not None:
        _check_within(item, labels)
    try:
        return _decided(asked, labels, item)
    except WorkspaceError as error:
        if item is None:
            raise
        # With the note that was typed; the next row can't be handed out either on a full disk.
        return _row_page(asked, labels, item, str(error))


def _decided(asked: Asked, labels: LabelSet, item: ReviewItem | None) -> Response:
    reviews, here = asked.workspace.reviews, address(labels, room="review")
    action = asked.text("action")
    if action == "bring-back":
        return asked.go(here, f"{reviews.bring_back(labels):,} rows are back in the queue.")
    if action == "undo":
        return _undone(asked, labels, reviews.undo(labels, who=asked.who))
    if item is None:
        raise WorkspaceError("which row? Open the review again")
    if action == "back":
        before = reviews.before(item, who=asked.who)
        return (
            asked.go(address(labels, room="review", item=before.id))
            if before
            else asked.go(here, "That was your first row.", "note")
        )
    if action == "skip":
        reviews.skip(item.id, who=asked.who)
        return asked.go(here)
    if action not in ("good", "bad"):
        raise WorkspaceError("good or bad? Open the review again")
    submitted = reviews.submit(
        item.id,
        1.0 if action == "good" else 0.0,
        who=asked.who,
        based_on_label_id=asked.whole("over", 0) or 0,
        reason=asked.text("note")[:2000],
    )
    other = submitted.concurrent
    if other is None:
        return asked.go(here)
    return asked.go(
        here,
        f"{other.who} had labelled that row {verdict_word(other.value)} while you looked at it. "
        "Yours is kept beside theirs; where the two differ, the row counts as disputed.",
        "note",
    )


def _undone(asked: Asked, labels: LabelSet, item: ReviewItem | None) -> Response:
    if item is None:
        here = address(labels, room="review")
        return asked.go(here, "There is nothing of yours to undo.", "note")
    again = address(labels, room="review", item=item.id)
    return asked.go(again, "Taken back: the row waits for you again.", "note")


def _check_within(item: ReviewItem, labels: LabelSet) -> None:
    """Checks that a row is in the queue whose page it is asked for on."""
    if (item.dataset_id, item.criterion) != (labels.dataset_id, labels.criterion):
        raise WorkspaceError(f"there is no row {item.id} in the review of {labels.title}")
