"""The shape of the project: import direction, lazy start-up, file sizes, no cycles, the package list."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("theory", "numerics", "models", "validation")
MODULES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))
#: Heavy libraries that a command which only prints help must not pay for.
HEAVY = ("torch", "sympy", "matplotlib", "scipy.stats", "sklearn", "diffusers")


def imports(path: Path) -> list[tuple[int, str, bool]]:
    """(level, dotted name, at module level) of every import of a file."""
    found = []
    tree = ast.parse(path.read_text())
    inner = {
        id(node)
        for scope in ast.walk(tree)
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(scope)
    }
    guarded = {
        id(node)
        for scope in ast.walk(tree)
        if isinstance(scope, ast.If) and "TYPE_CHECKING" in ast.dump(scope.test)
        for node in ast.walk(scope)
    }
    for node in ast.walk(tree):
        top = id(node) not in inner and id(node) not in guarded
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", top))
        elif isinstance(node, ast.Import):
            found.extend((0, alias.name, top) for alias in node.names)
    return found


def target(path: Path, level: int, name: str) -> str | None:
    """Dotted module inside the project that a relative import points to, or None."""
    if level == 0:
        return None
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    base = package[: len(package) - (level - 1)]
    return ".".join((*base, name)) if name else ".".join(base)


def test_rooms_import_only_to_the_left():
    wrong = [
        f"{path.relative_to(ROOT)} imports {goal}"
        for path in MODULES
        for level, name, _ in imports(path)
        if (goal := target(path, level, name))
        and ROOMS.index(goal.split(".")[0]) > ROOMS.index(path.relative_to(ROOT).parts[0])
    ]
    assert wrong == []


def test_no_bare_room_imports():
    files = [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for level, name, _ in imports(path)
        if level == 0 and name.split(".")[0] in ROOMS
    ]
    assert wrong == []


def test_no_bare_room_is_loaded():
    assert [room for room in ROOMS if room in sys.modules] == []


def test_torch_is_imported_at_the_top_only_where_the_name_says_so():
    wrong = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if path.relative_to(ROOT).parts[0] != "models" and not path.stem.endswith("_torch")
        for _, name, top in imports(path)
        if top
        and name.split(".")[0] in ("torch", "sympy", "matplotlib", "sklearn", "diffusers", "flint")
        # The symbolic package is all sympy; it is itself imported lazily.
        if not (name.split(".")[0] == "sympy" and path.parent == ROOT / "theory" / "symbolic")
    ]
    assert wrong == []


def test_files_are_short():
    long = {
        str(p.relative_to(ROOT)): n
        for p in MODULES
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}


def test_no_import_cycles():
    """Module-level imports form no cycle; lazy room tables do not count, they import on use."""
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in MODULES}
    edges = {
        module: {
            goal
            for level, name, top in imports(path)
            if top and (goal := target(path, level, name)) in names
        }
        for module, path in names.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for goal in edges[module]:
                visit(goal, (*trail, module))
            done.add(module)

    for module in edges:
        visit(module, ())


def test_package_list_is_complete():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {
        "scoreproof." + ".".join(p.parent.relative_to(ROOT).parts)
        for p in MODULES
        if p.name == "__init__.py"
    }
    assert sorted(table) == sorted(folders)


def test_every_package_has_an_init():
    folders = {p.parent for p in MODULES}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()] == []


def test_lazy_tables_name_what_exists():
    import importlib

    for room in ROOMS:
        module = importlib.import_module(f"scoreproof.{room}")
        for name in module.__all__:
            assert getattr(module, name) is not None


@pytest.mark.parametrize("room", ROOMS)
def test_importing_a_room_is_light(room):
    code = f"import sys, scoreproof.{room}; print([m for m in {HEAVY!r} if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_help_is_light():
    code = (
        "import sys\n"
        "sys.argv = ['scoreproof', '--help']\n"
        "from scoreproof.validation.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip().splitlines()[-1] == "[]"


def test_the_project_speaks_of_itself_alone():
    """No absolute path of a machine stands in any tracked text."""
    shown = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if shown.returncode:
        pytest.skip("not a git checkout")
    texts = [ROOT / f for f in shown.stdout.split() if f.endswith((".py", ".md", ".toml", ".txt"))]
    marks = ("/" + "work/", "/" + "root/", "/" + "home/")
    wrong = [
        str(p.relative_to(ROOT))
        for p in texts
        if p.exists() and any(m in p.read_text() for m in marks)
    ]
    assert wrong == []
