"""A plot of the mean reciprocal rank of every loss, drawn as SVG."""

from collections.abc import Sequence
from html import escape

from loss_experiment.contenders import CONTENDERS
from loss_experiment.report import Row

__all__ = ["draw_plot"]

_COLOURS = {
    "pointwise": "#4477aa",
    "pairwise": "#ee6677",
    "softmax": "#228833",
    "partition function": "#aa3377",
    "listwise": "#b8860b",
}
_NAME_WIDTH, _PANEL_WIDTH, _GAP, _LINE, _TOP, _BOTTOM = 200, 300, 40, 22, 44, 66


def draw_plot(tables: dict[str, list[Row]], titles: dict[str, str]) -> str:
    """Return an SVG with a panel a protocol: a dot a loss, a bar for its 95 % interval, in the order of the first."""
    order = [row.loss for row in next(iter(tables.values()))]
    width = _NAME_WIDTH + len(tables) * (_PANEL_WIDTH + _GAP)
    height = _TOP + len(order) * _LINE + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        "<title>Mean reciprocal rank of every loss, with 95 % intervals</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, loss in enumerate(order):
        parts.append(_text(_NAME_WIDTH - 12, _height(place) + 4, CONTENDERS[loss].title, anchor="end"))
    for number, (protocol, rows) in enumerate(tables.items()):
        left = _NAME_WIDTH + number * (_PANEL_WIDTH + _GAP)
        parts += _panel(left, sorted(rows, key=lambda row: order.index(row.loss)), titles[protocol])
    left = 12
    for family, colour in _COLOURS.items():
        parts.append(f'<circle cx="{left}" cy="{height - 14}" r="4" fill="{colour}"/>')
        parts.append(_text(left + 9, height - 10, family))
        left += 40 + 7 * len(family)
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: int, rows: Sequence[Row], title: str) -> list[str]:
    """Return one panel: a grid of percent, then the dots."""
    figures = [row.figures["MRR"] for row in rows]
    step = 5
    low = int(100 * min(figure.low for figure in figures) // step) * step
    high = int(-(-100 * max(figure.high for figure in figures) // step)) * step
    step = step * max(1, -(-(high - low) // (6 * step)))

    def across(share: float) -> float:
        return left + _PANEL_WIDTH * (100 * share - low) / max(high - low, 1)

    bottom = _height(len(rows)) - _LINE / 2
    parts = [_text(left + _PANEL_WIDTH / 2, 18, title, anchor="middle")]
    for percent in range(low, high + 1, step):
        x = across(percent / 100)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP - 12}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="#dddddd"/>')
        parts.append(_text(x, bottom + 16, str(percent), anchor="middle"))
    parts.append(_text(left + _PANEL_WIDTH / 2, bottom + 32, "MRR, percent", anchor="middle"))
    for place, (row, figure) in enumerate(zip(rows, figures, strict=True)):
        y, colour = _height(place), _COLOURS[CONTENDERS[row.loss].family]
        parts.append(
            f'<line x1="{across(figure.low):.1f}" y1="{y}" x2="{across(figure.high):.1f}" y2="{y}"'
            f' stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(f'<circle cx="{across(figure.mean):.1f}" cy="{y}" r="4" fill="{colour}"/>')
    return parts


def _height(place: int) -> int:
    return _TOP + place * _LINE


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222">{escape(text)}</text>'
