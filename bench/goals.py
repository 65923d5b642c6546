# SPDX-License-Identifier: MIT
"""What pollux is to reach on its first backend, per operation: system calls, instructions in user space, and
time as a ratio to epoll by hand, of which the smaller of the median and the best counts."""
import collections

Goal = collections.namedtuple("Goal", "workload calls instructions time")

GOALS = (
    Goal("W1.unix", 6.01, 330, 1.03),
    Goal("W1.tcp", 6.01, 330, 1.03),
    *(Goal(f"W2.N{n}.A1", 3.01, 200, 1.03) for n in (100, 1000, 9900)),
    *(Goal(f"W2.N{n}.A100", 2.02, 130, 1.03) for n in (100, 1000, 9900)),
    Goal("W3.churn-tick", 2.02, 200, 1.05),
    Goal("W3.churn-turn", 4.01, 300, 1.05),
    Goal("W3.toggle-across", 6.01, 400, 0.90),
    Goal("W3.toggle-within", 5.01, 300, 0.88),
    Goal("W4.eof", 2.05, 200, 1.05),
    Goal("W4.data-eof-close", 5.05, 300, 1.08),
    Goal("W5.insert-cancel", 0, 70, 0.30),
    Goal("W5.fire", 0, 60, 1.05),
    Goal("W5.refresh", 0, 40, 0.60),
    Goal("W5.refresh-turn", 0, 60, None),
    Goal("W5.make-drop", 0, 220, None),
    Goal("W6.wake", 2.2, None, None),
    Goal("W6.rtt-1core", 4.1, None, 0.80),
    Goal("W6.post-busy", 0, None, 1.15),
    Goal("W7.idle1k", 3.01, 180, 1.05),
    Goal("W7.idle19k", 3.01, 180, 1.05),
    Goal("W7.timer1k", 3.01, 190, 0.95),
    *(Goal(f"W8.N{n}.{size}", None, None, 1.05) for size in ("64B", "16K") for n in (1, 100, 1000)),
)
# Backends of which more or other is asked: what it is held against, how near, and on which workloads.
LIMITS = (("poll", "raw_poll", 1.10, ("W1", "W2", "W3", "W4", "W7")),
          ("poll/readiness", "raw_poll", 1.10, ("W1", "W2", "W3")),
          ("asio", "asio_wait", 1.10, ("W1", "W2", "W3", "W4", "W7")),
          ("asio/readiness", "asio_wait", 1.10, ("W1", "W2", "W3")),
          ("io_uring", "raw_epoll", 0.80, ("W3.churn-turn",)))
FLAT = ("W7.idle1k", "W7.idle19k", 1.05)  # the second costs as much as the first, or so much more
BYTES = ("W7.memory", 128)
