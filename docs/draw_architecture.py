"""Draw docs/pictures/architecture.svg from the imports of src/limner.

The levels are those of the import contract in pyproject.toml, the sentences the first lines of the folders'
docstrings, the numbers the files of each folder. An arrow means "imports from"; what follows from others is
left out.

    python docs/draw_architecture.py
"""

import ast
import sys
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from html import escape
from itertools import combinations
from pathlib import Path
from textwrap import wrap

import grimp

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parents[1]
PICTURE = REPOSITORY / "docs" / "pictures" / "architecture.svg"

WIDTH, MARGIN = 960, 16
GAP, FLOOR_GAP = 12, 30
"""Pixels between two rooms of one level, and between two levels that one wire runs between."""
TRACK, LANE, LANE_START, PORT, CORNER, RADIUS = 10, 7, 12, 12, 16, 7
"""Pixels between vertical wires at the edges, between horizontal ones, above the first of these, between two
wires at one side of a room, between them and its corners; radius of a bend."""
CROSSING = 60
"""What a crossing costs, in pixels of wire."""
PADDING, NAME_SIZE, LINE = 10, 15, 14
CHARACTER = 6.3
"""Mean width of a character of a sentence; text is wrapped by it."""
WIDE = 200
"""From this width on a room's number is followed by the word files."""
COLORS = ("#5b6b86", "#b4552d", "#2f7d6b", "#8a5aa8", "#b38600", "#2b6cb0", "#a83e62", "#5c8a2e")


class House:
    """Folders by level, from the highest to the lowest, and which imports from which.

    Attributes:
        levels: Names of the folders of each level.
        imports: (from, to), each between two folders.
        files: Number of Python files of each folder.
    """

    def __init__(self) -> None:
        self.levels = _levels()
        graph = grimp.build_graph("limner", cache_dir=None)
        rooms = [room for level in self.levels for room in level]
        self.files = {room: len(graph.find_descendants(f"limner.{room}")) + 1 for room in rooms}
        for room in rooms:
            graph.squash_module(f"limner.{room}")
        self.imports = {
            (room, other)
            for room in rooms
            for other in rooms
            if room != other
            and graph.direct_import_exists(importer=f"limner.{room}", imported=f"limner.{other}")
        }

    @cached_property
    def arrows(self) -> list[tuple[str, str]]:
        """The imports that do not follow from others."""
        below = {room: {b for a, b in self.imports if a == room} for level in self.levels for room in level}
        reached: dict[str, set[str]] = {}
        for level in reversed(self.levels):
            for room in level:
                reached[room] = below[room].union(*(reached[other] for other in below[room]))
        return sorted((a, b) for a, b in self.imports if not any(b in reached[c] for c in below[a] - {b}))

    def sentence(self, room: str) -> str:
        """The first sentence or line of a folder's docstring."""
        source = (REPOSITORY / "src" / "limner" / room / "__init__.py").read_text("utf-8")
        return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].replace("`", "")


def _levels() -> list[list[str]]:
    """The folders of each level of the import contract; those in parentheses are not there yet."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    levels = [[name.strip(" ()") for name in layer.split("|")] for layer in layers]
    return [[name for name in level if (REPOSITORY / "src" / "limner" / name).is_dir()] for level in levels]


class Drawing:
    """Where everything is.

    Each room that others import has a wire of its own color. It leaves each importing room below, takes its
    track at the left or right edge if it has levels to pass, and ends in one arrow. A search orders rooms,
    sides of the wires, and lanes between two levels: short wires, few crossings.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.order = [list(level) for level in house.levels]
        self.level = {room: number for number, level in enumerate(house.levels) for room in level}
        self.sources: dict[str, list[str]] = {}
        for source, target in house.arrows:
            self.sources.setdefault(target, []).append(source)
        self.first = {t: min(self.level[s] for s in sources) for t, sources in self.sources.items()}
        self.is_left = dict.fromkeys((t for t in self.sources if self.first[t] + 1 < self.level[t]), False)
        self._search()

    def _search(self) -> None:
        """Swap rooms of a level, or move a wire to the other side, as long as that lowers the cost."""
        best, improved = self._cost(), True
        while improved:
            improved = False
            for change in self._changes():
                change()
                if (cost := self._cost()) < best - 1e-6:
                    best, improved = cost, True
                else:
                    change()  # a second time undoes it
        self._cost()

    def _changes(self) -> Iterator[Callable[[], None]]:
        def flip(target: str) -> None:
            self.is_left[target] = not self.is_left[target]

        def swap(row: list[str], i: int, j: int) -> None:
            row[i], row[j] = row[j], row[i]

        for row in self.order:
            yield from (partial(swap, row, i, j) for i, j in combinations(range(len(row)), 2))
        yield from (partial(flip, target) for target in self.is_left)

    def _cost(self) -> float:
        self._lay_tracks()
        self._lay_rooms()
        self._lay_ports()
        self._lay_lanes()
        return self.length + CROSSING * self.crossings

    def _lay_tracks(self) -> None:
        """Give each wire that passes levels an x at its side, the longest ones outside."""
        self.track: dict[str, float] = {}
        self.edges = [[float(MARGIN), float(WIDTH - MARGIN)] for _ in self.order]
        for side, step in ((0, TRACK), (1, -TRACK)):
            taken: list[set[int]] = []
            wires = [target for target in self.is_left if self.is_left[target] is (side == 0)]
            for target in sorted(wires, key=lambda t: (self.first[t] - self.level[t], t)):
                gaps = set(range(self.first[target], self.level[target]))
                number = next((n for n, others in enumerate(taken) if not others & gaps), len(taken))
                if number == len(taken):
                    taken.append(set())
                taken[number] |= gaps
                self.track[target] = self.edges[0][side] + step * number
                for row in range(self.first[target] + 1, self.level[target]):
                    inner = self.track[target] + step
                    self.edges[row][side] = (min if side else max)(self.edges[row][side], inner)

    def _lay_rooms(self) -> None:
        self.span: dict[str, tuple[float, float]] = {}
        for row, (left, right) in zip(self.order, self.edges, strict=True):
            width = (right - left - GAP * (len(row) - 1)) / len(row)
            for number, room in enumerate(row):
                start = left + number * (width + GAP)
                self.span[room] = (start, start + width)

    def _nearest(self, room: str, x: float) -> float:
        """The x of a room that is nearest to `x`; wires keep off the corners."""
        left, right = self.span[room]
        return min(max(x, left + CORNER), right - CORNER)

    def _lay_ports(self) -> None:
        """Where each wire ends above its room, and where it begins below each importing room."""
        self.entry = {target: self._entry(target) for target in self.sources}
        self.exit: dict[tuple[str, str], float] = {}
        for room in self.span:
            targets = [target for target, sources in self.sources.items() if room in sources]
            ideal = sorted(
                (self._nearest(room, self._turn(room, t)), self._turn(room, t), t) for t in targets
            )
            left, right = self.span[room]
            xs = _apart([x for x, _, _ in ideal], left + CORNER, right - CORNER)
            self.exit.update({(room, target): x for x, (_, _, target) in zip(xs, ideal, strict=True)})

    def _entry(self, target: str) -> float:
        middles = [
            sum(self.span[s]) / 2 for s in self.sources[target] if self.level[s] + 1 == self.level[target]
        ]
        return self._nearest(target, self.track[target] if not middles else sum(middles) / len(middles))

    def _turn(self, source: str, target: str) -> float:
        """The x that a wire goes to from a room."""
        is_next = self.level[source] + 1 == self.level[target]
        return self.entry[target] if is_next else self.track[target]

    def _lay_lanes(self) -> None:
        """Order the horizontal parts between two levels."""
        self.lane: dict[tuple[int, str], int] = {}
        self.lanes = [0] * len(self.order)
        self.length, self.crossings = 0.0, 0
        for gap in range(len(self.order) - 1):
            wires = self._gap(gap)
            bent = [
                target
                for target, (above, below) in wires.items()
                if max(above + below) - min(above + below) > 0.5
            ]
            order, crossings = _fewest_crossings(bent, wires)
            self.crossings += crossings
            self.length += sum(max(a + b) - min(a + b) for a, b in wires.values())
            self.lanes[gap] = len(order)
            self.lane.update({(gap, target): number for number, target in enumerate(order)})

    def _gap(self, gap: int) -> dict[str, tuple[list[float], list[float]]]:
        """The wires between a level and the next: x of what comes from above, and of what goes on below."""
        wires = {}
        for target, sources in self.sources.items():
            if not self.first[target] <= gap < self.level[target]:
                continue
            above = [self.exit[source, target] for source in sources if self.level[source] == gap]
            if gap > self.first[target]:
                above.append(self.track[target])
            is_last = gap + 1 == self.level[target]
            wires[target] = (above, [self.entry[target] if is_last else self.track[target]])
        return wires

    def svg(self) -> str:
        """The picture."""
        tops, heights, lines = self._heights()
        height = tops[-1] + heights[-1] + MARGIN
        colors = {target: COLORS[number % len(COLORS)] for number, target in enumerate(self._by_place())}
        wires = [wire for target in colors for wire in self._wire(target, colors[target], tops, heights)]
        rooms = [
            self._room(room, tops[n], heights[n], lines[room])
            for n, row in enumerate(self.order)
            for room in row
        ]
        imports = " ".join(f"{a}>{b}" for a, b in self.house.arrows)
        head = HEAD.format(width=WIDTH, height=round(height))
        return "\n".join([head, *wires, *rooms, f"<metadata>{escape(imports)}</metadata>", "</svg>", ""])

    def _by_place(self) -> list[str]:
        return [room for row in self.order for room in row if room in self.sources]

    def _heights(self) -> tuple[list[float], list[float], dict[str, list[str]]]:
        tops: list[float] = []
        heights: list[float] = []
        lines = {}
        top: float = MARGIN
        for row, lanes in zip(self.order, self.lanes, strict=True):
            for room in row:
                left, right = self.span[room]
                width = int((right - left - 2 * PADDING) / CHARACTER)
                lines[room] = wrap(self.house.sentence(room), width, break_long_words=False)
            height = PADDING * 2 + NAME_SIZE + 2 + LINE * max(len(lines[room]) for room in row)
            tops.append(top)
            heights.append(height)
            top += height + FLOOR_GAP + LANE * max(0, lanes - 1)
        return tops, heights, lines

    def _wire(self, target: str, color: str, tops: list[float], heights: list[float]) -> Iterator[str]:
        def lane_y(gap: int) -> float:
            return tops[gap] + heights[gap] + LANE_START + LANE * self.lane.get((gap, target), 0)

        for source in self.sources[target]:
            first, last = self.level[source], self.level[target] - 1
            x = self.exit[source, target]
            points = [(x, tops[first] + heights[first])]
            for gap in sorted({first, last}):
                points.append((x, lane_y(gap)))
                x = self.entry[target] if gap == last else self.track[target]
                points.append((x, lane_y(gap)))
            points.append((x, tops[last + 1] - 6))
            yield f'<path class="wire" stroke="{color}" d="{_rounded(points)}"/>'
        x, y = self.entry[target], tops[self.level[target]]
        yield f'<path fill="{color}" d="M{x - 4:.1f} {y - 8:.1f}h8l-4 8z"/>'

    def _room(self, room: str, top: float, height: float, lines: list[str]) -> str:
        hue = 28 + 190 * (1 - self.level[room] / (len(self.order) - 1))
        left, right = self.span[room]
        x, y = left + PADDING, top + PADDING + NAME_SIZE - 3
        count = f"{self.house.files[room]} files" if right - left > WIDE else f"{self.house.files[room]}"
        text = [
            f'<text class="text" x="{x:.1f}" y="{y + 3 + LINE * (number + 1):.1f}">{escape(line)}</text>'
            for number, line in enumerate(lines)
        ]
        return "\n".join(
            [
                f'<g id="{room}">',
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{height:.1f}" rx="7"'
                f' fill="hsl({hue:.0f},62%,95%)" stroke="hsl({hue:.0f},38%,66%)"/>',
                f'<text class="name" x="{x:.1f}" y="{y:.1f}">{room}</text>',
                f'<text class="files" x="{right - PADDING:.1f}" y="{y:.1f}">{count}</text>',
                *text,
                "</g>",
            ]
        )


def _apart(xs: list[float], lowest: float, highest: float) -> list[float]:
    """Move ascending positions apart by `PORT`, or by what there is room for, as little as possible."""
    step = min(PORT, (highest - lowest) / max(1, len(xs) - 1))
    for _ in range(30):
        for i in range(len(xs) - 1):
            if (overlap := step - (xs[i + 1] - xs[i])) > 0:
                xs[i], xs[i + 1] = xs[i] - overlap / 2, xs[i + 1] + overlap / 2
        xs = [min(max(x, lowest), highest) for x in xs]
    return xs


def _fewest_crossings(
    order: list[str], wires: dict[str, tuple[list[float], list[float]]]
) -> tuple[list[str], int]:
    """Order lanes from top to bottom, and count what still crosses."""

    def count(lanes: list[str]) -> int:
        place = {target: number for number, target in enumerate(lanes)}
        return sum(
            min(above + below) - PORT / 2 < x < max(above + below) + PORT / 2
            for target, (above, below) in wires.items()
            if target in place
            for other, (others_above, others_below) in wires.items()
            if other != target
            # What comes from above gets as far as the other's own lane; what goes on below begins there.
            for x in [
                *(x for x in others_above if place.get(other, len(place)) > place[target]),
                *(x for x in others_below if place.get(other, len(place)) < place[target]),
            ]
        )

    best, improved = count(order), True
    while improved:
        improved = False
        for i, j in combinations(range(len(order)), 2):
            order[i], order[j] = order[j], order[i]
            if (found := count(order)) < best:
                best, improved = found, True
            else:
                order[i], order[j] = order[j], order[i]
    return order, best


def _rounded(points: list[tuple[float, float]]) -> str:
    """A path through points at right angles, its corners rounded."""
    way = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x, y), (x1, y1) in zip(points, points[1:], points[2:], strict=False):
        before, after = abs(x - x0) + abs(y - y0), abs(x1 - x) + abs(y1 - y)
        radius = min(RADIUS, before / 2, after / 2)
        if radius < 0.3:
            continue
        ax, ay = x + (x0 - x) / before * radius, y + (y0 - y) / before * radius
        bx, by = x + (x1 - x) / after * radius, y + (y1 - y) / after * radius
        way += f"L{ax:.1f} {ay:.1f}Q{x:.1f} {y:.1f} {bx:.1f} {by:.1f}"
    return way + f"L{points[-1][0]:.1f} {points[-1][1]:.1f}"


HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
aria-label="The folders of limner by level; arrows say which imports from which">
<style>
text {{ font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #1f2937 }}
.name {{ font-size: 15px; font-weight: 600 }}
.files {{ font-size: 11px; fill: #6b7280; text-anchor: end }}
.text {{ font-size: 11.5px; fill: #374151 }}
.wire {{ fill: none; stroke-width: 1.5 }}
</style>
<rect width="{width}" height="{height}" rx="12" fill="#ffffff"/>"""

if __name__ == "__main__":
    PICTURE.write_text(Drawing(House()).svg(), encoding="utf-8")
