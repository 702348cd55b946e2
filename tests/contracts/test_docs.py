"""The documentation cannot drift from the code."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.shapes import shape_records, write_shapes

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


def test_generated_pages_are_fresh() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_and_option_has_help() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    empty = [line for line in text.splitlines() if re.fullmatch(r"\| `.*` \|\s*\|", line)]
    assert not empty


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_between_pages_resolve(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_changelog_and_the_package_have_one_version() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None and newest[1] == package


def test_the_tree_of_the_readme_is_the_tree() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme.split("```\nsrc/limner/\n", 1)[1].split("```", 1)[0]
    named = {line.split()[0] for line in tree.splitlines() if re.match(r"  \S", line)}
    hidden = {"__init__.py", "__pycache__", "py.typed"}
    found = {path.name + "/" * path.is_dir() for path in (ROOT / "src/limner").iterdir() if path.name not in hidden}
    assert named == {name for name in found if name.rstrip("/") not in hidden}


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs/explanation/dependencies.md").read_text(encoding="utf-8")
    every = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    names = {re.split(r"[<>=;\[ ]", dependency)[0] for dependency in every}
    assert not [name for name in sorted(names) if name not in page]


def test_every_pinned_version_is_exact_and_names_no_host() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line.strip()]
    assert all(re.fullmatch(r"(#.*|[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+)", line) for line in lines)


def python_blocks(path: Path) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))


WITH_CODE = [path for path in PAGES if python_blocks(path)]


@pytest.mark.parametrize("path", WITH_CODE, ids=[str(path.relative_to(ROOT)) for path in WITH_CODE])
def test_the_python_of_a_page_runs(path: Path, tmp_path: Path) -> None:
    """Beside the code stand a folder `pictures` of captioned drawings and a picture set `shapes`."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for record in shape_records(sizes=(12,)):
        (folder / f"{record.id}.png").write_bytes(record.picture)
        (folder / f"{record.id}.txt").write_text(record.captions[0].text, encoding="utf-8")
    write_shapes(tmp_path / "shapes")
    done = subprocess.run([sys.executable, "-c", python_blocks(path)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
