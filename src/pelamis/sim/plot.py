"""A picture of a simulation, as SVG written by hand: pods by phase, nodes, and the replicas of workloads over time.

Three panels share one axis of time. A column of the picture that holds many changes shows the most and the least of
them, so a job of a minute is seen in a year. Colours follow the reader's light or dark setting.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from html import escape

from pelamis.sim.duration import clock, span
from pelamis.sim.observe import Observer, Series

WIDTH, LEFT, RIGHT = 960, 64, 190
PLOT = WIDTH - LEFT - RIGHT
PODS_H, NODES_H, WORKLOAD_H, GAP, TOP = 170, 60, 90, 46, 64
MOST_WORKLOADS = 6
MOST_MARKS = 12
_STACK = ("ready", "running", "pending", "terminating", "failed", "succeeded")
_TITLES = {"running": "running, not ready"}

_STYLE = """
  .page{fill:#ffffff} text{font:12px system-ui,sans-serif;fill:#24292f} .title{font-size:16px;font-weight:600}
  .soft{fill:#57606a} .grid{stroke:#d8dee4;stroke-width:1} .mark{stroke:#8250df;stroke-width:1;stroke-dasharray:3 3}
  .fault{stroke:#cf222e} .number{font-size:10px;font-weight:600;fill:#8250df} .number.fault{fill:#cf222e;stroke:none}
  .ready{fill:#2da44e} .running{fill:#9be9a8} .pending{fill:#d4a72c} .terminating{fill:#8c959f}
  .failed{fill:#cf222e} .succeeded{fill:#54aeff} .line{fill:none;stroke-width:1.6} .wanted{stroke-dasharray:4 3}
  .c0{stroke:#0969da} .c1{stroke:#bf3989} .c2{stroke:#1a7f37} .c3{stroke:#bc4c00} .c4{stroke:#8250df}
  .c5{stroke:#6e7781}
  @media (prefers-color-scheme:dark){
    .page{fill:#0d1117} text{fill:#e6edf3} .soft{fill:#8d96a0} .grid{stroke:#30363d}
    .mark{stroke:#a371f7} .fault{stroke:#f85149} .number{fill:#a371f7} .number.fault{fill:#f85149}
    .ready{fill:#238636} .running{fill:#56d364} .pending{fill:#bb8009} .terminating{fill:#6e7681}
    .failed{fill:#da3633} .succeeded{fill:#1f6feb} .c0{stroke:#58a6ff} .c1{stroke:#f778ba} .c2{stroke:#3fb950}
    .c3{stroke:#f0883e} .c4{stroke:#bc8cff} .c5{stroke:#8b949e}
  }
"""
_FAR = (60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 7 * 86400, 14 * 86400, 30 * 86400, 91 * 86400, 365 * 86400)


class _Columns:
    """A series at the picture's resolution: the least and the most of each column, and what it ends with."""

    def __init__(self, series: Series, end: float) -> None:
        self.low: list[float] = []
        self.high: list[float] = []
        self.last: list[float] = []
        times = [p[0] for p in series.points]
        values = [p[1] for p in series.points]
        for x in range(PLOT):
            start, stop = x * end / PLOT, (x + 1) * end / PLOT
            first, after = bisect_right(times, start) - 1, bisect_right(times, stop)
            held = values[max(first, 0) : after] if after else []
            if first < 0:
                held = [0.0, *held]
            self.low.append(min(held))
            self.high.append(max(held))
            self.last.append(held[-1])

    @property
    def most(self) -> float:
        return max(self.high, default=0.0)


def _nice(most: float) -> int:
    """An upper end of an axis, of at least 1, with four round steps or fewer."""
    top = max(int(most), 1)
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step * 4 >= top:
                return -(-top // step) * step
        size *= 10


def _step_of(top: int) -> int:
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step * 4 >= top:
                return step
        size *= 10


class _Picture:
    def __init__(self, end: float) -> None:
        self.out: list[str] = []
        self.end = max(end, 1.0)
        self.y = float(TOP)

    def x(self, at: float) -> float:
        return LEFT + PLOT * min(max(at / self.end, 0.0), 1.0)

    def add(self, text: str) -> None:
        self.out.append(text)

    def text(self, x: float, y: float, text: str, cls: str = "", anchor: str = "start") -> None:
        named = f' class="{cls}"' if cls else ""
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(text)}</text>')

    def panel(self, title: str, height: float, most: float) -> tuple[float, float]:
        """Returns (y of zero, pixels per unit)."""
        top, step = _nice(most), _step_of(_nice(most))
        base = self.y + height
        scale = height / top
        self.text(LEFT, self.y - 8, title, "soft")
        for value in range(0, top + 1, step):
            y = base - value * scale
            self.add(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + PLOT}" y2="{y:.1f}"/>')
            self.text(LEFT - 8, y + 4, str(value), "soft", "end")
        self.y = base + GAP
        return base, scale

    def line(self, columns: _Columns, base: float, scale: float, cls: str) -> None:
        path: list[str] = []
        before: float | None = None
        for x, (low, high, last) in enumerate(zip(columns.low, columns.high, columns.last, strict=True)):
            if low == high == before:
                continue
            at = LEFT + x
            if before is None:
                path.append(f"M{at} {base - high * scale:.1f}")
            elif low == high:
                path.append(f"H{at}V{base - high * scale:.1f}")
            else:
                path.append(f"H{at}V{base - high * scale:.1f}V{base - low * scale:.1f}V{base - last * scale:.1f}")
            before = last
        path.append(f"H{LEFT + PLOT}")
        self.add(f'<path class="line {cls}" d="{"".join(path)}"/>')

    def area(self, bottom: Sequence[float], top: Sequence[float], base: float, scale: float, cls: str) -> None:
        if all(a == b for a, b in zip(bottom, top, strict=True)):
            return

        def edge(values: Sequence[float], order: Sequence[int]) -> list[str]:
            path = []
            before: float | None = None
            for x in order:
                value = values[x]
                if value != before:
                    left = LEFT + x if order[0] == 0 else LEFT + x + 1
                    path.append(f"H{left}V{base - value * scale:.1f}")
                before = value
            path.append(f"H{LEFT + PLOT if order[0] == 0 else LEFT}")
            return path

        forth = edge(top, range(PLOT))
        back = edge(bottom, range(PLOT - 1, -1, -1))
        self.add(f'<path class="{cls}" d="M{LEFT} {base:.1f}{"".join(forth)}{"".join(back)}Z"/>')


def _heights(pods: dict[str, _Columns], total: _Columns) -> dict[str, list[float]]:
    """What is stacked: of each phase the most of the column, but together not more than there were at a time.

    Where pods went from one phase to another within a column, the phase that is rarer is shown.
    """
    out = {name: list(pods[name].high) for name in _STACK}
    for x in range(PLOT):
        excess = sum(out[name][x] for name in _STACK) - total.high[x]
        for name in _STACK:
            if excess <= 0:
                break
            less = min(excess, pods[name].high[x] - pods[name].low[x])
            out[name][x] -= less
            excess -= less
    return out


def plot(observer: Observer, end: float, title: str) -> str:
    """end: seconds. Returns the SVG document."""
    picture = _Picture(end)
    pods = {name: _Columns(series, picture.end) for name, series in observer.pods.items()}
    total = _Columns(observer.total, picture.end)
    heights = _heights(pods, total)
    start = picture.y
    base, scale = picture.panel("pods", PODS_H, total.most)
    floor = [0.0] * PLOT
    legend = base - PODS_H + 10.0
    for name in _STACK:
        ceiling = [floor[x] + heights[name][x] for x in range(PLOT)]
        picture.area(floor, ceiling, base, scale, name)
        if pods[name].most:
            picture.add(
                f'<rect class="{name}" x="{LEFT + PLOT + 16}" y="{legend - 9:.0f}" width="11" height="11" rx="2"/>'
            )
            picture.text(LEFT + PLOT + 33, legend, _TITLES.get(name, name))
            legend += 18
        floor = ceiling
    nodes = _Columns(observer.nodes["nodes"], picture.end)
    base, scale = picture.panel("nodes ready", NODES_H, nodes.most)
    picture.line(nodes, base, scale, "wanted c5")
    picture.line(_Columns(observer.nodes["ready"], picture.end), base, scale, "c2")
    shown = sorted(observer.workloads.values(), key=lambda w: -max((v for _, v in w.desired.points), default=0.0))
    hidden, shown = shown[MOST_WORKLOADS:], shown[:MOST_WORKLOADS]
    if shown:
        columns = [(_Columns(w.desired, picture.end), _Columns(w.ready, picture.end)) for w in shown]
        base, scale = picture.panel(
            "replicas: ready, and wanted (dashed)", WORKLOAD_H, max(max(a.most, b.most) for a, b in columns)
        )
        for i, (workload, (wanted, ready)) in enumerate(zip(shown, columns, strict=True)):
            picture.line(wanted, base, scale, f"wanted c{i}")
            picture.line(ready, base, scale, f"c{i}")
            y = base - WORKLOAD_H + 10 + 17 * i
            x = LEFT + PLOT + 16
            picture.add(f'<line class="line c{i}" x1="{x}" y1="{y - 4:.0f}" x2="{x + 12}" y2="{y - 4:.0f}"/>')
            picture.text(LEFT + PLOT + 33, y, _cut(workload.title))
        if hidden:
            picture.text(LEFT + PLOT + 33, base - WORKLOAD_H + 10 + 17 * len(shown), f"{len(hidden)} more", "soft")
    bottom = picture.y - GAP
    _axis(picture, bottom)
    height = _marks(picture, observer, start, bottom)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<style>{_STYLE}</style>"
        f'<rect class="page" width="{WIDTH}" height="{height:.0f}" rx="8"/>'
        f'<text class="title" x="{LEFT}" y="30">{escape(title)}</text>'
    )
    return head + "\n".join(picture.out) + "</svg>\n"


def _cut(text: str) -> str:
    return text if len(text) <= 24 else "…" + text[-23:]


def _axis(picture: _Picture, y: float) -> None:
    gap = next((f for f in _FAR if picture.end / f <= 8), _FAR[-1])
    at = 0.0
    while at <= picture.end:
        x = picture.x(at)
        picture.add(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{y + 5:.1f}"/>')
        picture.text(x, y + 18, span(at) if at else "0", "soft", "middle")
        at += gap


def _marks(picture: _Picture, observer: Observer, top: float, bottom: float) -> float:
    """Steps and faults as numbered lines, told below. Returns the height of the picture."""
    y = bottom + 44
    for i, (at, text, what) in enumerate(observer.marks[:MOST_MARKS]):
        x, cls = picture.x(at), " fault" if what == "fault" else ""
        picture.add(f'<line class="mark{cls}" x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"/>')
        picture.text(x, top - 2, str(i + 1), f"number{cls}", "middle")
        picture.text(LEFT, y, str(i + 1), f"number{cls}")
        picture.text(LEFT + 20, y, clock(at), "soft")
        picture.text(LEFT + 110, y, text if len(text) <= 100 else text[:99] + "…")
        y += 18
    if len(observer.marks) > MOST_MARKS:
        picture.text(LEFT + 20, y, f"{len(observer.marks) - MOST_MARKS} more", "soft")
        y += 18
    return y + 6
