"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "RANKER",
    "AsJson",
    "Count",
    "Drawer",
    "Guidance",
    "Out",
    "Ranker",
    "Seed",
    "Sheet",
    "Temperature",
    "TopK",
    "TopP",
    "Watch",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

Count = Annotated[int, typer.Option("-n", "--count", min=1, max=4096, help="How many to draw.")]
Sheet = Annotated[Path | None, typer.Option(help="Draw a contact sheet into this file.")]
Out = Annotated[Path | None, typer.Option(help="Write each picture into this new folder.")]
Watch = Annotated[Path | None, typer.Option(help="Show the pictures in this file while they are drawn.")]
Drawer = Annotated[str, typer.Option("--model", help="A DALL-E: its run or model folder, or the shipped one.")]
RANKER = "pictograms"
Ranker = Annotated[str, typer.Option(help="The CLIP that says which drawings fit the words, or none.")]
Seed = Annotated[int, typer.Option(min=0, help="Another number draws other pictures.")]
Temperature = Annotated[float, typer.Option(help="Below 1 draws what is likelier, above 1 what is rarer.")]
TopK = Annotated[int, typer.Option(help="Choose each code among the likeliest, as 64; 0: among all.")]
TopP = Annotated[float, typer.Option(help="Choose each code among the fewest that are as likely together, as 0.95.")]
Guidance = Annotated[float, typer.Option(help="How closely to follow the words: 1 as learned, above 1 closer.")]
