// SPDX-License-Identifier: MIT
// The memory of the models: variables that threads share, as C++ has them.
//
// Each variable keeps the values that were stored to it, in the order of the stores. Each thread
// knows how far it has seen each variable. A load returns the value that the thread has seen last,
// or any newer one, whichever it likes: so the models have
// - delayed stores (store buffers): a store may stay unseen while its thread goes on, past loads
//   of other variables too (StoreLoad), and independently for each other thread;
// - stores out of order (StoreStore): without `release`, a store may be seen before an older one;
// - loads out of order (LoadLoad): without `acquire`, a load may return what is older than what the
//   thread knows of another variable.
// A store with `release` carries what its thread has seen. A load with `acquire` that returns it
// sees that too. An exchange, or any other read and write in one, returns the newest value, and
// carries on what the value before it has carried (a release sequence). What is `seq_cst` also
// obeys one order for all threads: such a load returns nothing older than the newest `seq_cst`
// access of that variable. A lock carries what its last owner has seen.
//
// That is the memory model of C++20, but for two things. The models leave out loads that are
// delayed past later stores of their thread (LoadStore: "load buffering"). And the one order is that
// in which things happen here, so that it agrees with happens-before; C++20 lets them differ where
// accesses of another order lie between. Stores take their place in a variable's order as they are
// made: so a variable is written by one thread at a time (under a lock, or by one alone), or by
// reads and writes in one.
//
// What is not atomic in C++ has no values here: it is known of each thread, value and lock whether
// it has seen the last write.
//
// A model defines before it includes this: ATOMICS, how many atomic variables there are; PLAIN, how
// many others, which are numbered behind them; THREADS; and HISTORY, how many values a variable
// keeps. Values that no thread can read any more are forgotten; a model that has more fails an
// assertion. It may define loads(t, v): that thread loads that variable, and does not only exchange
// it; and loaded_in_order(v): all loads of that variable are `seq_cst`. Then more is forgotten. A
// process that uses memory has the number of its thread in `me`, and a variable `at`.
//
// What the models have in one `atomic` is one access that others can notice, with what may move to
// it: before it loads that are not `seq_cst`, and taking a lock (whatever others do meanwhile, the
// same can be read later); behind it stores of who alone writes a variable, and releasing a lock.

#define relaxed 0
#define acquire 1
#define release 2
#define acq_rel 3
#define seq_cst 7
#define in_one_order 4  // of seq_cst, without acquire and release

typedef Value {
  byte is;
  byte seen[ATOMICS + PLAIN]  // by whoever sees this value with `acquire`
}
typedef Variable {
  Value value[HISTORY];
  byte newest;
  byte in_order  // the newest that a `seq_cst` access has stored or returned
}
typedef Thread {
  byte seen[ATOMICS + PLAIN]  // of an atomic the value, of others whether the last write
}
typedef Lock {
  bool held;
  byte seen[ATOMICS + PLAIN]
}

Variable variable[ATOMICS];
bool written[ATOMICS + PLAIN];
Thread thread[THREADS];
Lock mutex;

hidden byte v_, t_, i_, old_, low_;  // inside of one step only

#define newest_of(v) variable[v].value[variable[v].newest]
#define has_seen_all(t, p) (thread[t].seen[p] == written[p])
#ifndef loads
#define loads(t, v) true
#endif
#ifndef loaded_in_order
#define loaded_in_order(v) false
#endif
#define larger(a, b) ((a) > (b) -> (a) : (b))
#define less(a, b) ((a) > (b) -> (a) - (b) : 0)

inline see(from) {
  for (v_ : 0 .. ATOMICS + PLAIN - 1) {
    thread[me].seen[v_] = larger(thread[me].seen[v_], from.seen[v_])
  }
}

// Forgets values that no thread can read any more, so that equal states are the same state.
inline forget_old() {
  for (v_ : 0 .. ATOMICS - 1) {
    low_ = variable[v_].newest;
    if
    :: loaded_in_order(v_) -> low_ = variable[v_].in_order
    :: else ->
      for (t_ : 0 .. THREADS - 1) {
        low_ = (loads(t_, v_) && thread[t_].seen[v_] < low_ -> thread[t_].seen[v_] : low_)
      }
    fi;
    if
    :: low_ == 0
    :: else ->
      for (t_ : 0 .. THREADS - 1) { thread[t_].seen[v_] = less(thread[t_].seen[v_], low_) }
      mutex.seen[v_] = less(mutex.seen[v_], low_);
      variable[v_].in_order = less(variable[v_].in_order, low_);
      for (t_ : 0 .. ATOMICS - 1) {
        for (i_ : 0 .. variable[t_].newest) {
          variable[t_].value[i_].seen[v_] = less(variable[t_].value[i_].seen[v_], low_)
        }
      }
      for (i_ : low_ .. variable[v_].newest) {
        variable[v_].value[i_ - low_].is = variable[v_].value[i_].is;
        for (t_ : 0 .. ATOMICS + PLAIN - 1) {
          variable[v_].value[i_ - low_].seen[t_] = variable[v_].value[i_].seen[t_]
        }
      }
      for (i_ : variable[v_].newest - low_ + 1 .. variable[v_].newest) {
        variable[v_].value[i_].is = 0;
        for (t_ : 0 .. ATOMICS + PLAIN - 1) { variable[v_].value[i_].seen[t_] = 0 }
      }
      variable[v_].newest = variable[v_].newest - low_
    fi
  }
  low_ = 0  // a step must not end with a loop
}

inline load(v, order, result) {
  atomic {
    at = thread[me].seen[v];
    if
    :: ((order) & in_one_order) && variable[v].in_order > at -> at = variable[v].in_order
    :: else
    fi;
    do
    :: at < variable[v].newest -> at++
    :: break
    od;
    result = variable[v].value[at].is;
    d_step {
      thread[me].seen[v] = at;
      if
      :: (order) & acquire -> see(variable[v].value[at])
      :: else
      fi;
      if
      :: ((order) & in_one_order) && at > variable[v].in_order -> variable[v].in_order = at
      :: else
      fi;
      at = 0;
      forget_old()
    }
  }
}

// The next value of `v`, with what the thread has seen if that is to be released.
inline append_(v, order, what) {
  assert(variable[v].newest < HISTORY - 1);
  variable[v].newest++;
  newest_of(v).is = what;
  thread[me].seen[v] = variable[v].newest;
  if
  :: (order) & release ->
    for (v_ : 0 .. ATOMICS + PLAIN - 1) { newest_of(v).seen[v_] = thread[me].seen[v_] }
  :: else -> newest_of(v).seen[v] = variable[v].newest
  fi;
  if
  :: (order) & in_one_order -> variable[v].in_order = variable[v].newest
  :: else
  fi
}

inline store(v, order, what) {
  d_step {
    append_(v, order, what);
    forget_old()
  }
}

// `what` may be an expression with `old_` in it.
inline exchange(v, order, what, result) {
  d_step {
    old_ = newest_of(v).is;
    if
    :: (order) & acquire -> see(newest_of(v))
    :: else
    fi;
    append_(v, order, what);
    for (v_ : 0 .. ATOMICS + PLAIN - 1) {
      newest_of(v).seen[v_] =
          larger(newest_of(v).seen[v_], variable[v].value[variable[v].newest - 1].seen[v_])
    }
    result = old_;
    forget_old()
  }
}

// while (v.load(order) != wanted) { sleep }. Stores get through at some time.
inline load_until(v, order, wanted) {
  load(v, order, old);
  if
  :: old == (wanted)
  :: else ->
    atomic {
      newest_of(v).is == (wanted);
      d_step {
        thread[me].seen[v] = variable[v].newest;
        if
        :: (order) & acquire -> see(newest_of(v))
        :: else
        fi;
        forget_old()
      }
    }
  fi;
  old = 0
}

inline take_lock() {
  atomic {
    !mutex.held;
    d_step {
      mutex.held = true;
      see(mutex);
      forget_old()
    }
  }
}
inline release_lock() {
  d_step {
    for (v_ : 0 .. ATOMICS + PLAIN - 1) { mutex.seen[v_] = thread[me].seen[v_] }
    mutex.held = false
  }
}

// What is not atomic: a thread that reads it, or writes it, has seen the last write. Or it is a
// data race.
inline read_plain(p) { assert(has_seen_all(me, p)) }
// Only where no other thread can have written it.
inline write_plain(p) {
  d_step {
    assert(has_seen_all(me, p));
    written[p] = true;
    for (t_ : 0 .. THREADS - 1) { thread[t_].seen[p] = 0 }
    for (t_ : 0 .. ATOMICS - 1) {
      for (i_ : 0 .. variable[t_].newest) { variable[t_].value[i_].seen[p] = 0 }
    }
    mutex.seen[p] = 0;
    thread[me].seen[p] = 1
  }
}

// A thread that is started has seen what the one that starts it has seen.
inline start_thread(t) {
  d_step {
    for (v_ : 0 .. ATOMICS + PLAIN - 1) { thread[t].seen[v_] = thread[me].seen[v_] }
    old_ = 0
  }
}
// A thread that has ended reads nothing any more.
inline end_thread() {
  d_step {
    for (v_ : 0 .. ATOMICS - 1) { thread[me].seen[v_] = variable[v_].newest }
    for (v_ : ATOMICS .. ATOMICS + PLAIN - 1) { thread[me].seen[v_] = 0 }
    forget_old()
  }
}
