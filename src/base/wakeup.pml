// SPDX-License-Identifier: MIT
// Wakeup (wakeup.hpp), for the models of those who use it. A model numbers the variables PENDING
// and ASLEEP among its own, and has woke() and consumed(), to count or to check what it likes. A
// process has the variable `old`, and `must_wake` if it calls request().
//
// The orders, one a line, as they come in wakeup.hpp. scripts/check-models compares them with it.

// orders: src/base/wakeup.hpp
#define mark_pending    seq_cst  // pending_.fetch_or
#define mark_asleep     seq_cst  // asleep_.load
#define sleep_asleep    seq_cst  // asleep_.store
#define sleep_pending   seq_cst  // pending_.load
#define awake_asleep    relaxed  // asleep_.store
#define pending_pending relaxed  // pending_.load
#define consume_pending acquire  // pending_.fetch_and

#define loaded_in_order(v) ((v) == ASLEEP && ((mark_asleep) & in_one_order))
#include "memory.pml"

#define STOP 1
#define WAKE 2
#define POST 4
#define SIGNAL 8
#define CHECK 16

// The kernel: a wake makes the wait that is running, or else the next one, come back. It is taken
// to carry nothing of what its thread has seen.
bool woken_backend;

inline request(what) {
  mark(what, must_wake);
  if
  :: must_wake -> wake_up()
  :: else
  fi
}

// The order of `asleep_` carries nothing here, although `seq_cst` does: the proof needs less.
inline mark(what, must_wake) {
  atomic {
    exchange(PENDING, mark_pending, old_ | (what), old);
#ifdef MUTANT_EACH_REQUEST_WAKES
    old = 0;
#endif
    must_wake = (old == 0);
    old = 0
  }
  if
  :: must_wake -> load(ASLEEP, (mark_asleep) & in_one_order, must_wake)
  :: else
  fi
}

inline wake_up() {
  atomic {
    woken_backend = true;
    woke()
  }
}

// `quiet`: nothing is pending.
inline about_to_sleep(quiet) {
  store(ASLEEP, (sleep_asleep) & in_one_order, 1);
#ifdef MUTANT_NO_CHECK_BEFORE_SLEEP
  quiet = true
#else
  atomic { load(PENDING, sleep_pending, old); quiet = (old == 0); old = 0 }
#endif
}

inline pending(result) {
  load(PENDING, pending_pending, result)
}

// `got`: it was pending, and is not any more.
inline consume(what, got) {
  atomic {
    pending(old);
    if
    :: old & (what) ->
      exchange(PENDING, consume_pending, old_ & ~(what), old);
      got = ((old & (what)) != 0);
      consumed(old & ~(what))
    :: else -> got = false
    fi;
    old = 0
  }
}

// Backend::wait() and awake(). The wait has no end if `quiet`. Something else may end it, as often
// as `early` says.
inline wait(quiet) {
  atomic {
    if
    :: quiet && !woken_backend && early > 0 -> early--
    :: woken_backend -> woken_backend = false
    :: !quiet && !woken_backend
    fi;
    store(ASLEEP, awake_asleep, 0);
    quiet = false
  }
}
