#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cases pass around a proxy that does as they say, each mistake of broken_proxy.py fails those that
are named here, and there is no case that no mistake fails."""
import concurrent.futures
import multiprocessing
import pathlib
import sys

import faults
import histories
import network
import peers
import proxies

BROKEN = pathlib.Path(__file__).with_name("broken_proxy.py")
# How long these wait for what does not come. A proxy that is right is not hurried.
PATIENCE_S = 1.0
# The memory of a Python program comes and goes by more than a proxy may.
faults.MEMORY_MARGIN_KB = 8 * 1024
# Most of what they do is to wait. Each process has a network of its own.
AT_ONCE = 4

ANSWER = "answer of 10 MB after the client's FIN"
SERVERS_FIN = "the server's FIN first"
FIN_AT_ONCE = "half-closes at once"
BOTH_WAYS, LATE_READER = "100 MB each way", "the client reads when it has sent"
SLOW_SENDER = "100 bytes, one each"
BY_CLIENT, BY_SERVER = "^reset by the client$", "^reset by the server$"
BLOCKED_SERVER, BLOCKED_CLIENT = "while the server is blocked", "while the client is blocked"
FIN_RESET, HALF_CLOSED_RESET = "and then its reset", "and then a reset by the server"
BYTES_RESET, BLOCKED_RESET = "then a reset, towards", "that is blocked, behind its bytes"
REFUSED = "upstream refused"
MEMORY, IDLE, LIMIT = "memory of", "idle$", "under a limit of"
RESETS, SHORT = "connect and reset at once", "short connections"
UNIX_CLIENT, UNIX_SERVER, UNIX_BOTH = "^AF_UNIX towards", "^TCP towards", "AF_UNIX on both"
LOSSY, LOSSY_RESET, MENDED = "5 MB each way over links", "and then a reset, over links", "cut for a second"
CUT_CLIENT, CUT_SERVER = "the client's link cut", "the server's link cut"
KILLED_PEER, KILLED_PROXY = "client's or the server's that `ss -K`", "the proxy's own that `ss -K`"
NEVER_READING, SLOW_PEERS, CHURN = "whose ends never read", "a byte a second", "come and go in every way"

FAILS = {
    "closes_on_fin": (ANSWER, SERVERS_FIN, FIN_AT_ONCE, IDLE, UNIX_CLIENT, UNIX_SERVER, UNIX_BOTH, LOSSY, CHURN),
    "keeps_fin": (BOTH_WAYS, SLOW_SENDER, SHORT),
    "drops_early_fin": (FIN_AT_ONCE,),
    "fin_for_reset": (BY_CLIENT, BY_SERVER, FIN_RESET, HALF_CLOSED_RESET, BYTES_RESET, REFUSED, CUT_SERVER,
                      KILLED_PEER, CHURN),
    "late_reset": (FIN_RESET,),
    "hasty_reset": (BYTES_RESET, BLOCKED_RESET, LOSSY_RESET),
    "sleeps_when_full": (FIN_RESET,),
    "loses_a_byte": (ANSWER, BOTH_WAYS, LATE_READER, MEMORY, LOSSY, MENDED),
    "waits_for_more": (SLOW_SENDER, SLOW_PEERS),
    "takes_all": (BLOCKED_SERVER, BLOCKED_CLIENT, MEMORY),
    "spins": (IDLE, LIMIT),
    "wakes": (IDLE,),
    "spins_when_over": (IDLE,),
    "leaks": (RESETS, SHORT, CHURN),
    "gives_up": (LIMIT,),
    "stays_paused": (LIMIT,),
    "never_idle": (CUT_CLIENT, CUT_SERVER, SLOW_PEERS),
    "hasty_idle": (SLOW_PEERS,),
    "idle_with_others": (CUT_CLIENT,),
    "ends_one_side": (CUT_CLIENT,),
    "tells_twice": (CUT_CLIENT, KILLED_PROXY),
    "impatient": (MENDED,),
    "knows_one_error": (KILLED_PROXY,),
    "blocks": (NEVER_READING,),
    "remembers": (CHURN,),
    "forgets_early_reset": (CHURN,),
}

CASES = {**histories.CASES, **faults.CASES}
WITHOUT_A_MISTAKE = "none"


def title_of(pattern):
    (title,) = histories.chosen(pattern, CASES)
    return title


def fault_of(mistake, title):
    if mistake != WITHOUT_A_MISTAKE:
        peers.PATIENCE_S = PATIENCE_S
    return histories.play(title, proxies.Pollux(str(BROKEN), mistake), True, CASES)[1]


def what_is_lacking():
    return faults.LACKING


def take_own_network():
    faults.LACKING.update(network.enter())


def processes(most):
    return concurrent.futures.ProcessPoolExecutor(most, multiprocessing.get_context("fork"), take_own_network)


def faults_of(titles):
    """Of each mistake and title the fault that was found, or None."""
    right = [(WITHOUT_A_MISTAKE, title) for title in titles]
    wrong = [(mistake, title) for mistake, patterns in FAILS.items() for title in map(title_of, patterns)
             if title in titles]
    # Not beside each other: a process that has played a mistake has no patience any more.
    results = {}
    for plays in (right, wrong):
        with processes(AT_ONCE) as pool:
            results.update(zip(plays, pool.map(fault_of, *zip(*plays))))
    return results


def main():
    with processes(1) as pool:
        lacking = pool.submit(what_is_lacking).result()
    left_out = {title: why for title, case in CASES.items() if (why := lacking.get(getattr(case, "needs", None)))}
    for title, why in left_out.items():
        print(f"left out: {title}: {why}")
    titles = [title for title in CASES if title not in left_out]

    failures, found = [], set()
    for (mistake, title), fault in faults_of(titles).items():
        print(f"{mistake}: {title}: {fault}")
        if mistake == WITHOUT_A_MISTAKE:
            if fault:
                failures.append(f"without a mistake: {title}: {fault}")
        elif fault:
            found.add(title)
        else:
            failures.append(f"{mistake} was not found: {title}")
    failures += [f"no mistake fails this: {title}" for title in titles if title not in found]
    print("\n".join(failures) or "as it must be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
