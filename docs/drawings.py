"""The drawings of how_it_is_fast.md: `python docs/drawings.py` writes them into docs/images.

Plain SVG, on a card of its own, so that it reads on light and on dark pages.
"""

import random
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
INK, GREY, PALE = "#222222", "#666666", "#eef1f4"
BLUE, SKY, ORANGE, GREEN = "#0072B2", "#9fd0ee", "#E69F00", "#009E73"


def text(x, y, words, size=14, colour=INK, anchor="start", weight="normal"):
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{words}</text>'
    )


def box(x, y, width, height, fill, stroke="none"):
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" fill="{fill}" '
        f'stroke="{stroke}"/>'
    )


def arrow(x1, y1, x2, y2, width=2, colour=INK):
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" '
        f'stroke-width="{width}" marker-end="url(#head)"/>'
    )


def page(width, height, title, parts):
    head = (
        '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" '
        'markerHeight="11" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0 0 L10 5 L0 10 z" fill="{INK}"/></marker>'
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="Helvetica, Arial, sans-serif" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        f"<defs>{head}</defs>",
        box(1, 1, width - 2, height - 2, "#ffffff", "#c8ced4"),
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def passes():
    """Memory traffic of one EM iteration: array by array, and in one pass."""
    parts = []

    def panel(y, title, remark):
        parts.append(text(24, y, title, 17, weight="bold"))
        parts.append(text(24, y + 21, remark, 13, GREY))

    # array by array
    panel(
        34,
        "Array by array, as NumPy code is written",
        "full covariance, N rows, D columns, K components: 9 K times an array of N x D is read or "
        "written",
    )
    top = 84
    parts.append(text(24, top, "main memory", 13, GREY))
    steps = [
        ("X", "y = U (x - mu)", "K times"),
        ("y", "sum of squares", "K times"),
        ("log p, N x K", "log-sum-exp, exp", "a few times"),
        ("X", "d = x - mu", "K times"),
        ("r, d", "r d", "K times"),
        ("r d, d", "product: moments", "K times"),
    ]
    for i, (read, work, times) in enumerate(steps):
        x = 24 + i * 142
        parts += [
            box(x, top + 10, 126, 40, SKY),
            text(x + 63, top + 35, read, 14, anchor="middle"),
            arrow(x + 40, top + 50, x + 40, top + 84, 5, BLUE),
            box(x, top + 86, 126, 40, PALE, "#c8ced4"),
            text(x + 63, top + 111, work, 13, anchor="middle"),
            text(
                x + 63, top + 146, times, 13, ORANGE if times[0] == "K" else GREY, "middle", "bold"
            ),
        ]
        if i < len(steps) - 1:
            parts.append(arrow(x + 90, top + 86, x + 90, top + 52, 5, ORANGE))
    # one pass
    y = 292
    parts.append(f'<line x1="24" y1="{y - 34}" x2="876" y2="{y - 34}" stroke="#c8ced4"/>')
    panel(
        y,
        "One pass over tiles",
        "each number of X is read from memory once in an iteration; no array of N x K is made",
    )
    top = y + 50
    parts.append(text(24, top, "main memory: X in tiles", 13, GREY))
    for i in range(8):
        here = i == 2
        parts.append(box(24 + i * 46, top + 10, 40, 84, BLUE if here else SKY))
    parts += [
        text(24, top + 114, "slot 1", 13, GREY),
        text(24 + 4 * 46, top + 114, "slot 2", 13, GREY),
        f'<line x1="{24 + 4 * 46 - 3}" y1="{top + 4}" x2="{24 + 4 * 46 - 3}" y2="{top + 118}" '
        f'stroke="{GREY}" stroke-dasharray="4 3"/>',
        # up, over and into the cache
        f'<path d="M{24 + 2 * 46 + 20} {top + 94} V{top + 140} H470 V{top + 62} H482" fill="none" '
        f'stroke="{INK}" stroke-width="2" marker-end="url(#head)"/>',
        text(430, top + 158, "once", 13, GREY, "end", "bold"),
        box(484, top - 8, 244, 138, PALE, "#c8ced4"),
        text(494, top + 10, "in the cache", 13, GREY),
        box(496, top + 24, 40, 84, BLUE),
        text(552, top + 38, "1  distances |U (x - mu)|²", 13),
        text(552, top + 62, "2  responsibilities", 13),
        text(552, top + 86, "3  moments", 13),
        text(552, top + 106, "of this tile, then the next", 12, GREY),
        arrow(728, top + 60, 762, top + 60),
        box(764, top + 10, 112, 44, GREEN),
        text(820, top + 37, "sums of slot 1", 13, "#ffffff", "middle"),
        box(764, top + 66, 112, 44, "#8fd0bb"),
        text(820, top + 93, "sums of slot 2", 13, INK, "middle"),
        text(820, top + 132, "added in the order", 12, GREY, "middle"),
        text(820, top + 148, "of the slots", 12, GREY, "middle"),
    ]
    return page(
        900, 512, "Memory traffic of one EM iteration, array by array and in one pass", parts
    )


def left_out():
    """Which pairs of a group of rows and a component are computed, in two orders of the rows."""
    rng = random.Random(1)
    n_groups, n_components, size = 24, 8, 15
    parts = [
        text(24, 34, "What is computed of an E-step", 17, weight="bold"),
        text(24, 55, "each square is a group of 32 rows or more and a component", 13, GREY),
    ]
    legend = [
        (BLUE, "computed: a part in some row"),
        (ORANGE, "begun, ended early: the distance is too large already"),
        (PALE, "not looked at: a bound from before says so"),
    ]
    titles = ("rows as they come", "rows in order, first iteration", "rows in order, later")
    for panel, title in enumerate(titles):
        x0 = 40 + panel * 290
        parts.append(text(x0, 92, title, 14, weight="bold"))
        for group in range(n_groups):
            own = group * n_components // n_groups
            edge = group % 3 == 2 and own + 1 < n_components
            for k in range(n_components):
                if panel == 0:
                    fill = BLUE if rng.random() < 0.93 else ORANGE
                else:
                    in_it = k == own or (edge and k == own + 1)
                    fill = BLUE if in_it else (ORANGE if panel == 1 else PALE)
                    if panel == 2 and fill == PALE and abs(k - own) == 1 and group % 4 == 0:
                        fill = ORANGE
                parts.append(box(x0 + k * size * 1.6, 104 + group * size, 21, 12, fill))
        parts.append(text(x0, 104 + n_groups * size + 18, "components", 13, GREY))
    for i, (colour, words) in enumerate(legend):
        y = 524 + 24 * i
        parts += [box(40, y - 11, 21, 12, colour, "#c8ced4"), text(70, y, words, 14)]
    parts.append(
        f'<text x="26" y="290" font-size="13" fill="{GREY}" text-anchor="middle" '
        'transform="rotate(-90 26 290)">groups of rows</text>'
    )
    return page(900, 590, "Which pairs of a group of rows and a component are computed", parts)


DRAWINGS = {"fused_pass.svg": passes, "left_out.svg": left_out}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (IMAGES / name).write_text(draw(), encoding="utf-8")
