// SPDX-License-Identifier: MIT
// What other threads post: PostQueue, Poster's coming and going (src/api/poster.cpp), the part of
// EventLoop::run() that ends with nothing left, and EventLoop::close() while others post.
//
// Each of two threads has a Poster, posts tasks, and lets its Poster go. The loop runs until
// nothing is left, and is closed then; with CLOSES any task may call stop(), so that the loop is
// closed while the others still post. A lost wakeup leaves the loop asleep for ever: SPIN finds an
// end that is none.
// - Each task that was accepted is called once, or destroyed once by close(). Without stop() all
//   are called, and run() does not return before.
// - After close() has begun no task is accepted.
// - Nobody touches the wakeup or the backend when they are gone, and close() has seen each use.
// - What the lock guards is touched by one at a time, and each has seen what the others did.

// orders: src/api/poster.cpp
// orders: src/tasks/post_queue.hpp
// lock: push()
#define add_posters     relaxed  // posters_.fetch_add
#define remove_posters  release  // posters_.fetch_sub
#define has_posters     acquire  // posters_.load
// orders: src/tasks/post_queue.cpp
// lock: request_check()
#define wake_waking     relaxed  // waking_.fetch_add
#define woken_waking    release  // waking_.fetch_sub
// lock: collect()
// lock: waiting(), which changes nothing
// lock: next_block()
// left out, forks:                 waking_.store relaxed
// lock: close()
#define close_waking    acquire  // waking_.load

#define THREADS 3
#define ATOMICS 4
#define PLAIN 2
#define HISTORY 14

#define PENDING 0
#define ASLEEP 1
#define POSTERS 2
#define WAKING 3
#define USED 3  // + the thread's number: the wakeup and the backend, by that thread

#define loads(t, v) (((t) == 0) != ((v) == ASLEEP))  // the loop, but for one
#include "../base/wakeup.pml"

// scenario: a thread posts a task, which makes a Poster for another and starts it  -DSTARTS
// scenario: two threads post a task each, the loop runs until nothing is left
// scenario: so they do, and any task may stop the loop, which is closed then  -DCLOSES
// deep scenario: one posts two tasks, the other one  -DTASKS=2
// deep scenario: so they do, and any task may stop the loop  -DTASKS=2 -DCLOSES
// deep scenario: one posts two tasks, the first makes a Poster for the other  -DTASKS=2 -DSTARTS
// deep scenario: the wait comes back early, twice  -DEARLY=2
#ifndef TASKS
#define TASKS 1  // the first thread's; the second has one
#endif
#ifndef EARLY
#define EARLY 0
#endif

byte early = EARLY;

// Guarded by the lock.
bool is_open = true;  // wakeup_ is not null
bool has_room;        // in the block that is filled, if it is large enough
byte posted;          // tasks in posted_

bool is_alive = true;  // the wakeup and the backend
byte accepted, called, destroyed, refused;

inline woke() { skip }
inline consumed(left) { skip }

// A thread that posts uses the wakeup or the backend.
inline use() {
  atomic { assert(is_alive); write_plain(USED + me) }
}

inline wake_up_unlocked() {
#ifdef MUTANT_COUNTED_OUTSIDE_OF_THE_LOCK
  release_lock();
  exchange(WAKING, wake_waking, old_ + 1, old);
#else
  atomic { exchange(WAKING, wake_waking, old_ + 1, old); release_lock() }
#endif
  atomic { use(); wake_up() }
  atomic { exchange(WAKING, woken_waking, old_ - 1, old); old = 0 }
}

inline push() {
  atomic {
    take_lock();
    if
    :: has_room -> posted++; accepted++; assert(is_open); release_lock(); must_wake = false
    :: true ->
      // put_in_new_block()
      if
      :: !is_open -> refused++; release_lock(); must_wake = false
      :: else ->
        must_wake = (posted == 0);
        posted++;
        accepted++;
        has_room = true;
        if
        :: must_wake -> use(); mark(POST, must_wake)
        :: else
        fi;
        if
        :: must_wake
        :: else -> release_lock()
        fi
      fi
    fi
  }
  if
  :: must_wake -> wake_up_unlocked()
  :: else
  fi;
  must_wake = false
}

inline remove_poster() {
  exchange(POSTERS, remove_posters, old_ - 1, old);
  if
  :: old == 1 ->
    // request_check()
    atomic {
      take_lock();
      if
      :: is_open -> use(); mark(CHECK, must_wake)
      :: else -> must_wake = false
      fi;
      if
      :: must_wake
      :: else -> release_lock()
      fi
    }
    if
    :: must_wake -> wake_up_unlocked()
    :: else
    fi
  :: else
  fi
}

proctype Owner_of_poster(byte me; byte tasks) {
  byte at, old;
  bool must_wake;
  do
  :: tasks > 0 -> tasks--; push()
  :: else -> break
  od;
  remove_poster();
  end_thread()
}

inline collect() {
  atomic {
    if
    :: batch == 0 ->
      take_lock();
      batch = posted;
      posted = 0;
      has_room = false;
      release_lock()
    :: else
    fi
  }
}

// One task of the batch is taken; with the last, next_block().
inline next() {
  atomic {
    batch--;
    if
    :: batch == 0 ->
#ifndef MUTANT_BATCH_ENDS_WITHOUT_LOCK
      take_lock();
#endif
#ifdef MUTANT_REQUEST_CONSUMED_WITH_TASKS_LEFT
      got = is_open;
#else
      got = (posted == 0 && is_open);
#endif
#ifdef MUTANT_BATCH_ENDS_WITHOUT_LOCK
    :: else -> got = false
    fi
  }
  atomic {
    if
    :: got -> consume(POST, got)
    :: else
    fi;
    got = false
  }
#else
      if
      :: got -> consume(POST, got)
      :: else
      fi;
      got = false;
      release_lock()
    :: else
    fi
  }
#endif
}

// What the first task does: makes a Poster, and a thread that has it.
inline start_second() {
  if
  :: called == 1 ->
    exchange(POSTERS, add_posters, old_ + 1, old);
    start_thread(2);
    run Owner_of_poster(2, 1)
  :: else
  fi
}

inline deliver_all() {
  consume(CHECK, got);
  if
  :: got -> nothing_pending = false
  :: else
  fi;
  atomic { pending(posts); posts = posts & POST }
  if
  :: posts ->
    posts = 0;
    collect();
    do
    :: batch > 0 ->
      called++;
      next();
#ifdef STARTS
      start_second();
#endif
#ifdef CLOSES
      if
      :: true -> stopped = true; break
      :: true
      fi
#endif
    :: else -> break
    od;
    nothing_pending = false
  :: else
  fi
}

inline check_nothing_left() {
#ifdef MUTANT_POSTS_CHECKED_BEFORE_POSTERS
  pending(posts);
  load(POSTERS, has_posters, old);
  nothing_left = (old == 0 && !(posts & POST));
  posts = 0
#else
  atomic {
    load(POSTERS, has_posters, old);
    if
    :: old == 0 -> pending(old); nothing_left = !(old & POST)
    :: else -> nothing_left = false
    fi
  }
#endif
}

inline turn() {
  nothing_left = false;
  if
  :: !nothing_pending ->
    nothing_pending = true;
    check_nothing_left()
  :: else
  fi;
  if
  :: nothing_left -> mark(CHECK, got); assert(!got)
  :: else ->
    about_to_sleep(quiet);
    wait(quiet);
    pending(old);
    if
    :: old != 0 -> deliver_all()
    :: else
    fi
  fi
}

// EventLoop::run(), until nothing is left.
inline run_loop() {
  do
  :: stopped -> break
  :: else ->
    turn();
    pending(old);
    if
    :: old == 0
    :: else ->
      consume(CHECK, got);
      if
      :: got ->
        check_nothing_left();
        if
        :: nothing_left -> break
        :: else
        fi
      :: else
      fi
    fi
  od
}

inline close() {
  atomic {
    take_lock();
    is_open = false;
#ifndef MUTANT_ROOM_IN_A_CLOSED_QUEUE
    has_room = false;
#endif
    release_lock()
  }
#ifndef MUTANT_CLOSE_DOES_NOT_WAIT
  load_until(WAKING, close_waking, 0);
#endif
  do
  :: batch > 0 -> destroyed++; next()
  :: else ->
    collect();
    if
    :: batch == 0 -> break
    :: else
    fi
  od;
  // The backend is destroyed.
  atomic {
    read_plain(USED + 1);
    read_plain(USED + 2);
    is_alive = false
  }
}

active proctype Loop() {
  byte me = 0;
  byte at, old, batch, posts;
  bool quiet, got, nothing_pending, nothing_left, stopped;
  atomic {
    run Owner_of_poster(1, TASKS);
#ifdef STARTS
    newest_of(POSTERS).is = 1
#else
    newest_of(POSTERS).is = 2;
    run Owner_of_poster(2, 1)
#endif
  }
#ifdef CLOSES
  if
  :: true -> stopped = true  // before anything is posted, or anything runs
  :: true
  fi;
#endif
  run_loop();
#ifndef CLOSES
  assert(called == TASKS + 1);
#endif
  close();
  _nr_pr == 1;  // the others have ended
  assert(called + destroyed == accepted && accepted + refused == TASKS + 1)
}
