# SPDX-License-Identifier: MIT
"""What speed.py has measured, as tables of docs/proxy.md."""
import operator
import re
import statistics

DIRECT, BASE = "direct", "pollux/epoll"

SECTION = """## Speed

The client and the server are one thread, on a processor of their own{unless}; the proxy is one thread on another one
(socat: a process a connection). {rounds} of {seconds} s each, interleaved: a figure is the median of the rounds.
In brackets is the ratio to `{base}`, the median of the ratios within the rounds. The machine: {cpu}, {cores} processors,
whose load average was {load} when it began.{quick} Each proxy has the buffers that it comes with.
Measured by

```sh
{command}
```

### What gets through

More is better.

{through}

### Latency added

The time of a question and answer of 64 bytes through the proxy, without that of the same round with no proxy, which is
the column `direct`. On 100 connections, each of them has a question under way all the time: an answer waits for the
others. Less is better.

{latency}

### What it costs

The proxy's time on its processor, its system calls (by `strace -f -c`, which slows a proxy down), and its memory for one
of {idle} connections that have had a byte each way and wait (what processes share is divided between them; the kernel's
buffers are not in it). Less is better.

{cost}

### How busy the proxy was

Of its processor, in percent. Where it is not busy, the load is the limit of what gets through, or the time in which a
processor that was asleep wakes up: the time that it took says more.

{busy}
"""


class Row:
    """A line of a table: what a cell of a work says, and in which words it is written."""

    def __init__(self, title, work, value):
        self.title, self.work, self.value = title, work, value


def a_second(cell):
    return cell["operations"] / cell["seconds"]


def megabytes_a_second(cell):
    return cell["bytes"] / 1e6 / cell["seconds"]


def amount(cell):
    """How many operations, or megabytes."""
    return cell["operations"] if "operations" in cell else cell["bytes"] / 1e6


def cpu_us(cell):
    """Of the proxy's processor: an operation, or a megabyte."""
    return None if "cpu_s" not in cell else cell["cpu_s"] * 1e6 / amount(cell)


def busy(cell):
    return None if "cpu_s" not in cell else 100 * cell["cpu_s"] / cell["seconds"]


ONE, MANY = "1 connection", "{} connections"
BYTES = {"one-way/1": f"one way, {ONE}", "one-way/32": f"one way, {MANY.format(32)}",
         "both-ways/1": f"both ways, {ONE}", "both-ways/32": f"both ways, {MANY.format(32)}"}
TRIPS = {"round-trips/1": ONE, "round-trips/100": MANY.format(100)}
CHURN = {"churn/32": "32 at once"}
THROUGH = [
    *(Row(f"MB a second, {title}", work, megabytes_a_second) for work, title in BYTES.items()),
    *(Row(f"round trips of 64 B a second, {title}", work, a_second) for work, title in TRIPS.items()),
    *(Row(f"connections a second, a byte each way, {title}", work, a_second) for work, title in CHURN.items())]
LATENCY = [Row(f"{title}: {name}, µs", work, operator.itemgetter(key)) for work, title in TRIPS.items()
           for name, key in (("median", "median_us"), ("p99", "p99_us"))]
COST = [
    *(Row(f"µs of the processor a MB, {title}", work, cpu_us) for work, title in BYTES.items()),
    *(Row(f"µs of the processor a round trip, {title}", work, cpu_us) for work, title in TRIPS.items()),
    *(Row(f"µs of the processor a connection, {title}", work, cpu_us) for work, title in CHURN.items())]
CALLS = {"one-way/1": f"system calls a MB, one way, {ONE}", "round-trips/1": f"system calls a round trip, {ONE}",
         "churn/1": "system calls a connection, one at a time"}
BUSY = [Row(row.title.replace(" a second", ""), row.work, busy) for row in THROUGH]


def number(value):
    """Three digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def by_round(data, row, proxy):
    """The values of the rounds, None where there is none."""
    cells = [cells.get(row.work, {}).get(proxy) for cells in data["rounds"]]
    return [None if cell is None else row.value(cell) for cell in cells]


def median(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def without(values, others):
    return [None if None in pair else pair[0] - pair[1] for pair in zip(values, others)]


def ratio(values, others):
    return median(None if None in pair or not pair[1] else pair[0] / pair[1] for pair in zip(values, others))


def cell(value, to_base, name):
    if value is None:
        return ""
    return number(value) if name == BASE or to_base is None else f"{number(value)} ({to_base:.2f})"


def markdown(head, lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines))


def names_of(data):
    """The base first, that the others are compared with."""
    return sorted(data["proxies"], key=lambda name: name != BASE)


def measured(data, rows, names, added=False):
    """A table of rows that were measured in rounds. `added`: to what there is without a proxy."""
    direct = {row: by_round(data, row, DIRECT) for row in rows}
    lines = []
    for row in rows:
        values = {name: by_round(data, row, name) for name in names}
        if added:
            values = {name: of if name == DIRECT else without(of, direct[row]) for name, of in values.items()}
        base = values.get(BASE, [])
        cells = [cell(median(values[name]), None if added and name == DIRECT else ratio(values[name], base), name)
                 for name in names]
        if any(cells):
            lines.append([row.title, *cells])
    return lines


def counted(title, values, names):
    base = values.get(BASE)
    return [title, *(cell(values.get(name), values[name] / base if name in values and base else None, name)
                     for name in names)]


def cost_lines(data, names):
    lines = measured(data, COST, names)
    for work, cells in data["calls"].items():
        each = {name: sum(one["calls"].values()) / one["of"] for name, one in cells.items()}
        if each:
            lines.append(counted(CALLS[work], each, names))
    if data["memory"]:
        lines.append(counted("memory of an idle connection, bytes", data["memory"], names))
    return lines


def calls_of_summary(text):
    """The counts of `strace -c`, by name."""
    found = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", text, re.M)
    return {name: int(count) for count, name in found if name != "total"}


def section(data):
    setup, names = data["setup"], names_of(data)
    quick = " **This was a quick run, whose figures compare nothing.**" if setup["quick"] else ""
    text = SECTION.format(
        unless="" if setup["pinned"] else " if there were two: here all share one, and nothing is worth comparing",
        rounds="One round" if setup["rounds"] == 1 else f"{setup['rounds']} rounds", seconds=setup["seconds"],
        base=BASE, cpu=setup["cpu"], cores=setup["cores"], command=setup["command"], load=setup["load"], quick=quick, idle=f"{setup['idle']:,}",
        through=markdown(["", DIRECT, *names], measured(data, THROUGH, [DIRECT, *names])),
        latency=markdown(["", DIRECT, *names], measured(data, LATENCY, [DIRECT, *names], added=True)),
        cost=markdown(["", *names], cost_lines(data, names)),
        busy=markdown(["", *names], [[line[0], *(one.partition(" ")[0] for one in line[1:])]
                                     for line in measured(data, BUSY, names)]))
    if data["left_out"]:
        text += "\nLeft out:\n\n" + "\n".join(f"- {name}: {why}" for name, why in data["left_out"].items()) + "\n"
    return text
