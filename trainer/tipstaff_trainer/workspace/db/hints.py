"""What tells SQLite's planner what PostgreSQL's finds out by itself."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

Value = TypeVar("Value")


class _WithoutIndex(FunctionElement[Value]):
    inherit_cache = True

    def __init__(self, column: ColumnElement[Value]) -> None:
        super().__init__(column)
        self.type = column.type


def without_index(column: Any) -> ColumnElement[Any]:
    """The column, by whose indexes SQLite won't look.

    Elsewhere it is the column alone: an expression would hide from PostgreSQL how many rows match.
    """
    return _WithoutIndex(column)


@compiles(_WithoutIndex)
def _compile(element: _WithoutIndex[Any], compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_WithoutIndex, "sqlite")
def _compile_for_sqlite(element: _WithoutIndex[Any], compiler: SQLCompiler, **options: Any) -> str:
    # https://sqlite.org/optoverview.html: a unary plus makes the term unusable for an index.
    return f"+{compiler.process(element.clauses, **options)}"
