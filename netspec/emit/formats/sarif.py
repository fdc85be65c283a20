"""SARIF 2.1.0 (OASIS, 2020): code hosts show its results beside the lines of a pull request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath

from netspec.checker import Report
from netspec.codes import CODES
from netspec.codes.explanation import DOCUMENT
from netspec.diagnostics import Diagnostic, Source, Span
from netspec.emit.formats import Format, Options
from netspec.emit.manual.diagnostics import explain_code, markdown_example

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def write(reports: Sequence[Report], options: Options) -> str:
    """Return a SARIF log with one result for each diagnostic."""
    found = [d for r in reports for d in r.diagnostics]
    rules = [rule(code) for code in sorted({d.code for d in found})]
    driver = {"name": "netspec", "informationUri": DOCUMENT, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [result(d) for d in found],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def rule(code: str) -> dict[str, object]:
    """Return the SARIF rule of a diagnostic code, with its explanation."""
    e = CODES.get(code)
    if e is None:  # a code defined by a plug-in
        return {"id": code}
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in code.split("-")),
        "shortDescription": {"text": f"{e.title}."},
        "fullDescription": {"text": e.text},
        "help": {"text": explain_code(e), "markdown": f"{e.text}\n\n{markdown_example(e)}"},
        "helpUri": e.url,
        "defaultConfiguration": {"level": e.severity},
    }


def result(d: Diagnostic) -> dict[str, object]:
    """Return the SARIF result of a diagnostic. Its labels become related locations."""
    text = ". ".join([d.message, *d.notes, *([d.help] if d.help else [])])
    labels = [{**place(x.span), "message": {"text": x.text}} for x in d.labels]
    made: dict[str, object] = {
        "ruleId": d.code,
        "level": d.severity,
        "message": {"text": text},
        "locations": [place(d.span)],
    }
    return made | {"relatedLocations": labels} if labels else made


def place(span: Span) -> dict[str, object]:
    source: Source = span.source
    (line, column), (end_line, end_column) = source.place(span.start), source.place(span.end)
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    return {
        "physicalLocation": {"artifactLocation": {"uri": PurePath(source.path).as_posix()}, "region": region}
    }


FORMAT = Format(write, holds_diagnostics=True)
