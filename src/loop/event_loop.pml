// SPDX-License-Identifier: MIT
// How the loop sleeps and is woken: EventLoop::run() and turn(), or the three steps of a host
// (embedding.cpp), and threads that call wake() and stop().
//
// Each of two threads writes something down and makes a request, once or more often. The loop's
// thread runs the loop until it has seen all that was written. If a wakeup is lost, or what was
// written before a request is not seen behind it, it sleeps for ever, and SPIN finds an end that is
// none. With COUNT: no more than one wake is on its way for each time that the loop has consumed
// all requests.

// orders: src/loop/event_loop.cpp
// orders: src/loop/embedding.cpp
// orders: src/base/loop_context.hpp
// left out, forks: forks_.load relaxed

#define THREADS 3
#define ATOMICS 2
#define PLAIN 2
#define HISTORY 16

#define PENDING 0
#define ASLEEP 1
#define WRITTEN 1  // + the thread's number

// scenario: two threads call wake(), the loop is run()  -DCOUNT
// scenario: one thread calls wake() and one stop()  -DSECOND=STOP
// scenario: two threads call wake(), a host waits in the loop's place  -DHOST
// scenario: as before, one calls stop()  -DHOST -DSECOND=STOP
// deep scenario: each of two threads calls wake() three times  -DTIMES=3
// deep scenario: twice each, and the wait comes back early  -DTIMES=2 -DSECOND=STOP -DEARLY=1
// deep scenario: a host, each twice  -DHOST -DTIMES=2 -DSECOND=STOP
#ifndef SECOND
#define SECOND WAKE
#endif

#define loads(t, v) (((t) == 0) != ((v) == ASLEEP))  // the loop, but for one
#include "../base/wakeup.pml"

#ifndef TIMES
#define TIMES 1
#endif
#ifndef EARLY
#define EARLY 0
#endif

byte early = EARLY;
byte to_write = 2 * TIMES;

#ifdef COUNT
byte wakes, emptied;
inline woke() {
  wakes++;
  assert(wakes <= emptied + 1)
}
inline consumed(left) {
  if
  :: (left) == 0 -> emptied++
  :: else
  fi
}
#else
inline woke() { skip }
inline consumed(left) { skip }
#endif

proctype Requester(byte me; byte what) {
  byte at, old, times;
  bool must_wake;
  do
  :: times < TIMES ->
    atomic { write_plain(WRITTEN + me); to_write-- };
    request(what);
    times++
  :: else -> break
  od;
  end_thread()
}

inline deliver_all() {
  consume(WAKE, is_woken)
}

inline turn() {
  about_to_sleep(quiet);
  wait(quiet);
  pending(old);
  if
  :: old != 0 -> deliver_all()
  :: else  // the fast path
  fi
}

// EventLoop::run(), until a handler or wake() was called.
inline run_once() {
  is_woken = false;
  do
  :: !is_woken ->
    pending(old);
    if
    :: old & STOP -> break
    :: else -> turn()
    fi
  :: else -> break
  od;
  consume(STOP, got)  // ~Running()
}

inline run_as_host() {
  // prepare_for_host(), and next_timeout()
  about_to_sleep(quiet);
  pending(old);
  // The host waits until the native handle is readable, or not at all. It takes nothing.
  if
  :: old == 0 -> woken_backend
  :: else
  fi;
  // check_for_host()
  quiet = false;
  wait(quiet);
  pending(old);
  if
  :: old != 0 ->
    // dispatch_for_host()
    pending(old);
    if
    :: old & STOP
    :: else -> deliver_all()
    fi;
    consume(STOP, got)
  :: else
  fi
}

active proctype Loop() {
  byte me = 0;
  byte at, old;
  bool quiet, got, is_woken;
  run Requester(1, WAKE);
  run Requester(2, SECOND);
  do
  :: to_write == 0 && has_seen_all(me, WRITTEN + 1) && has_seen_all(me, WRITTEN + 2) -> break
  :: else ->
#ifdef HOST
    run_as_host()
#else
    run_once()
#endif
  od
}
