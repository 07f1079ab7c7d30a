"""Two kinds of plots as SVG files that need nothing: bars in groups, and lines. Values are percentages; both return the file's path."""
from html import escape

COLORS = ["#3366cc", "#dc3912", "#109618", "#ff9900", "#990099"]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 360, 46, 46, 96


def _y(value) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / 100)


def _frame(title, names) -> list:
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', f'<text x="{LEFT}" y="18" font-size="15">{escape(title)}</text>']
    for value in range(0, 101, 20):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{_y(value):.1f}" y2="{_y(value):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{_y(value) + 4:.1f}" text-anchor="end">{value}</text>')
    for i, name in enumerate(names):
        out.append(f'<rect x="{LEFT + 160 * i}" y="26" width="10" height="10" fill="{COLORS[i % len(COLORS)]}"/>')
        out.append(f'<text x="{LEFT + 14 + 160 * i}" y="35">{escape(name)}</text>')
    return out


def _write(path, out) -> str:
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join([*out, "</svg>"]) + "\n")
    return path


def bars(path, title, groups, series) -> str:
    """series: name -> a value for each group."""
    out = _frame(title, series)
    step = (WIDTH - LEFT - 10) / len(groups)
    width = step * 0.8 / len(series)
    for g, group in enumerate(groups):
        x = LEFT + step * (g + 0.1)
        for i, values in enumerate(series.values()):
            y = _y(values[g])
            out.append(f'<rect x="{x + i * width:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_y(0) - y:.1f}" fill="{COLORS[i % len(COLORS)]}"/>')
        out.append(f'<text transform="translate({x + step * 0.4:.1f},{_y(0) + 14:.1f}) rotate(-25)" text-anchor="end">{escape(group)}</text>')
    return _write(path, out)


def lines(path, title, label, xs, series) -> str:
    """series: name -> a value for each of xs, which are numbers that grow."""
    out = _frame(title, series)

    def place(x):
        return LEFT + 20 + (WIDTH - LEFT - 50) * (x - xs[0]) / (xs[-1] - xs[0])

    for i, values in enumerate(series.values()):
        points = " ".join(f"{place(x):.1f},{_y(v):.1f}" for x, v in zip(xs, values))
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLORS[i % len(COLORS)]}" stroke-width="2"/>')
    for x in xs:
        out.append(f'<text x="{place(x):.1f}" y="{_y(0) + 16:.1f}" text-anchor="middle">{x}</text>')
    out.append(f'<text x="{WIDTH / 2}" y="{_y(0) + 38:.1f}" text-anchor="middle">{escape(label)}</text>')
    return _write(path, out)
