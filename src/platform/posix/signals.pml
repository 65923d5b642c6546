// SPDX-License-Identifier: MIT
// How a signal gets from its signal handler to the loop (signals.cpp, and take_raised() of
// src/process/process_service.cpp), and how a reactor closes while signal handlers run in other
// threads.
//
// Handing over: two threads write something down and raise a signal, one of them twice. The loop's
// thread goes on until a handler of the right signal has been called that sees what was written
// before. If a signal is lost, the loop sleeps for ever, and SPIN finds an end that is none.
//
// CLOSES: a reactor subscribes and closes, and another takes its target over; meanwhile signal
// handlers run. Nobody touches a wakeup that is gone, and close() has seen each use; what is raised
// when the second reactor has subscribed is delivered to it, with what was written before. There a
// request reaches its loop at once: how is shown above.
//
// The kernel is taken to carry what a thread has seen from where it raises a signal to the thread
// that runs the signal handler. Left out: forks; in CLOSES more than one target, more than one
// signal, and more than one watch of it.

// orders: src/platform/posix/signals.cpp
#define hand_over_raised  release  // raised.exchange
#define hand_over_any     release  // any_raised.exchange
// left out, forks:                   wakes.load relaxed
#define forget_any        relaxed  // any_raised.store
#define forget_raised     relaxed  // raised.store
// left out, forks:                   handed_process.exchange acq_rel
// left out, forks:                   all_targets.load relaxed
// left out, forks:                   inside.store relaxed
// left out, forks:                   process.load acquire
#define handler_targets   acquire  // all_targets.load
#define handler_looks     relaxed  // watches.load
#define handler_enters    seq_cst  // inside.fetch_add
#define handler_checks    seq_cst  // watches.load
#define handler_leaves    release  // inside.fetch_sub
// left out, forks:                   locking_process.exchange acq_rel
// lock: locked()
// left out, forks:                   locking_process.store relaxed
#define find_target       relaxed  // all_targets.load
// left out, forks:                   wakes.store relaxed
// left out, one target:              all_targets.load relaxed
#define publish_target    release  // all_targets.store
#define drop_watches      seq_cst  // watches.store
// left out, forks:                   handed_process.store relaxed
// left out, forks:                   locking_process.store relaxed
// lock: subscribe()
#define subscribe_watches release  // watches.fetch_add
// left out, as drop_watches:         watches.store seq_cst
// lock: unsubscribe()
// left out, one watch:               watches.load relaxed
// left out, one watch:               watches.fetch_sub relaxed
// left out, forks:                   wakes.store relaxed
// lock: close()
// left out, one watch:               watches.load relaxed
#define close_inside      seq_cst  // inside.load

// orders: src/platform/signals.cpp
#define take_any          acquire  // any_raised.exchange
#define take_looks        relaxed  // raised.load
#define take_raised       acquire  // raised.exchange

// scenario: two threads raise the same signal, one of them twice
// scenario: they raise two signals  -DSECOND=1
// scenario: a reactor closes, another takes its target over  -DCLOSES

#define HISTORY 10

inline woke() { skip }
inline consumed(left) { skip }

#ifndef CLOSES
#define THREADS 3
#define ATOMICS 5
#define PLAIN 2
#define PENDING 0
#define ASLEEP 1
#define ANY 2
#define RAISED 3   // + the signal
#define WRITTEN 4  // + the thread's number
#define loads(t, v) (((t) == 0) != ((v) == ASLEEP))  // the loop, but for one
#else
#define THREADS 4
#define ATOMICS 5
#define PLAIN 7
#define ANY 0
#define RAISED 1
#define TARGETS 2
#define WATCHES 3
#define INSIDE 4
#define FIELDS 5   // of the target, that is new
#define WAKEUP 6   // the pointer in it
#define USED 7     // + 2 or 0 for the signal handler, + the owner: the wakeup of that owner
#define ASLEEP ATOMICS  // there is none
#define WRITTEN 11  // by the thread that raises a signal for the second reactor
#define loads(t, v)                                                                     \
  ((v) == TARGETS || ((v) == WATCHES && (t) >= 2) || ((v) == INSIDE && (t) < 2) || \
   ((v) == RAISED && (t) == 1))
#endif

#include "../../base/wakeup.pml"

byte early;

// hand_over(); `signal` was raised.
inline hand_over(signal) {
#ifdef MUTANT_STORE_INSTEAD_OF_EXCHANGE
  store(RAISED + signal, hand_over_raised, true);
#endif
#ifdef MUTANT_TARGET_MARKED_FIRST
  exchange(ANY, hand_over_any, true, any);
  exchange(RAISED + signal, hand_over_raised, true, old);
#else
#ifndef MUTANT_STORE_INSTEAD_OF_EXCHANGE
  atomic { exchange(RAISED + signal, hand_over_raised, true, old); old = 0 };
#endif
  exchange(ANY, hand_over_any, true, any);
#endif
  if
  :: any
  :: else -> request_signal()
  fi;
  any = false
}

// SignalInbox::take(), of one signal.
inline take(signal, raised) {
  atomic {
    load(RAISED + signal, take_looks, raised);
    if
    :: raised -> exchange(RAISED + signal, take_raised, false, raised)
    :: else
    fi
  }
}

#ifndef CLOSES

#ifndef SECOND
#define SECOND 0
#endif

byte to_write = 3;
bool delivered[3];

inline request_signal() { request(SIGNAL) }

proctype Raiser(byte me; byte signal; byte times) {
  byte at, old;
  bool must_wake, any;
  do
  :: times > 0 ->
    atomic {
      times--;
      to_write--;
      delivered[me] = false;
      write_plain(WRITTEN + me)
    }
    hand_over(signal)
  :: else -> break
  od;
  end_thread()
}

inline call_handlers(signal) {
  d_step {
    if
    :: signal == 0 && has_seen_all(0, WRITTEN + 1) -> delivered[1] = true
    :: else
    fi;
    if
    :: signal == SECOND && has_seen_all(0, WRITTEN + 2) -> delivered[2] = true
    :: else
    fi
  }
}

// ProcessService::collect() and take_raised().
inline collect() {
  atomic {
    pending(old);
    got = ((old & SIGNAL) != 0);
    old = 0
  }
  if
  :: got ->
#ifdef MUTANT_TAKEN_BEFORE_CONSUMED
    take_all();
    consume(SIGNAL, got);
#else
    consume(SIGNAL, got);
    take_all();
#endif
    deliver()
  :: else
  fi
}
inline take_all() {
#ifdef MUTANT_RAISED_TAKEN_FIRST
  take(0, raised[0]);
  take(SECOND, raised[1]);
  exchange(ANY, take_any, false, old)
#else
  atomic { exchange(ANY, take_any, false, old); old = 0 };
  take(0, raised[0]);
#if SECOND
  take(1, raised[1])
#endif
#endif
}
inline deliver() {
  if
  :: raised[0] -> call_handlers(0)
  :: else
  fi;
  if
  :: raised[1] -> call_handlers(1)
  :: else
  fi;
  raised[0] = false;
  raised[1] = false
}

active proctype Loop() {
  byte me = 0;
  byte at, old;
  bool quiet, got, raised[2];
  run Raiser(1, 0, 2);
  run Raiser(2, SECOND, 1);
  do
  :: to_write == 0 && delivered[1] && delivered[2] -> break
  :: else ->
    about_to_sleep(quiet);
    wait(quiet);
    atomic { pending(old); got = (old != 0); old = 0 }
    if
    :: got -> collect()
    :: else
    fi
  od
}

#else

bool is_free = true;   // the target
byte owner;            // of the wakeup that it points to
bool is_alive[2];      // the owners' wakeups
bool requested[2];
bool has_written;

// The wakeup is used.
inline request_signal() {
  atomic {
    read_plain(WAKEUP);
    assert(is_alive[owner]);
    write_plain(USED + 2 * (me - 2) + owner);
    requested[owner] = true
  }
}

// on_signal()
inline on_signal() {
  load(TARGETS, handler_targets, old);
  if
  :: old ->
    read_plain(FIELDS);
    load(WATCHES, handler_looks, old);
    if
    :: old ->
      atomic { exchange(INSIDE, handler_enters, old_ + 1, old); old = 0 };
#ifdef MUTANT_HANDLER_CHECKS_ONCE
      old = 1;
#else
      load(WATCHES, handler_checks, old);
#endif
      if
      :: old -> hand_over(0)
      :: else
      fi;
      exchange(INSIDE, handler_leaves, old_ - 1, old)
    :: else
    fi
  :: else
  fi
}

proctype Signal_handler(byte me) {
  byte at, old;
  bool any;
  if
  :: me == 3 -> atomic { write_plain(WRITTEN); has_written = true }
  :: else
  fi;
  on_signal();
  end_thread()
}

inline subscribe() {
  atomic {
    take_lock();
    load(TARGETS, find_target, old);
    if
    :: old == 0 -> write_plain(FIELDS); write_plain(WAKEUP); owner = me; is_new = true
    :: old && is_free -> write_plain(WAKEUP); owner = me
    :: else -> is_refused = true
    fi;
    is_free = false;
    old = 0
  }
  if
  :: is_refused -> release_lock()
  :: else ->
    is_alive[me] = true;
    if
    :: is_new -> store(TARGETS, publish_target, 1)
    :: else
    fi;
    atomic { exchange(WATCHES, subscribe_watches, old_ + 1, old); old = 0; release_lock() }
  fi;
  is_new = false
}

inline close() {
  take_lock();
  store(WATCHES, drop_watches, 0);
#ifndef MUTANT_CLOSE_DOES_NOT_WAIT
  load_until(INSIDE, close_inside, 0);
#endif
#ifndef MUTANT_RAISED_IS_KEPT
  store(ANY, forget_any, false);
  store(RAISED, forget_raised, false);
#endif
  atomic {
    write_plain(WAKEUP);
    is_free = true;
    release_lock()
  }
  // The wakeup is destroyed.
  atomic {
    read_plain(USED + me);
    read_plain(USED + 2 + me);
    is_alive[me] = false
  }
}

proctype Second_reactor(byte me) {
  byte at, old;
  bool is_new, is_refused, raised;
  subscribe();
  if
  :: is_refused
  :: else ->
    // From now on a signal is for this reactor.
    start_thread(3);
    run Signal_handler(3);
    do
    :: raised && has_written && has_seen_all(me, WRITTEN) -> break
    :: else ->
      atomic { requested[me]; requested[me] = false };
      atomic { exchange(ANY, take_any, false, old); old = 0 };
      take(0, raised)
    od;
    close()
  fi;
  end_thread()
}

active proctype First_reactor() {
  byte me = 0;
  byte at, old;
  bool is_new, is_refused;
  subscribe();
  run Second_reactor(1);
  run Signal_handler(2);
  close();
  end_thread()
}

#endif
