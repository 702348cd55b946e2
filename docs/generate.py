"""Writes the pages that are made from the code: docs/reference/cli.md and docs/reference/recipes.md.

`python docs/generate.py` writes them; `python docs/generate.py --check` fails if they are out of date.
"""

import json
import sys
from pathlib import Path

import click
import typer.main

from limner.cli.main import app
from limner.config import to_dict
from limner.recipes import RECIPES

REFERENCE = Path(__file__).parent / "reference"


def cli_page() -> str:
    """Return the help of every command."""
    command = typer.main.get_command(app)
    lines = ["# Command line", "", "Made from the code by `make format`.", ""]
    for path, leaf in _leaves(command, "limner"):
        lines += [f"## `{path}`", "", (leaf.help or "").split("\n\n")[0].replace("\n", " ").strip(), ""]
        rows = [_row(parameter) for parameter in leaf.params if parameter.name != "help"]
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
        summary = (recipe.__doc__ or "").strip().removeprefix("Return ")
        config = json.dumps(to_dict(recipe()), indent=2)
        lines += [f"## `{name}`", "", summary[:1].upper() + summary[1:], "", "```json", config, "```", ""]
    return "\n".join(lines)


def _leaves(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    return [leaf for name, child in command.commands.items() for leaf in _leaves(child, f"{path} {name}")]


def _row(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        name = ", ".join(f"`{option}`" for option in parameter.opts)
        return f"| {name} | {_cell(parameter.help or '')} |"
    text = str(vars(parameter).get("help") or "")
    return f"| `{(parameter.name or '').upper()}` | {_cell(text)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES = {"cli.md": cli_page, "recipes.md": recipes_page}


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
