"""The context of one request to the desk: session, form fields, pages and redirects."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk import sessions, views
from tipstaff_trainer.desk.attempts import Attempts
from tipstaff_trainer.desk.forms import describe, field_text
from tipstaff_trainer.desk.sessions import Session
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.models import Job, LabelSet
from tipstaff_trainer.workspace.stores import Stores

_TEMPLATES = Path(__file__).parent / "templates"
# The largest integer of a database is below this.
_INTEGER_LIMIT = 2**63
Tone = Literal["good", "bad", "note"]
Default = TypeVar("Default", int, None)
# The sections in the navigation, with their addresses.
SECTIONS = (
    ("/datasets", "Data sets"),
    ("/criteria", "Criteria"),
    ("/review", "Review"),
    ("/evaluators", "Evaluators"),
    ("/live", "Live"),
    ("/playground", "Playground"),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What all requests share."""

    workspace: Workspace
    settings: DeskSettings
    session_cookie: str
    attempts: Attempts
    templates: Environment


@dataclass(frozen=True)
class RequestContext:
    """One request.

    Attributes:
        desk: What all requests share.
        request: Starlette's request.
        form: The form's fields; empty for a GET.
    """

    desk: Desk
    request: Request
    form: Mapping[str, Any]

    @property
    def workspace(self) -> Workspace:
        """The desk's workspace."""
        return self.desk.workspace

    @property
    def stores(self) -> Stores:
        """What the workspace holds."""
        return self.workspace.stores

    @property
    def session(self) -> Session:
        """The browser's session."""
        return self.request.session

    @property
    def who(self) -> str:
        """The person's name; empty until they gave one."""
        return str(self.session.get("name", ""))

    @property
    def signed_in(self) -> bool:
        """Whether the person gave the token."""
        return bool(self.session.get("signed_in"))

    @property
    def admitted(self) -> bool:
        """Whether the person may use the desk: with the token, or where none is needed."""
        return self.signed_in or not self.desk.settings.token

    @property
    def url(self) -> str:
        """The request's path and query."""
        url = self.request.url
        return url.path + (f"?{url.query}" if url.query else "")

    def path_number(self, name: str) -> int:
        """A number in the path.

        Raises:
            WorkspaceError: The number is too large for an id.
        """
        number = int(self.request.path_params[name])
        if number >= _INTEGER_LIMIT:
            raise WorkspaceError(f"there is no {name} {number}")
        return number

    def label_set(self) -> LabelSet:
        """The labels of the path's data set by the criterion in the form or the query.

        Without a criterion a GET uses the data set's first label set.

        Raises:
            WorkspaceError: There are no such labels, or a form names no criterion and there are
                several.
        """
        dataset = self.path_number("dataset")
        criterion = self.form.get("criterion", self.request.query_params.get("criterion"))
        if criterion is None and self.request.method == "GET":
            return self.stores.datasets.get(dataset).label_sets[0]
        return self.workspace.label_set(dataset, criterion)

    @property
    def running_jobs(self) -> list[Job]:
        """The jobs that have not ended, without the server, which runs until it is stopped."""
        # Each page shows how many there are, even the page that says the database can't be read.
        with suppress(WorkspaceError):
            return [job for job in self.stores.jobs.active() if job.kind != "serve"]
        return []

    def text(self, name: str, default: str = "") -> str:
        """A field of the form or of the query, without spaces around it."""
        value = self.form.get(name, self.request.query_params.get(name, default))
        return value.strip() if isinstance(value, str) else default

    def integer(self, name: str, default: Default) -> int | Default:
        """A field with a whole number; the default if it is empty.

        Raises:
            WorkspaceError: The field holds something else.
        """
        text = self.text(name)
        if not text:
            return default
        if not text.removeprefix("-").isdecimal() or len(text) > 15:
            raise WorkspaceError(f"{name.replace('_', ' ')}: {text[:40]!r} is not a whole number")
        return int(text)

    def texts(self, name: str) -> list[str]:
        """All values of a form's field that may have several."""
        values = self.form.getlist(name) if isinstance(self.form, FormData) else []
        return [value for value in values if isinstance(value, str)]

    def file(self, name: str) -> UploadFile | None:
        """An uploaded file; None if none was chosen."""
        file = self.form.get(name)
        return file if isinstance(file, UploadFile) and file.filename else None

    def page(
        self, template: str, *, status: int = 0, error: TipstaffError | str = "", **values: Any
    ) -> Response:
        """A page, with the notice that a redirect left for it.

        Args:
            template: Its template.
            status: Its status; if 0, 400 with an error and 200 without.
            error: What is wrong with the form that was sent; marks the field at fault.
            values: Further values for the template; the error uses the titles of a `form`.
        """
        html = self.desk.templates.get_template(template).render(
            ctx=self,
            path=self.request.url.path,
            notice=sessions.pop_notice(self.session),
            running=self.running_jobs,
            error=describe(error, values["form"].titles if "form" in values else {}),
            wrong=error.field if isinstance(error, TipstaffError) else "",
            **values,
        )
        return HTMLResponse(html, status_code=status or (400 if error else 200))

    def problem(self, problem: str, *, status: int, title: str = "Not possible") -> Response:
        """The page that says what is wrong, with a way on."""
        ways = list(dict.fromkeys([section_of(self.request.url.path), SECTIONS[0]]))
        return self.page("problem.html", status=status, title=title, problem=problem, ways=ways)

    def fragment(self, template: str, **values: Any) -> Response:
        """A part of a page, which the browser replaces while the page is open."""
        return HTMLResponse(self.desk.templates.get_template(template).render(**values))

    def redirect(self, to: str, notice: str = "", tone: Tone = "good") -> Response:
        """A redirect to another page, which shows the notice."""
        if notice:
            sessions.set_notice(self.session, tone, notice)
        return RedirectResponse(to, status_code=303)


def templates() -> Environment:
    """The templates' environment; values are escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(views.GLOBALS, sections=SECTIONS)
    environment.filters.update(views.FILTERS, field_text=field_text)
    return environment


def section_of(path: str) -> tuple[str, str]:
    """The address and the name of the section that a path belongs to; the data sets by default."""
    sections = (*SECTIONS, ("/jobs", "Jobs"))
    return next((each for each in sections if path.startswith(each[0])), SECTIONS[0])


def local_address(to: str, default: str = "") -> str:
    """`to` if it is an address of this desk, else the default."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else default
