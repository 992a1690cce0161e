"""One request to the desk: who asks, what their form says, and the page or the way on they get."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tipstaff_trainer.desk import views
from tipstaff_trainer.desk.attempts import Attempts
from tipstaff_trainer.desk.sessions import Session, Signer
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.models import Job, LabelSet

_TEMPLATES = Path(__file__).parent / "templates"
FORM_MARK = "form_mark"
# What databases count up to.
_NUMBERS = 2**63
Tone = Literal["good", "bad", "note"]


@dataclass(frozen=True, slots=True)
class Desk:
    """What all requests share."""

    workspace: Workspace
    settings: DeskSettings
    signer: Signer
    attempts: Attempts
    templates: Environment


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        desk: What all requests share.
        request: As Starlette has it.
        session: Whose it is.
        form: The fields that were sent; empty for a GET.
    """

    desk: Desk
    request: Request
    session: Session
    form: Mapping[str, Any]

    @property
    def workspace(self) -> Workspace:
        """The workspace that the desk is a face of."""
        return self.desk.workspace

    @property
    def who(self) -> str:
        """The person's name."""
        return self.session.name

    @property
    def here(self) -> str:
        """The address that was asked for, with what it says of the criterion."""
        url = self.request.url
        return url.path + (f"?{url.query}" if url.query else "")

    def number(self, name: str) -> int:
        """A number of the path.

        Raises:
            WorkspaceError: It is larger than any that there is.
        """
        number = int(self.request.path_params[name])
        if number >= _NUMBERS:
            raise WorkspaceError(f"there is no {name} {number}")
        return number

    def label_set(self) -> LabelSet:
        """The labels that are asked about: of the path's data set, by the criterion that is named.

        Where none is named a page shows the first, but nothing is done to any.

        Raises:
            WorkspaceError: There are no such labels, or a form names none of several.
        """
        number = self.number("dataset")
        named = self.form.get("criterion", self.request.query_params.get("criterion"))
        if named is None and self.request.method == "GET":
            return self.workspace.datasets.get(number).label_sets[0]
        return self.workspace.label_set(number, named)

    @property
    def running(self) -> list[Job]:
        """The jobs that haven't ended, as far as can be told; a server has no end to wait for."""
        # Every page says it, the one too that says why the database can't be read.
        with suppress(WorkspaceError):
            return [job for job in self.workspace.jobs.active() if job.kind != "serve"]
        return []

    def text(self, name: str, default: str = "") -> str:
        """A field of the form, else of the query."""
        value = self.form.get(name, self.request.query_params.get(name, default))
        return value.strip() if isinstance(value, str) else default

    def whole(self, name: str, default: int | None = None) -> int | None:
        """A field that is a whole number; the default where it is empty.

        Raises:
            WorkspaceError: It is something else.
        """
        text = self.text(name)
        if not text:
            return default
        if not text.removeprefix("-").isdecimal() or len(text) > 15:
            raise WorkspaceError(f"{name.replace('_', ' ')}: {text[:40]!r} is no whole number")
        return int(text)

    def texts(self, name: str) -> list[str]:
        """All values of a field that may be given several times."""
        form = self.form
        values = form.getlist(name) if isinstance(form, FormData) else []
        return [value for value in values if isinstance(value, str)]

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page."""
        signer = self.desk.signer
        notice = signer.read("notice", self.request.cookies.get(signer.notice_cookie, ""))
        html = self.desk.templates.get_template(template).render(
            asked=self,
            session=self.session,
            form_mark=signer.form_mark(self.session),
            mark_name=FORM_MARK,
            path=self.request.url.path,
            notice=notice if isinstance(notice, list) else None,
            running=self.running,
            max_upload_bytes=self.desk.settings.max_upload_bytes,
            **{"error": "", **values},
        )
        response = HTMLResponse(html, status_code=status)
        if signer.notice_cookie in self.request.cookies:
            response.delete_cookie(signer.notice_cookie)
        return response

    def part(self, template: str, **values: Any) -> Response:
        """A part of a page, for one that is open to renew."""
        return HTMLResponse(self.desk.templates.get_template(template).render(**values))

    def go(self, to: str, notice: str = "", tone: Tone = "good") -> Response:
        """On to another page, with something to say there."""
        response = RedirectResponse(to, status_code=303)
        if notice:
            response.set_cookie(
                self.desk.signer.notice_cookie,
                self.desk.signer.sign("notice", [tone, notice[:1500]]),
                max_age=60,
                httponly=True,
                samesite="lax",
            )
        return response


def templates() -> Environment:
    """The desk's pages; everything put into them is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(views.GLOBALS)
    environment.filters.update(views.FILTERS)
    return environment


def inside(to: str, default: str = "") -> str:
    """An address, if it is one of this desk's; the default for any other."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else default


def upload_of(asked: Asked, name: str) -> UploadFile | None:
    """A file that was sent; None when none was chosen."""
    file = asked.form.get(name)
    return file if isinstance(file, UploadFile) and file.filename else None
