# SPDX-License-Identifier: MIT
"""The charts of docs/benchmarks.md, as SVG that is the same for the same figures."""
import matplotlib

matplotlib.use("svg")
import matplotlib.patches  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import matplotlib.ticker  # noqa: E402

BASE = "raw_epoll"
COLOURS = {"pollux": ("#c1272d", "#e8743b", "#f2a65a", "#7b1e3a", "#d98fa5"),
           "raw": ("#444444", "#999999"),
           "peer": ("#1f6f8b", "#5fa8c4", "#3a7d44", "#8a6fb0", "#b7a13a", "#6b8e9f")}
TITLES = {"W1": "W1: a round trip", "W2": "W2: an event in a chain of N pairs, A active",
          "W3": "W3: a change", "W4": "W4: the end of a connection", "W5": "W5: 100,000 timers",
          "W6": "W6: between threads", "W7": "W7: one active among many idle"}
# Cost against the number of descriptors: a title, and the rows by their number.
LINES = (("one active of N pairs (W2)", {n: f"W2.N{n}.A1" for n in (100, 1000, 9900)}),
         ("one active among N idle (W7)",
          {1000: "W7.idle1k", 10_000: "W7.idle10k", 19_000: "W7.idle19k"}))

LOWEST, HIGHEST = 0.2, 5
TICKS = (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5)
MORE_TICKS = (0.8, 0.9, 1.1, 1.25)  # where there is room

plt.rcParams.update({"svg.hashsalt": "pollux", "svg.fonttype": "none", "font.size": 9,
                     "font.family": "sans-serif", "axes.spines.top": False,
                     "axes.spines.right": False, "axes.axisbelow": True})


def colours(results):
    return {loop: COLOURS[whose][i % len(COLOURS[whose])]
            for whose, loops in results.loops.items() for i, loop in enumerate(loops)}


def save(figure, path):
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def bars(path, title, workloads, results):
    """Ratios of medians to epoll by hand, on a logarithmic scale: as far up as down is as much. What does
    not fit is cut off, and its figure stands beside it."""
    loops = [loop for loops in results.loops.values() for loop in loops if loop != BASE]
    palette = colours(results)
    found = {(workload, loop): ratios[0] for workload in workloads for loop in loops
             if (ratios := results.compare(workload, loop, BASE))}
    if not found:
        return
    low = max(LOWEST, min([0.8, *found.values()]) * 0.9)
    high = min(HIGHEST, max([1.25, *found.values()]) * 1.1)
    figure, axes = plt.subplots(figsize=(max(6.0, 2.2 * len(workloads) + 2), 3.4))
    width = 0.84 / max(len(loops), 1)
    for i, loop in enumerate(loops):
        for x, workload in enumerate(workloads):
            if (ratio := found.get((workload, loop))) is None:
                continue
            place, shown = x - 0.42 + (i + 0.5) * width, min(max(ratio, low), high)
            axes.bar(place, shown - 1, width * 0.92, bottom=1, color=palette[loop])
            if shown != ratio:
                axes.annotate(f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}", (place, shown),
                              xytext=(0, 2 if ratio > 1 else -2), textcoords="offset points",
                              ha="center", va="bottom" if ratio > 1 else "top", rotation=90,
                              fontsize=7)
    handles = [matplotlib.patches.Patch(color=palette[loop], label=loop) for loop in loops]
    axes.axhline(1, color="#444444", linewidth=1)
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    ticks = TICKS if high / low > 4 else sorted(TICKS + MORE_TICKS)
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])
    axes.tick_params(axis="x", length=0, pad=30 if min(found.values()) < low else 4)
    axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_xticks(range(len(workloads)), workloads)
    axes.set_ylabel("time, epoll by hand = 1")
    axes.set_title(title, loc="left", pad=18)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    save(figure, path)


def lines(path, results):
    palette = colours(results)
    figure, panels = plt.subplots(1, len(LINES), figsize=(10, 3.6), sharey=True)
    for axes, (title, rows) in zip(panels, LINES):
        for whose, loops in results.loops.items():
            for loop in loops:
                found = [(n, results.median(row)) for n, workload in rows.items()
                         if (row := results.row(workload, loop))]
                if found:
                    axes.plot(*zip(*found), color=palette[loop], label=loop, marker="o", markersize=3,
                              linestyle="--" if whose == "raw" else "-")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(list(rows), [f"{n:,}" for n in rows])
        axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axes.set_xlabel("descriptors" if rows.get(19_000) else "pairs")
        axes.set_title(title, loc="left")
        axes.grid(color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel("ns an event")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    save(figure, path)


def draw(folder, results):
    for topic, title in TITLES.items():
        workloads = [workload for workload in results.workloads
                     if workload.startswith(topic) and workload != "W7.memory"]
        if workloads:
            bars(folder / f"{topic}.svg", title, workloads, results)
    lines(folder / "descriptors.svg", results)
