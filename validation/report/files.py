"""Reports on disk: ``report.json``, ``index.html`` and ``junit.xml`` in one folder."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from ...theory._checks import bad
from ..verdict import Report
from .junit import junit

NAME = "report.json"
LEDGER = "ledger.html"
DERIVATIONS = "derivations"  #: folder of their pages


def write(path: Path, data: bytes) -> None:
    """Writes a file in one stroke: whoever reads it finds the old bytes or the new, never a part.

    Raises:
        ValueError: the file cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            # mkstemp makes private files; a report is as readable as any other new file.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise bad(
            "out",
            f"{str(path)!r} ({error.strerror or error})",
            "a file that can be written",
            "free some space, or name another folder",
        ) from error


def folder(out: str | Path) -> Path:
    """Makes the output folder.

    Raises:
        ValueError: there is a file in the way, or no permission.
    """
    try:
        path = Path(out).expanduser()
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "no permission to write")
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise bad(
            "out",
            f"{str(out)!r} ({why})",
            "a folder that can be made and written",
            "name another folder, or move what is in the way",
        ) from error
    return path


def save(report: Report, out: str | Path) -> Path:
    """Writes ``report.json``, ``junit.xml`` and ``index.html`` into the folder ``out``.

    A run with printed sentences gets ``ledger.html`` as well; it links to the pages of derivations that
    ``scoreproof derive --html`` has put into the folder ``derivations`` within ``out``.

    Args:
        report: the run.
        out: folder, made if it does not exist.

    Returns:
        The folder.

    Raises:
        ValueError: the folder cannot be made or written.
    """
    from .html import render  # templates and pictures are loaded only where a page is made

    path = folder(out)
    # A lone surrogate has no UTF-8 form; its escape is the one that JSON reads back.
    write(path / NAME, report.to_json().encode("utf-8", "backslashreplace"))
    declaration = "<?xml version='1.0' encoding='utf-8'?>\n"
    write(path / "junit.xml", (declaration + junit(report) + "\n").encode())
    write(path / "index.html", render(report).encode("utf-8", "replace"))
    if any(v.role == "printed" for v in report.verdicts):
        from .ledger import render_ledger

        page = render_ledger(report, derivations=_derived(path))
        write(path / LEDGER, page.encode("utf-8", "replace"))
    return path


def _derived(path: Path) -> dict[str, tuple[str, ...]]:
    """Derivations of every entry of the ledger that have a page beside the report."""
    there = {page.stem for page in (path / DERIVATIONS).glob("*.html")}
    if not there:
        return {}
    from ..claims import CLAIMS

    return {id: tuple(n for n in names if n in there) for id, names in CLAIMS.derivations.items()}


def load(path: str | Path) -> Report:
    """Reads a report back.

    Args:
        path: a ``report.json``, or the folder that holds one.

    Returns:
        The report; its outcomes are computed again from the evidence.

    Raises:
        ValueError: no such file, not JSON, another schema, parts missing, or an outcome that the
            evidence does not give.
    """
    file = Path(path)
    shown = repr(str(path))
    try:
        file = file / NAME if file.is_dir() else file
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise bad("report", shown, "UTF-8 text", "pass a report.json of scoreproof") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise bad("report", f"{shown} ({why})", "a report.json", "check the path") from error
    try:
        report = Report.from_json(text)
        said = json.loads(text).get("outcome")
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise bad("report", f"{shown} ({where})", "JSON", "write the report again") from error
    except ValueError as error:
        raise ValueError(f"report {shown}: {' '.join(str(error).split())}") from error
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise bad(
            "report",
            f"{shown} with a part missing or of the wrong type ({why})",
            "the fields that scoreproof writes",
            "write the report again",
        ) from error
    if said != str(report.outcome):
        raise bad(
            "outcome of the report",
            f"{said!r}",
            f"{report.outcome}, which its verdicts give",
            "the file was edited by hand, run the checks again",
        )
    return report
