"""Medians, the table, the chart."""

import html
import statistics


def summary(values):
    """Median and spread (lowest, highest)."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def table(rows):
    """Rows of (name, values by column) as text; the columns are those of the first row."""
    columns = list(rows[0][1])
    lines = [["", *columns]]
    for name, values in rows:
        cells = []
        for column in columns:
            value = values.get(column)
            cells.append("-" if value is None else
                         f"{value['median']:.0f} ({value['low']:.0f}-{value['high']:.0f})")
        lines.append([name, *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)


def chart(rows, title, unit):
    """The same rows as bars, one group for each row, in SVG."""
    columns = list(rows[0][1])
    colours = ["#2b6cb0", "#dd6b20", "#2f855a", "#805ad5"]
    top = max(value["high"] for _, values in rows for value in values.values() if value)
    bar, gap, left, width = 14, 12, 230, 520
    height = 60 + sum(len(columns) * bar + gap for _ in rows) + 20 * len(columns)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 110}" '
             f'height="{height}" font-family="sans-serif" font-size="12">',
             f'<text x="10" y="22" font-size="15">{html.escape(title)}</text>']
    y = 40
    for name, values in rows:
        parts.append(f'<text x="10" y="{y + len(columns) * bar / 2 + 4}">{html.escape(name)}</text>')
        for colour, column in zip(colours, columns):
            value = values.get(column)
            if value:
                length = value["median"] / top * width
                low, high = (value[key] / top * width for key in ("low", "high"))
                parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" '
                             f'fill="{colour}"/>')
                parts.append(f'<line x1="{left + low:.1f}" x2="{left + high:.1f}" y1="{y + 6}" '
                             f'y2="{y + 6}" stroke="#000"/>')
                parts.append(f'<text x="{left + max(length, high) + 6:.1f}" y="{y + 11}">'
                             f'{value["median"]:.0f}</text>')
            y += bar
        y += gap
    for colour, column in zip(colours, columns):
        parts.append(f'<rect x="{left}" y="{y}" width="12" height="12" fill="{colour}"/>'
                     f'<text x="{left + 18}" y="{y + 11}">{html.escape(column)}, {unit}</text>')
        y += 18
    return "\n".join([*parts, "</svg>\n"])
