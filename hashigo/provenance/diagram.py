"""The provenance graph as a picture: one column a stage, drawn as inline SVG without other programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from hashigo.provenance.entities import step_name
from hashigo.provenance.graph import Data, Graph, Link, Process

# Lengths in the picture's own unit, which is a pixel at its natural size.
WIDTH, GAP, MARGIN = 152, 48, 16
HEIGHT, SPACE, HEAD, LANE = 38, 14, 44, 8
#: Boxes and ellipses shown in one column, count; the rest is told by number.
ROWS = 9
CHARACTERS = 22
INPUTS = ""
FONT = "font-family='Helvetica, Arial, sans-serif'"
COLOURS = {"done": ("#e8f1fa", "#2f6ea5"), "failed": ("#fbe6e4", "#b3372b"), "cached": ("#f2f2ee", "#7a7a6a")}
DATA_COLOURS = ("#f3f8ee", "#5b8a3a")
LINE = "#8a94a0"
LANE_COLOURS = ("#5b8a3a", "#2f6ea5", "#a8722a", "#7a5299", "#3a8a86", "#a34a5e")


@dataclass
class Item:
    """A box or ellipse: processes, or data nodes, that are alike and stand for one step.

    Attributes:
        members: uuids of what it stands for.
        status: done, failed or cached for processes; empty for data.
        x: left edge in the picture, number of pixels.
        y: upper edge in the picture, number of pixels.
    """

    key: str
    column: str
    text: str
    detail: str
    status: str = ""
    members: list[str] = field(default_factory=list)
    x: int = 0
    y: int = 0

    @property
    def is_data(self) -> bool:
        """Whether it is drawn as an ellipse."""
        return not self.status

    @property
    def title(self) -> str:
        """Its text with the number of what it stands for."""
        return f"{len(self.members)} × {self.text}" if len(self.members) > 1 else self.text


@dataclass(frozen=True)
class Line:
    """A line from one item to another, with the names of the links it stands for."""

    source: str
    target: str
    label: str


def provenance_svg(graph: Graph) -> str:
    """Draw a run.

    Each stage is a column under its name; its jobs and functions are boxes, with like ones in one box. Data that
    others use, or that the run returned, are ellipses below what made them. Data that is used further on than in
    the next column has a lane of its own below the columns.

    Returns:
        One `<svg>` element. Equal graphs give equal pictures.
    """
    items = {item.key: item for item in [*_processes(graph), *_data(graph)]}
    columns = _columns(graph, items)
    hidden = _place(columns)
    shown = {key: item for key, item in items.items() if item.y}
    lines = [line for line in _lines(graph, items) if line.source in shown and line.target in shown]
    lanes = {line.source: None for line in lines if _is_far(line, items)}
    floor = max((item.y for item in shown.values()), default=HEAD) + HEIGHT + SPACE
    floor += HEIGHT // 2 if any(hidden.values()) else 0
    height = floor + LANE * len(lanes) + MARGIN // 2
    drawn = [_column(name, index, graph, hidden[name], floor) for index, name in enumerate(columns)]
    places = {source: (number, floor + LANE * (number + 1) - 4) for number, source in enumerate(lanes)}
    drawn += [_line(line, items, places) for line in lines]
    drawn += [_item(item) for item in shown.values()]
    return _frame(graph, len(columns) * (WIDTH + GAP) - GAP + 2 * MARGIN, height, drawn)


def _frame(graph: Graph, width: int, height: int, drawn: Sequence[str]) -> str:
    counts = f"{len(graph.processes)} processes, {len(graph.data)} data nodes"
    label = escape(f"Provenance of {graph.root.label}: {counts}")
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
        f"height='{height}' style='max-width:100%;height:auto' role='img' aria-label='{label}' {FONT} "
        f"font-size='11'>\n<title>{label}</title>\n" + "\n".join(drawn) + "\n</svg>\n"
    )


def _processes(graph: Graph) -> list[Item]:
    """Jobs and functions by stage and kind; a stage that ran none is shown as itself."""
    callers = {process.caller for process in graph.processes.values()}
    items: dict[str, Item] = {}
    tasks = {link.process: str(graph.data[link.data].value) for link in graph.links if link.label == "task"}
    for process in graph.processes.values():
        if process.kind == "workflow" and (process.uuid in callers or process.caller is None):
            continue
        key = _process_key(process)
        text = tasks.get(process.uuid) or step_name(process.name)
        item = items.setdefault(key, Item(key, process.stage, text, process.label, "cached"))
        item.members.append(process.uuid)
        item.status = _worst(item.status, process)
    return list(items.values()) or [_alone(graph.root)]


def _alone(root: Process) -> Item:
    return Item(_process_key(root), root.stage, root.name, root.label, _worst("cached", root), [root.uuid])


def _process_key(process: Process) -> str:
    return f"process {process.stage} {process.label} {step_name(process.name)}"


def _worst(status: str, process: Process) -> str:
    if not process.ok or status == "failed":
        return "failed"
    return "cached" if process.cached_from and status == "cached" else "done"


def _data(graph: Graph) -> list[Item]:
    """Data that is handed from process to process, came in from outside, or is a result."""
    created_in = {data.uuid: data.creator for data in graph.data.values()}
    wanted: set[str] = set()
    for link in graph.links:
        data = graph.data[link.data]
        if data.value is not None or data.type == "core.folder":
            continue
        is_result = link.process == graph.root.uuid and link.kind == "return"
        handed_on = link.kind == "input" and created_in[link.data] is not None
        from_outside = link.kind == "input" and created_in[link.data] is None and data.type != "core.dict"
        if is_result or handed_on or from_outside:
            wanted.add(link.data)
    items: dict[str, Item] = {}
    for uuid, data in graph.data.items():
        if uuid in wanted:
            key = _data_key(data, graph)
            column = data.stage if data.creator else INPUTS
            item = items.setdefault(key, Item(key, column, step_name(data.label), data.class_name))
            item.members.append(uuid)
    return list(items.values())


def _data_key(data: Data, graph: Graph) -> str:
    made = _process_key(graph.processes[data.creator]) if data.creator else ""
    return f"data {made} {step_name(data.label)} {data.class_name}"


def _lines(graph: Graph, items: Mapping[str, Item]) -> list[Line]:
    """Links between what is shown; several between the same two items become one."""
    of_member = {member: item.key for item in items.values() for member in item.members}
    names: dict[tuple[str, str], dict[str, None]] = {}
    for link in graph.links:
        process, data = of_member.get(link.process), of_member.get(link.data)
        if process and data and link.kind != "return":
            ends = (data, process) if link.kind == "input" else (process, data)
            names.setdefault(ends, {})[_plain(link)] = None
    return [Line(source, target, ", ".join(labels)) for (source, target), labels in names.items()]


def _plain(link: Link) -> str:
    return step_name(link.label.replace("__", "."))


def _columns(graph: Graph, items: Mapping[str, Item]) -> dict[str, list[Item]]:
    """Items by column: what came from outside first, then the stages in the order of their start."""
    order = list(dict.fromkeys([INPUTS, *(process.stage for process in graph.processes.values())]))
    columns = {name: [item for item in items.values() if item.column == name] for name in order}
    return {name: _in_order(column, graph) for name, column in columns.items() if column}


def _in_order(column: Sequence[Item], graph: Graph) -> list[Item]:
    """Each process, in the order of their start, followed by what it made."""
    boxes = [item for item in column if not item.is_data]
    ellipses = [item for item in column if item.is_data]
    ordered: list[Item] = []
    for box in boxes:
        ordered.append(box)
        ordered += [item for item in ellipses if graph.data[item.members[0]].creator in box.members]
    return [item for item in ellipses if item not in ordered] + ordered


def _place(columns: Mapping[str, list[Item]]) -> dict[str, int]:
    """Give items their places; returns how many of each column have none."""
    hidden = {}
    for index, (name, column) in enumerate(columns.items()):
        for row, item in enumerate(column[:ROWS]):
            item.x = MARGIN + index * (WIDTH + GAP)
            item.y = MARGIN + HEAD + row * (HEIGHT + SPACE)
        hidden[name] = max(0, len(column) - ROWS)
    return hidden


def _column(name: str, index: int, graph: Graph, hidden: int, height: int) -> str:
    x = MARGIN + index * (WIDTH + GAP)
    title = name or ("inputs" if len(graph.processes) > 1 else graph.root.name)
    failed = name and any(p.stage == name and not p.ok for p in graph.processes.values())
    mark = " (failed)" if failed else ""
    colour = COLOURS["failed"][1] if failed else "#333"
    parts = [
        f"<rect x='{x - 8}' y='8' width='{WIDTH + 16}' height='{height - 12}' rx='6' "
        "fill='#fafafa' stroke='#e0e0e0'/>",
        _text(x + WIDTH // 2, MARGIN + 14, _short(title.replace("_", " ") + mark), colour, weight="bold"),
    ]
    if hidden:
        parts.append(_text(x + WIDTH // 2, height - 12, f"… and {hidden} more", "#666"))
    return "\n".join(parts)


def _item(item: Item) -> str:
    middle = item.x + WIDTH // 2
    if item.is_data:
        fill, stroke = DATA_COLOURS
        shape = (
            f"<ellipse cx='{middle}' cy='{item.y + HEIGHT // 2}' rx='{WIDTH // 2}' ry='{HEIGHT // 2}' "
            f"fill='{fill}' stroke='{stroke}'/>"
        )
    else:
        fill, stroke = COLOURS[item.status]
        dashes = " stroke-dasharray='4 3'" if item.status == "cached" else ""
        shape = (
            f"<rect x='{item.x}' y='{item.y}' width='{WIDTH}' height='{HEIGHT}' rx='4' "
            f"fill='{fill}' stroke='{stroke}'{dashes}/>"
        )
    state = f", {item.status}" if item.status else ""
    second = item.detail if item.detail != item.text else ""
    texts = [_text(middle, item.y + (16 if second else 23), _short(item.title), "#111")]
    if second:
        texts.append(_text(middle, item.y + 30, _short(second), "#666", size=9))
    tip = escape(f"{item.title} ({item.detail}{state})")
    return f"<g><title>{tip}</title>{shape}{''.join(texts)}</g>"


def _text(x: int, y: int, text: str, colour: str, *, size: int = 11, weight: str = "normal") -> str:
    return (
        f"<text x='{x}' y='{y}' text-anchor='middle' fill='{colour}' font-size='{size}' "
        f"font-weight='{weight}'>{escape(text)}</text>"
    )


def _short(text: str) -> str:
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"


def _is_far(line: Line, items: Mapping[str, Item]) -> bool:
    return items[line.target].x - items[line.source].x > WIDTH + GAP


def _line(line: Line, items: Mapping[str, Item], lanes: Mapping[str, tuple[int, int]]) -> str:
    """A curve down to what was made or across to the next column, or a way along a lane to one further on."""
    source, target = items[line.source], items[line.target]
    sy, ty = source.y + HEIGHT // 2, target.y + HEIGHT // 2
    start, end, colour = source.x + WIDTH, target.x, LINE
    if source.x == target.x and target.is_data:
        bulge = end - 14
        path = f"M{source.x} {sy} C{bulge} {sy} {bulge} {ty} {end} {ty}"
    elif source.x >= target.x:
        bulge = start + 18
        path = f"M{start} {sy} C{bulge} {sy} {bulge} {ty} {target.x + WIDTH} {ty}"
    elif not _is_far(line, items):
        path = f"M{start} {sy} C{start + GAP // 2} {sy} {end - GAP // 2} {ty} {end} {ty}"
    else:
        number, lane = lanes[line.source]
        colour = LANE_COLOURS[number % len(LANE_COLOURS)]
        aside = 12 + 4 * (number % len(LANE_COLOURS))
        path = f"M{start} {sy} H{start + aside} V{lane} H{end - aside} V{ty} L{end} {ty}"
    label = f"<title>{escape(line.label)}</title>"
    style = f"fill='none' stroke='{colour}' stroke-width='1.2' stroke-linejoin='round'"
    return f"<path d='{path}' {style}>{label}</path>" + _tip(target, path, colour)


def _tip(target: Item, path: str, colour: str) -> str:
    """The point of an arrow at the end of a curve."""
    x, y = (int(value.lstrip("L")) for value in path.split()[-2:])
    outwards = -6 if x == target.x else 6
    return f"<path d='M{x} {y} l{outwards} -3 l0 6 z' fill='{colour}'/>"


def caption(graph: Graph) -> Iterable[str]:
    """What the shapes and colours of the picture mean, one sentence each."""
    yield "Boxes are jobs and functions, ellipses are data; like ones of a stage share one, with their number."
    if any(not process.ok for process in graph.processes.values()):
        yield "Red boxes failed."
    if any(process.cached_from for process in graph.processes.values()):
        yield "Dashed boxes were taken from the cache."
