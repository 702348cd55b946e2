"""The habits of the code, checked: sizes, docstrings, one caller of backward, no printing, no lazy tricks."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "limner"
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_has_a_docstring_and_at_most_400_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "every file says what it is"
    assert text.count("\n") <= 400, "a file this long is two ideas"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_public_names_are_listed_and_sorted(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    listed = next(
        (
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
        ),
        None,
    )
    if listed is not None:
        assert listed == sorted(listed, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def calls(path: Path, kind: type[ast.Name] | type[ast.Attribute]) -> set[str]:
    """Return the names of called functions (ast.Name) or methods (ast.Attribute)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, kind)]
    return {node.attr if isinstance(node, ast.Attribute) else node.id for node in found}


def test_only_the_loop_computes_gradients_of_a_loss() -> None:
    assert [name for name, path in zip(NAMES, FILES, strict=True) if "backward" in calls(path, ast.Attribute)] == [
        "training/loop.py"
    ]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_is_printed_probed_or_unpickled(path: Path) -> None:
    assert not calls(path, ast.Name) & {"print", "hasattr", "eval", "exec"}
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bimport pickle\b|\btorch\.load\((?!.*weights_only=True)", text)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_names_say_what_a_thing_is(path: Path) -> None:
    vague = r"\b(cfg|args|utils?|misc|common|helpers?|manager)\b"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    assert not [name for name in names | {path.stem} if re.fullmatch(vague, name)]


def test_help_loads_no_heavy_library() -> None:
    probe = (
        "import sys; from limner.cli.main import app\n"
        "from typer.testing import CliRunner\n"
        "for words in (['--help'], ['search', '--help'], ['data', '--help']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0\n"
        "print(sorted({'torch', 'lance', 'lancedb', 'numpy', 'pyarrow', 'PIL', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_library_loads_no_torch() -> None:
    probe = "import sys, limner; print('torch' in sys.modules, limner.__all__)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False")
