"""The files that say who may ask, as the settings name them, followed while the server runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tipstaff.access_files import Credentials, Watched, watch_credentials
from tipstaff_server.access.callers import Callers, load_callers
from tipstaff_server.errors import SettingsError
from tipstaff_server.settings import Settings


class AccessFiles:
    """Callers and TLS of one server.

    Attributes:
        credentials: The TLS files; None to serve without TLS.

    Args:
        settings: Name the files.

    Raises:
        AccessFileError: One can't be used.
        SettingsError: The settings contradict the file of callers.
    """

    def __init__(self, settings: Settings) -> None:
        self.credentials = watch_credentials(
            settings.tls_certificate, settings.tls_key, settings.tls_client_ca
        )
        self._callers: Watched[Callers] | None = None
        self._evaluators: Callable[[], Iterable[str]] | None = None
        if (path := settings.callers) is not None:
            self._path = path
            self._callers = Watched("callers", (path,), self._load_callers)
            named = settings.caller_key and "caller_key" in settings.model_fields_set
            if named and self.callers.need_tokens:
                raise SettingsError(
                    "callers with tokens are known by them, and can't also name themselves",
                    field="caller_key",
                    remedy=f"leave it out, or leave the tokens out of {path}",
                )

    @property
    def callers(self) -> Callers:
        """The callers that are known now."""
        return Callers() if self._callers is None else self._callers.current

    def watched(self) -> dict[str, Watched[Callers] | Watched[Credentials]]:
        """All that is followed, by the files' name in metrics."""
        both = {"callers": self._callers, "tls": self.credentials}
        return {name: each for name, each in both.items() if each is not None}

    def poll(self) -> None:
        """Looks at the files again."""
        for each in self.watched().values():
            each.poll()

    def expect(self, evaluators: Callable[[], Iterable[str]]) -> None:
        """Tells which evaluators there are: callers may be limited to these alone.

        Args:
            evaluators: Their names at any time, from any thread.

        Raises:
            AccessFileError: The callers of now name another.
        """
        self._evaluators = evaluators
        if self._callers is not None:
            self.callers.check_evaluators(evaluators(), self._path)

    def _load_callers(self) -> Callers:
        callers = load_callers(self._path)
        if self._evaluators is not None:
            callers.check_evaluators(self._evaluators(), self._path)
        return callers
