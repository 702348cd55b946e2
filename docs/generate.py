"""Writes the pages of docs/reference that are made from the code: cli.md, recipes.md and benchmarks.md.

`python docs/generate.py` writes them; `python docs/generate.py --check` fails if they are out of date.
"""

import ast
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from limner.cli.main import app
from limner.config import to_dict
from limner.recipes import RECIPES

REFERENCE = Path(__file__).parent / "reference"
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def cli_page() -> str:
    """Return the help of every command."""
    lines = ["# Command line", "", "Made from the code by `make format`.", ""]
    for path, leaf in _leaves(typer.main.get_group(app), "limner"):
        lines += [f"## `{path}`", "", (leaf.help or "").split("\n\n")[0].replace("\n", " ").strip(), ""]
        rows = [_row(parameter) for parameter in leaf.params if isinstance(parameter, TyperArgument | TyperOption)]
        lines += ["| argument or option | what it is |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def recipes_page() -> str:
    """Return every recipe with its whole config."""
    lines = [
        "# Recipes",
        "",
        "Made from the code by `make format`. Change a field with `--set loop.num_steps=500`.",
        "",
    ]
    for name, recipe in sorted(RECIPES.items()):
        summary = (inspect.getdoc(recipe) or "").removeprefix("Return ")
        config = json.dumps(to_dict(recipe()), indent=2)
        lines += [f"## `{name}`", "", summary[:1].upper() + summary[1:], "", "```json", config, "```", ""]
    return "\n".join(lines)


def benchmarks_page() -> str:
    """Return the question of every benchmark, the command that answers it, and where its answers are."""
    lines = [
        "# Benchmarks",
        "",
        "Made from the code by `make format`. Each prints its figures with command, machine and commit they are of,",
        "and keeps them under `benchmarks/results`; the head of each script says what is measured, and how.",
        "",
        "| question | command | answers |",
        "|---|---|---|",
    ]
    for path in sorted(BENCHMARKS.glob("*.py")):
        paragraphs = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")
        usage = "".join(paragraphs[1:2]).strip().splitlines()[-1:]
        if not usage or "python benchmarks" not in usage[0]:
            continue
        kept = sorted(BENCHMARKS.glob(f"results/{path.stem}*.md"))
        answers = ", ".join(f"[{each.stem}](../../benchmarks/results/{each.name})" for each in kept)
        lines.append(f"| {_cell(paragraphs[0])} | `{_cell(usage[0].strip())}` | {answers} |")
    return "\n".join([*lines, ""])


def _leaves(command: Any, path: str) -> list[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        return [leaf for name, child in command.commands.items() for leaf in _leaves(child, f"{path} {name}")]
    return [(path, command)]


def _row(parameter: TyperArgument | TyperOption) -> str:
    names = parameter.opts if isinstance(parameter, TyperOption) else [(parameter.name or "").upper()]
    return f"| {', '.join(f'`{name}`' for name in names)} | {_cell(parameter.help or '')} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES = {"cli.md": cli_page, "recipes.md": recipes_page, "benchmarks.md": benchmarks_page}


def main() -> int:
    """Write the pages, or check them."""
    stale = []
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if "--check" in sys.argv:
            stale += [] if path.is_file() and path.read_text(encoding="utf-8") == text else [name]
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `make format`\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
