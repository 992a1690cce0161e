"""Where a team keeps rows, labels, jobs and evaluators, and what can be done with them.

Its rooms, from the ground up; each imports only from those before it (`tests/test_arrows.py`):

    db          the database: engine, schema, full-text index
    labels      criteria, the log of labels, effective labels, scores, named cases
    datasets    files in and out, rows and their queries
    review      the queues of rows that wait for people
    jobs        the records and processes of background jobs
    evaluators  versions in the repository, and the server that scores with them
    stores      a store for each kind of thing, over one database and folder
    operations  operations on stored data, as jobs
    workspace   the Python API
"""

from tipstaff_trainer.workspace.datasets.example_files import example_dataset
from tipstaff_trainer.workspace.evaluators.metric import Metric
from tipstaff_trainer.workspace.workspace import Workspace

__all__ = ["Metric", "Workspace", "example_dataset"]
