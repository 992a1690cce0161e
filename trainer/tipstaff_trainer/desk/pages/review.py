"""Review: one row at a time."""

from __future__ import annotations

from starlette.responses import Response

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.desk.views import labels_url, verdict_word
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import LabelSet, ReviewItem

routes = Routes()


@routes.get("/review")
def show_all(ctx: RequestContext) -> Response:
    """The review queues, by data set and criterion."""
    waiting = [
        (labels, ctx.stores.reviews.progress(labels))
        for dataset in ctx.stores.datasets.all()
        for labels in dataset.label_sets
    ]
    return ctx.page("reviews.html", waiting=waiting)


@routes.get("/review/{dataset:int}")
def show(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """The next row for review, or the row of an item that the address or the form names."""
    labels = ctx.label_set()
    if not ctx.who:
        return ctx.page("who.html", back=labels_url(labels, section="review"))
    reviews = ctx.stores.reviews
    item = _item(ctx, labels)
    if item is None and isinstance(error, TipstaffError):
        raise error
    item = item or reviews.claim(labels, ctx.who)
    if item is None:
        return ctx.page("review_done.html", labels=labels, progress=reviews.progress(labels))
    row = ctx.stores.datasets.row(item.row_id, labels)
    log = ctx.stores.datasets.labels(row.id, labels)
    judge_labels = [each for each in log if each.source == "judge"]
    own_labels = [each for each in log if each.source == "human" and each.who == ctx.who]
    own = own_labels[-1] if own_labels else None
    return ctx.page(
        "review.html",
        labels=labels,
        criterion=ctx.stores.criteria.get(labels.criterion) if labels.criterion else None,
        item=item,
        row=row,
        judge_label=judge_labels[-1] if judge_labels else None,
        own_label=own if own and own.value is not None else None,
        note=ctx.text("note") if error else own.reason if own else "",
        progress=reviews.progress(labels),
        error=error,
    )


# On a full disk, for example, the same row is shown again with its note.
@routes.post("/review/{dataset:int}", again=show)
def act(ctx: RequestContext) -> Response:
    """Records a reviewer's decision."""
    labels = ctx.label_set()
    here = labels_url(labels, section="review")
    if not ctx.who:
        return ctx.page("who.html", back=here)
    reviews, item = ctx.stores.reviews, _item(ctx, labels)
    action = ctx.text("action")
    if action == "requeue-skipped":
        count = reviews.requeue_skipped(labels)
        return ctx.redirect(here, f"{count:,} skipped rows are back in the queue.")
    if action == "undo":
        item = reviews.undo(labels, who=ctx.who)
        if item is None:
            return ctx.redirect(here, "You have nothing to undo.", "note")
        again = labels_url(labels, section="review", item=item.id)
        return ctx.redirect(again, "Your label is taken back, and the row is open again.", "note")
    if item is None:
        raise WorkspaceError("no row was chosen: open the review again")
    if action == "back":
        if before := reviews.before(item, who=ctx.who):
            return ctx.redirect(labels_url(labels, section="review", item=before.id))
        return ctx.redirect(here, "That was your first row.", "note")
    if action == "skip":
        reviews.skip(item.id, who=ctx.who)
        return ctx.redirect(here)
    if action == "remove":
        reviews.remove(item.id, who=ctx.who)
        return ctx.redirect(here)
    if action not in ("good", "bad"):
        raise WorkspaceError("neither good nor bad was chosen: open the review again")
    submitted = reviews.submit(
        item.id,
        1.0 if action == "good" else 0.0,
        who=ctx.who,
        based_on_label_id=ctx.integer("based_on_label_id", 0),
        reason=ctx.text("note")[:2000],
    )
    if (other := submitted.concurrent) is None:
        return ctx.redirect(here)
    notice = (
        f"{other.who} labelled that row {verdict_word(other.value)} while you looked at it. Both "
        "labels are kept; if they differ, the row is disputed."
    )
    return ctx.redirect(here, notice, "note")


def _item(ctx: RequestContext, labels: LabelSet) -> ReviewItem | None:
    """The item that a request names, which must be in the page's queue; None if it names none."""
    if not (item_id := ctx.integer("item", 0)):
        return None
    item = ctx.stores.reviews.item(item_id)
    if (item.dataset_id, item.criterion) != (labels.dataset_id, labels.criterion):
        raise WorkspaceError(f"there is no row {item.id} in the review of {labels.title}")
    return item
