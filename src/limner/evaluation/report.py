"""A page that shows queries and what they found: one HTML file with the pictures inside, no script, no network."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

__all__ = ["Section", "ShownPicture", "report_page"]

_LONGEST_SIDE = 160

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 72rem; padding: 2.5rem 1.5rem 4rem; background: #fbfaf7; color: #23211d;
       font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font: 600 2.1rem/1.2 Georgia, "DejaVu Serif", serif; margin: 0 0 .4rem; }
.lead { color: #6a655b; max-width: 46rem; margin: 0 0 2.2rem; }
section { background: #fff; border: 1px solid #e6e1d6; border-radius: 10px; padding: 1.1rem 1.3rem 1.3rem;
          margin: 0 0 1.2rem; }
h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
.kind { font-size: .74rem; letter-spacing: .07em; text-transform: uppercase; color: #9a5b2c; margin: 0 0 .15rem; }
.note { color: #6a655b; margin: .2rem 0 0; font-size: .92rem; }
.asked { display: flex; gap: .9rem; align-items: center; }
.asked img { width: 72px; height: 72px; object-fit: contain; border: 2px solid #d9b48f; border-radius: 8px; }
ol { list-style: none; display: grid; gap: .8rem; padding: 0; margin: 1rem 0 0;
     grid-template-columns: repeat(auto-fill, minmax(118px, 1fr)); }
figure { margin: 0; }
li img { box-sizing: border-box; width: 100%; aspect-ratio: 1; padding: 7px; object-fit: contain;
         border: 1px solid #ece8df; border-radius: 8px; }
figcaption { font-size: .85rem; line-height: 1.3; margin-top: .35rem; overflow-wrap: anywhere; }
.score { display: block; color: #8b8577; font-variant-numeric: tabular-nums; font-size: .78rem; }
footer { color: #8b8577; font-size: .85rem; margin-top: 2rem; }
@media print { section { break-inside: avoid; } body { background: #fff; } }
"""


@dataclass(frozen=True, kw_only=True)
class ShownPicture:
    """A picture with what stands below it."""

    picture: Image.Image
    caption: str
    score: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One query and its hits, best first: `kind` names the sort of query, `query` its words, `asked` its picture."""

    kind: str
    query: str
    hits: Sequence[ShownPicture]
    asked: Image.Image | None = None
    note: str = ""


def report_page(title: str, lead: str, sections: Sequence[Section], *, footer: str = "") -> str:
    """Return a whole HTML page; every text is escaped, every picture is a small PNG inside the page."""
    body = "\n".join(_section(section) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n{body}\n'
        f"<footer>{escape(footer)}</footer>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    asked = f'<img src="{_data_uri(section.asked)}" alt="the picture asked with">' if section.asked else ""
    note = f'<p class="note">{escape(section.note)}</p>' if section.note else ""
    hits = "\n".join(_hit(hit) for hit in section.hits)
    return (
        f'<section>\n<div class="asked">{asked}<div><p class="kind">{escape(section.kind)}</p>'
        f"<h2>{escape(section.query)}</h2>{note}</div></div>\n<ol>\n{hits}\n</ol>\n</section>"
    )


def _hit(hit: ShownPicture) -> str:
    score = f'<span class="score">{escape(hit.score)}</span>' if hit.score else ""
    caption = escape(hit.caption)
    return (
        f'<li><figure><img src="{_data_uri(hit.picture)}" alt="{caption}">'
        f"<figcaption>{caption}{score}</figcaption></figure></li>"
    )


def _data_uri(picture: Image.Image) -> str:
    small = picture.convert("RGB")
    small.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
