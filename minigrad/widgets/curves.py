"""Learning curves as a small SVG: quick to draw, sharp at any size, in words for a screen reader.

Text and axes take the colour of the page around them, so they suit light and dark. The lines are
told apart by colour (Okabe and Ito's) and by dashes.
"""

import html
import math

STYLES = [("#0072B2", ""), ("#D55E00", "6 3")]
WIDTH, HEIGHT = 346, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 330, 34, 172


def curves(title, lines, last, percent=False):
    """`lines`, a dict of name -> values at epochs 0, 1, ..., as an SVG for epochs up to `last`."""
    values = [value for line in lines.values() for value in line if math.isfinite(value)] or [0.0]
    ticks = _ticks(min(values) if percent else 0.0, 1.0 if percent else max(values))
    low, high = ticks[0], ticks[-1]

    def x(epoch):
        return LEFT + (RIGHT - LEFT) * epoch / max(last, 1)

    def y(value):
        return BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    def number(value):
        return f"{100 * value:.4g} %" if percent else f"{value:.4g}"

    parts = [f'<text x="{LEFT}" y="14" font-weight="bold">{title}</text>']
    for tick in ticks:
        parts.append(
            f'<path d="M{LEFT} {y(tick):.1f}H{RIGHT}" stroke="currentColor" stroke-opacity="0.25"/>'
            f'<text x="{LEFT - 5}" y="{y(tick) + 4:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    for epoch in sorted({0, last // 2, last}):
        parts.append(
            f'<text x="{x(epoch):.1f}" y="{BOTTOM + 16}" text-anchor="middle">{epoch}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 33}" text-anchor="middle">epoch</text>'
    )
    for position, ((name, line), (colour, dash)) in enumerate(zip(lines.items(), STYLES)):
        stroke = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" fill="none"'
        points = " ".join(
            f"{x(epoch):.1f},{y(value):.1f}"
            for epoch, value in enumerate(line)
            if math.isfinite(value)
        )
        start = LEFT + 90 + 100 * position
        parts += [
            f'<polyline points="{points}" {stroke} stroke-linejoin="round"/>',
            f'<path d="M{start} 10h22" {stroke}/>',
            f'<text x="{start + 26}" y="14">{html.escape(name)}</text>',
        ]
    said = "; ".join(
        f"{name} {number(line[0])} at first, {number(line[-1])} after {len(line) - 1} epochs"
        for name, line in lines.items()
    )
    label = html.escape(f"{title.capitalize()}: {said}.", quote=True)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        'style="max-width:100%;height:auto" font-family="sans-serif" font-size="12" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def _ticks(low, high):
    """Three to six round numbers from at most `low` to at least `high`."""
    span = max(high - low, 1e-6)
    raw = 10.0 ** math.floor(math.log10(span))
    size = next(raw * m for m in (0.2, 0.25, 0.5, 1.0, 2.0) if span / (raw * m) <= 5)
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return [size * k for k in range(first, max(last, first + 1) + 1)]
