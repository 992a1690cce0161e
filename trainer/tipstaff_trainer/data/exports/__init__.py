"""Other tools' exports, each described in a TOML file of this folder.

A description says what an export is recognised by, where each role is (`data.paths`), and where
labels are. A user's own is a file of the same form. `source` is where the tool describes the shape.

    name = "LangSmith"
    source = "https://..."
    requires = ["inputs", "outputs"]       # each is there in some row
    any_of = ["feedback", "run_type"]      # and one of these
    good = ["factual"]                     # words of its labels, beside those that are known
    bad = ["hallucinated"]

    [mapping]                              # the first that most rows have counts
    input = ["inputs.question", "inputs"]

    [[labels]]
    each = "feedback"                      # a list, or an object by the labels' names
    name = ["key"]                         # in a list's element; an object's names are the labels'
    value = ["score", "value"]             # the first that is there; none: the element itself
    note = "comment"
    source = "source.type"                 # who gave it; `human` and `judge` list its values
    human = ["app"]
    by = "other"                           # who gave those that the source doesn't tell
    status = "status"                      # its state; those that are left out don't count
    leave_out = ["draft"]
    columns = ["feedback.*"]               # in place of `each`: columns that are labels
"""

from tipstaff_trainer.data.exports.apply import as_export
from tipstaff_trainer.data.exports.forms import ExportForm, builtin_forms, load_form

__all__ = ["ExportForm", "as_export", "builtin_forms", "load_form"]
