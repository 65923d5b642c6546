#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cases pass around a proxy that does as they say, each mistake of broken_proxy.py fails those that
are named here, and there is no case that no mistake fails."""
import pathlib
import sys

import histories
import peers
import proxies

BROKEN = pathlib.Path(__file__).with_name("broken_proxy.py")
# How long these wait for what does not come. A proxy that is right is not hurried.
PATIENCE_S = 1.0

ANSWER = "answer of 10 MB after the client's FIN"
SERVERS_FIN = "the server's FIN first"
FIN_AT_ONCE = "half-closes at once"
BOTH_WAYS, LATE_READER = "100 MB each way", "the client reads when it has sent"
SLOW_SENDER = "100 bytes, one each"
BY_CLIENT, BY_SERVER = "^reset by the client$", "^reset by the server$"
BLOCKED_SERVER, BLOCKED_CLIENT = "while the server is blocked", "while the client is blocked"
FIN_RESET, HALF_CLOSED_RESET = "and then its reset", "and then a reset by the server"
BYTES_RESET, BLOCKED_RESET = "200 kB and then a reset", "that is blocked, behind its bytes"
REFUSED = "upstream refused"
MEMORY, IDLE, LIMIT = "memory of", "idle$", "under a limit of"
RESETS, SHORT = "connect and reset at once", "short connections"
UNIX_CLIENT, UNIX_SERVER, UNIX_BOTH = "^AF_UNIX towards", "^TCP towards", "AF_UNIX on both"

FAILS = {
    "closes_on_fin": (ANSWER, SERVERS_FIN, FIN_AT_ONCE, IDLE, UNIX_CLIENT, UNIX_SERVER, UNIX_BOTH),
    "keeps_fin": (BOTH_WAYS, SLOW_SENDER, SHORT),
    "drops_early_fin": (FIN_AT_ONCE,),
    "fin_for_reset": (BY_CLIENT, BY_SERVER, FIN_RESET, HALF_CLOSED_RESET, BYTES_RESET, REFUSED),
    "late_reset": (FIN_RESET,),
    "hasty_reset": (BYTES_RESET, BLOCKED_RESET),
    "sleeps_when_full": (FIN_RESET,),
    "loses_a_byte": (ANSWER, BOTH_WAYS, LATE_READER, MEMORY),
    "waits_for_more": (SLOW_SENDER,),
    "takes_all": (BLOCKED_SERVER, BLOCKED_CLIENT, MEMORY),
    "spins": (IDLE, LIMIT),
    "wakes": (IDLE,),
    "spins_when_over": (IDLE,),
    "leaks": (RESETS, SHORT),
    "gives_up": (LIMIT,),
    "stays_paused": (LIMIT,),
}


def title_of(pattern):
    (title,) = histories.chosen(pattern)
    return title


def main():
    failures = []
    right = proxies.Pollux(str(BROKEN), "none")
    for title in histories.CASES:
        _, fault = histories.play(title, right, quick=True)
        if fault:
            failures.append(f"without a mistake: {title}: {fault}")

    peers.PATIENCE_S = PATIENCE_S
    found = set()
    for mistake, patterns in FAILS.items():
        for title in map(title_of, patterns):
            _, fault = histories.play(title, proxies.Pollux(str(BROKEN), mistake), quick=True)
            print(f"{mistake}: {title}: {fault}")
            if fault:
                found.add(title)
            else:
                failures.append(f"{mistake} was not found: {title}")
    failures += [f"no mistake fails this: {title}" for title in histories.CASES if title not in found]
    print("\n".join(failures) or "as it must be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
