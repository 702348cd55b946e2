"""A plot of how often a kept drawing is found again, over how many it was kept of, drawn as SVG."""

from collections.abc import Mapping, Sequence

from limner.evaluation.intervals import Estimate

__all__ = ["draw_plot"]

_COLOURS = ("#4477aa", "#ee6677")
_DASHES = ("2 3", "8 4")
_LEFT, _TOP, _WIDTH, _HEIGHT, _BELOW = 52, 20, 520, 300, 96


def draw_plot(
    sizes: Sequence[int], best: Mapping[str, Sequence[Estimate]], ceilings: Mapping[str, Mapping[str, Estimate]]
) -> str:
    """Return an SVG with a line and its 95 % band for each measure, and a dashed line for each ceiling of it."""
    width, height = _LEFT + _WIDTH + 24, _TOP + _HEIGHT + _BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        "<title>Captions found again over the number of drawings, with 95 % intervals</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for percent in range(0, 101, 20):
        y = _down(percent / 100)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _WIDTH}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(_text(_LEFT - 8, y + 4, str(percent), anchor="end"))
    for place, size in enumerate(sizes):
        parts.append(_text(_across(place, len(sizes)), _TOP + _HEIGHT + 18, str(size), anchor="middle"))
    parts.append(_text(_LEFT + _WIDTH / 2, _TOP + _HEIGHT + 38, "drawings, of which the best is kept", anchor="middle"))
    for colour, (name, estimates) in zip(_COLOURS, best.items(), strict=False):
        across = [_across(place, len(sizes)) for place in range(len(sizes))]
        band = [(x, _down(each.high)) for x, each in zip(across, estimates, strict=True)]
        band += [(x, _down(each.low)) for x, each in zip(across[::-1], estimates[::-1], strict=True)]
        line = [(x, _down(each.mean)) for x, each in zip(across, estimates, strict=True)]
        parts.append(f'<polygon points="{_points(band)}" fill="{colour}" opacity="0.15"/>')
        parts.append(f'<polyline points="{_points(line)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for dashes, figures in zip(_DASHES, ceilings.values(), strict=True):
            y = _down(figures[name].mean)
            parts.append(
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _WIDTH}" y2="{y:.1f}" stroke="{colour}"'
                f' stroke-dasharray="{dashes}"/>'
            )
    legend = [(name, f'stroke="{colour}" stroke-width="2"') for name, colour in zip(best, _COLOURS, strict=False)]
    legend += [
        (what, f'stroke="#222222" stroke-dasharray="{dashes}"') for what, dashes in zip(ceilings, _DASHES, strict=True)
    ]
    left, y = _LEFT, _TOP + _HEIGHT + 66
    for what, stroke in legend:
        parts.append(f'<line x1="{left}" y1="{y - 4}" x2="{left + 24}" y2="{y - 4}" {stroke}/>')
        parts.append(_text(left + 30, y, what))
        left += 54 + 7 * len(what)
    return "\n".join([*parts, "</svg>", ""])


def _across(place: int, count: int) -> float:
    return _LEFT + _WIDTH * (place + 0.5) / count


def _down(share: float) -> float:
    return _TOP + _HEIGHT * (1 - share)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222">{text}</text>'
