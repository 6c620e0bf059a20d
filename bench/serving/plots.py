"""Bar charts as SVG, without a plotting library, so that the files differ only where figures do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LEFT, WIDTH, RIGHT, ROW, HEAD = 300, 420, 110, 26, 56
OURS, THEIRS, REFERENCE = "#1f6f8b", "#b9c0c7", "#e0a458"
STYLE = "font-family='system-ui, sans-serif' fill='#30363d'"


@dataclass(frozen=True)
class Bar:
    """One row: its name, its value, and the value as text."""

    title: str
    value: float
    label: str
    colour: str = THEIRS


def bar_length(value: float, low: float, high: float) -> float:
    """Return the length of a bar on a logarithmic scale from `low` to `high`."""
    return WIDTH * math.log(value / low) / math.log(high / low)


def draw_bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """Return an SVG with the bars from the shortest to the longest, and a line at each power of ten."""
    rows = sorted(rows, key=lambda bar: bar.value)
    # The scale starts at the power of ten below the smallest value, so that each bar is visible.
    low = 10.0 ** math.floor(math.log10(rows[0].value) - 0.01)
    high = max(rows[-1].value, low * 10)
    height, wide = HEAD + ROW * len(rows) + 24, LEFT + WIDTH + RIGHT
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {wide} {height}'",
        f"  font-size='13' role='img' aria-label='{escape(title)}'>",
        f"<rect width='{wide}' height='{height}' fill='white'/>",
        f"<text x='16' y='26' {STYLE} font-weight='600'>{escape(title)}</text>",
        f"<text x='{LEFT}' y='46' {STYLE} opacity='.7'>{escape(unit)}</text>",
    ]
    power = low
    while power <= high:
        place, foot = LEFT + bar_length(power, low, high), height - 20
        parts.append(
            f"<path d='M{place:.1f} {HEAD}V{foot}' stroke='#d8dee4'/>"
            f"<text x='{place:.1f}' y='{foot + 14}' {STYLE} font-size='11' "
            f"text-anchor='middle'>{power:,.0f}</text>"
        )
        power *= 10
    for number, bar in enumerate(rows):
        top, long = HEAD + ROW * number, max(bar_length(bar.value, low, high), 1.0)
        parts.append(
            f"<text x='{LEFT - 10}' y='{top + 17}' {STYLE} text-anchor='end'>"
            f"{escape(bar.title)}</text>"
            f"<rect x='{LEFT}' y='{top + 4}' width='{long:.1f}' height='{ROW - 8}' "
            f"fill='{bar.colour}'/>"
            f"<text x='{LEFT + long + 8:.1f}' y='{top + 17}' {STYLE}>"
            f"{escape(bar.label)}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])
