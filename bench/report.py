# SPDX-License-Identifier: MIT
"""What scripts/bench has measured, as tables of docs/benchmarks.md and bench/budgets.md, charts, and JSON."""
import json
import re
import statistics

import goals

BASE = "raw_epoll"
RAW = "benchmarks/results.json"
PAGES = ("benchmarks.md", "../bench/budgets.md")  # seen from docs/, like the above
STREAMS = "W8."
NOISE = 1.03  # what is less than this behind is not called behind


class Results:
    def __init__(self, data, streams=False):
        """Rows of loops, or those of `streams`, which other columns have, and the server's own time."""
        self.setup, self.left_out = data["setup"], data["left_out"]
        self.rows = {name: row for name, row in data["rows"].items() if name.startswith(STREAMS) == streams}
        self.streams = self if streams else Results(data, True)
        self.workloads = list(dict.fromkeys(name.partition("/")[0] for name in self.rows))
        loops = {name.partition("/")[2]: row["whose"] for name, row in self.rows.items()}
        self.variants = [loop for loop in loops if "/" in loop]
        self.loops = {whose: [loop for loop, of in loops.items() if of == whose and "/" not in loop]
                      for whose in ("pollux", "raw", "peer")}

    def row(self, workload, loop):
        return self.rows.get(f"{workload}/{loop}")

    def medians(self, row):
        return [statistics.median(chunks) for chunks in row["rounds"]]

    def median(self, row):
        return statistics.median(self.medians(row))

    def best(self, row):
        return min(min(chunks) for chunks in row["rounds"])

    def ratios(self, row, other):
        """The median of the ratios within the rounds, and the best chunk to the best."""
        within = [a / b for a, b in zip(self.medians(row), self.medians(other))]
        return statistics.median(within), self.best(row) / self.best(other)

    def compare(self, workload, loop, other):
        """`ratios`, or None if one of the two has no such row."""
        row, against = self.row(workload, loop), self.row(workload, other)
        return self.ratios(row, against) if row and against else None

    @property
    def native(self):
        """The backend that a reactor takes by itself."""
        return self.loops["pollux"][0] if self.loops["pollux"] else None


def number(value):
    """Three digits, or two behind the point."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    if value != 0 and abs(value) < 0.095:
        return f"{value:.3f}"
    return f"{value:.2f}"


def calls_of(value):
    return "" if value is None else f"{value:.2f}".removesuffix(".00")


def table(head, lines):
    return "\n".join("| " + " | ".join(line) + " |"
                     for line in (head, ["---"] * len(head), *lines)) + "\n"


def both(ratios):
    return "" if ratios is None else f"{number(ratios[0])} / {number(ratios[1])}"


def columns(results):
    return [BASE, *results.loops["pollux"],
            *(loop for loop in results.loops["raw"] if loop != BASE), *results.loops["peer"]]


def times_table(results):
    loops = columns(results)
    lines = []
    for workload in results.workloads:
        cells = []
        for loop in loops:
            row = results.row(workload, loop)
            if row and loop == BASE:
                cells.append(f"{number(results.median(row))} / {number(results.best(row))} ns")
            else:
                cells.append(both(results.compare(workload, loop, BASE)))
        lines.append([workload, *cells])
    return table(["workload", *loops], lines)


def variants_table(results):
    lines = []
    for workload in results.workloads:
        cells = [both(results.compare(workload, loop, BASE)) for loop in results.variants]
        if any(cells):
            lines.append([workload, *cells])
    return table(["workload", *results.variants], lines)


def of_streams(table_of):
    """The table of the rows of streams."""
    return lambda results: table_of(results.streams) if results.streams.rows else "Not measured yet.\n"


def messages_table(results):
    """A second, in thousands, and to the peer that has most."""
    loops, lines = columns(results), []
    for workload in results.workloads:
        rows = [results.row(workload, loop) for loop in loops]
        peers = [row for row in (results.row(workload, loop) for loop in results.loops["peer"]) if row]
        native = results.row(workload, results.native)
        best = min(peers, key=results.median) if native and peers else None
        lines.append([workload, *(number(1e6 / results.median(row)) if row else "" for row in rows),
                      both(results.ratios(native, best)) if best else ""])
    return table(["workload", *loops, f"{results.native} to the best library, time"], lines)


def server_time(results):
    """The same rows, with the processor's time that the server took in the place of the clock's."""
    of_server = Results({"setup": results.setup, "left_out": results.left_out, "rows": {
        name: {**row, "rounds": row["cpu"]} for name, row in results.rows.items()}}, True)
    return times_table(of_server)


def counts_table(results, what, shown):
    loops = columns(results)
    lines = []
    for workload in results.workloads:
        rows = [results.row(workload, loop) or {} for loop in loops]
        if any(what in row for row in rows):
            lines.append([workload, *(shown(row) if what in row else "" for row in rows)])
    return table(["workload", *loops], lines)


def calls_table(results):
    def shown(row):
        control = row.get("epoll_ctl", 0)
        return calls_of(row["calls"]) + (f" ({calls_of(control)})" if control >= 0.005 else "")
    return counts_table(results, "calls", shown)


def instructions_table(results):
    return counts_table(results, "instructions", lambda row: f"{row['instructions']:.0f}")


def parts_table(results):
    """What is behind an instruction goal that is not met."""
    parts = ("own", "turn", "backend", "changes", "lifecycle", "timers")
    lines = []
    for goal in goals.GOALS:
        row = results.row(goal.workload, results.native)
        if goal.instructions is None or not row or "parts" not in row:
            continue
        of = row["parts"]
        lines.append([goal.workload, f"{row['instructions']:.0f} (≤ {goal.instructions})",
                      *(f"{of[part]:.0f}" if of.get(part, 0) >= 0.5 else "" for part in parts)])
    return table(["workload", "instructions", "the row itself", "turn", "backend", "changes",
                  "lifecycle", "timers"], lines)


def memory_table(results):
    loops = columns(results)
    rows = [results.row(goals.BYTES[0], loop) for loop in loops]
    return table([*loops], [[f"{row['bytes']:.0f} bytes, {number(results.median(row))} ns" if row else ""
                             for row in rows]])


def verdict(checks):
    """Of what was measured: `checks` are (measured, goal), either None if there is none."""
    known = [round(measured, 2) <= goal for measured, goal in checks
             if measured is not None and goal is not None]
    return "" if not known else "met" if all(known) else "**not met**"


def against(measured, goal, show):
    if goal is None:
        return show(measured)
    return f"{show(measured) or 'not measured'} (≤ {show(goal)})"


def goals_table(results):
    native = results.native
    lines = []
    for goal in goals.GOALS:
        row = results.row(goal.workload, native)
        if not row:
            continue
        ratios = results.compare(goal.workload, native, BASE)
        time = min(ratios) if ratios else None
        # The count of the smallest chain stands for the larger ones.
        calls, instructions = row.get("calls"), row.get("instructions")
        time_cell = both(ratios) + (f" (≤ {goal.time:.2f})" if goal.time else "")
        lines.append([
            goal.workload, against(calls, goal.calls, calls_of),
            against(instructions, goal.instructions, lambda n: "" if n is None else f"{n:.0f}")
            if instructions is not None else "", time_cell,
            verdict([(calls, goal.calls), (instructions, goal.instructions), (time, goal.time)])])
    first, second, limit = goals.FLAT
    rows = results.row(first, native), results.row(second, native)
    if all(rows):
        ratios = results.ratios(rows[1], rows[0])
        lines.append([f"{second}, to {first}", "", "", f"{both(ratios)} (≤ {limit:.2f})",
                      verdict([(min(ratios), limit)])])
    workload, limit = goals.BYTES
    if row := results.row(workload, native):
        lines.append([workload, f"{row['bytes']:.0f} bytes (≤ {limit})", "", "",
                      verdict([(row["bytes"], limit)])])
    return table(["workload", "system calls", "instructions", "time", ""], lines)


def limits_table(results):
    """Bold where a limit is not kept."""
    lines = []
    for workload in results.workloads:
        cells = []
        for loop, other, limit, prefixes in goals.LIMITS:
            ratios = workload.startswith(prefixes) and results.compare(workload, loop, other)
            kept = not ratios or round(min(ratios), 2) <= limit
            cells.append(both(ratios or None) if kept else f"**{both(ratios)}**")
        if any(cells) and workload != goals.BYTES[0]:
            lines.append([workload, *cells])
    return table(["workload", *(f"{loop} to {other}, ≤ {limit:.2f}"
                                for loop, other, limit, _ in goals.LIMITS)], lines)


def ahead_table(results):
    """The native backend to each peer: below 1 it is ahead."""
    peers = results.loops["peer"]
    lines = []
    for workload in results.workloads:
        if workload == goals.BYTES[0]:
            continue
        cells = []
        for peer in peers:
            ratios = results.compare(workload, results.native, peer)
            behind = ratios and min(ratios) > NOISE
            cells.append(f"**{both(ratios)}**" if behind else both(ratios))
        lines.append([workload, *cells])
    return table([f"{results.native} to", *peers], lines)


def setup_text(results):
    setup = results.setup
    rounds = "one short round" if setup["quick"] else f"{setup['rounds']} rounds"
    return (f"{setup['date']}, {rounds}, {setup['minutes']} minutes: {setup['kernel']} "
            f"({setup['machine']}), {setup['cpu']}, {setup['cores']} cores, {setup['compiler']}, "
            f"Release. The load average at the start was {setup['load']}."
            + (f" System calls and instructions: {setup['counted']}." if "counted" in setup else "")
            + "".join(f" {rows}: {date}." for rows, date in setup.get("later", {}).items()) + "\n")


def left_out_text(results):
    if not results.left_out:
        return "Nothing was left out.\n"
    return "".join(f"- `{name}`: {why}\n" for name, why in results.left_out.items())


TABLES = {"setup": setup_text, "times": times_table, "variants": variants_table, "calls": calls_table,
          "instructions": instructions_table, "parts": parts_table, "memory": memory_table, "goals": goals_table,
          "limits": limits_table, "ahead": ahead_table, "left-out": left_out_text,
          "messages": of_streams(messages_table), "streams": of_streams(times_table),
          "server-time": of_streams(server_time), "streams-calls": of_streams(calls_table),
          "streams-instructions": of_streams(instructions_table), "streams-goals": of_streams(goals_table)}


def fill(text, results):
    """`text` with what is between its markers made anew."""
    def filled(match):
        made = TABLES[match[1]](results)
        return f"<!-- measured: {match[1]} -->\n{made}<!-- end -->"
    return re.sub(r"<!-- measured: ([\w-]+) -->\n.*?<!-- end -->", filled, text, flags=re.S)


def write_json(path, data):
    """A line a row, so that a difference shows which has changed."""
    head = {key: value for key, value in data.items() if key != "rows"}
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}"
                      for name, row in data["rows"].items())
    path.write_text(f"{json.dumps(head)[:-1]},\n\"rows\": {{\n{rows}\n}}}}\n", encoding="utf-8")


def show(data):
    """On the terminal, without ado."""
    results = Results(data)
    for title, made in (("ratios to raw_epoll, median / best", times_table),
                        ("plain readiness watches", variants_table), ("system calls", calls_table),
                        ("instructions", instructions_table),
                        ("thousand messages a second", of_streams(messages_table)),
                        ("streams, ratios to raw_epoll", of_streams(times_table)),
                        ("the server's own time", of_streams(server_time)),
                        ("streams, system calls", of_streams(calls_table)),
                        ("streams, instructions", of_streams(instructions_table))):
        lines = made(results).splitlines()
        if len(lines) > 2:
            print(f"{title}:", *lines, "", sep="\n")


def read(docs):
    return json.loads((docs / RAW).read_text(encoding="utf-8"))


def redraw(docs):
    draw(docs, read(docs))


def write(docs, data):
    (docs / RAW).parent.mkdir(exist_ok=True)
    write_json(docs / RAW, data)
    draw(docs, data)


def draw(docs, data):
    results = Results(data)
    for page in (docs / name for name in PAGES):
        page.write_text(fill(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    try:
        import charts  # matplotlib need not be here
    except ImportError as missing:
        print(f"The charts stay as they are: {missing}")
        return
    charts.draw((docs / RAW).parent, results)
