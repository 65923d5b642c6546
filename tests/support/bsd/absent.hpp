// SPDX-License-Identifier: MIT
// Behind headers.hpp: what Linux declares, and macOS and FreeBSD do not both, is there no more.
// For the places that name a system, it is macOS or, with POLLUX_AS_ON_FREEBSD, FreeBSD.
#pragma once

// From here on headers of Linux are errors: compile_test.py puts others in front of them.
#define POLLUX_AS_ON_A_BSD

// Macros, for which a source may ask (#if defined).
#undef __GLIBC__
#undef __GLIBC_PREREQ
#undef __gnu_linux__
#undef __linux
#undef __linux__
#undef linux
#undef CLONE_FILES
#undef CLONE_NEWNET
#undef CLONE_NEWUSER
#undef CLONE_VFORK
#undef CLONE_VM
#undef IPV6_RECVERR
#undef IP_RECVERR
#undef MADV_WIPEONFORK
#undef MSG_NOSIGNAL
#undef O_PATH
#undef O_TMPFILE
#undef POLLRDHUP
#undef SO_ATTACH_FILTER
#undef SO_BUSY_POLL
#undef SO_DETACH_FILTER
#undef SO_DOMAIN
#undef SO_INCOMING_CPU
#undef SO_PEEK_OFF
#undef SO_PEERCRED
#undef SO_PROTOCOL
#undef SO_RCVBUFFORCE
#undef SO_SNDBUFFORCE
#undef SO_TIMESTAMPING
#undef SO_ZEROCOPY
#undef SYS_clone
#undef SYS_gettid
#undef SYS_pidfd_open
#undef TCP_CORK
#undef TCP_DEFER_ACCEPT
#undef TCP_FASTOPEN_CONNECT
#undef TCP_FASTOPEN_NO_COOKIE
#undef TCP_INFO
#undef TCP_KEEPIDLE
#undef TCP_QUEUE_SEQ
#undef TCP_QUICKACK
#undef TCP_REPAIR
#undef TCP_REPAIR_QUEUE
#undef TCP_USER_TIMEOUT
#undef TIOCGPKT
#undef TIOCGPTN

// Macros that are enumerators too: these names may not be used at all.
#undef AF_NETLINK
#undef AF_PACKET
#undef AF_VSOCK
#undef IPPROTO_MPTCP
#undef MSG_CMSG_CLOEXEC
#undef MSG_CONFIRM
#undef MSG_ERRQUEUE
#undef MSG_FASTOPEN
#undef MSG_MORE
#undef MSG_ZEROCOPY
#undef PTRACE_ATTACH
#undef PTRACE_CONT
#undef PTRACE_DETACH
#undef PTRACE_INTERRUPT
#undef PTRACE_SEIZE
#undef PTRACE_TRACEME
#undef SIGRTMAX
#undef SIGRTMIN
#undef SIGSTKFLT
#undef SOCK_CLOEXEC
#undef SOCK_NONBLOCK
#pragma GCC poison AF_NETLINK AF_PACKET AF_VSOCK IPPROTO_MPTCP
#pragma GCC poison MSG_CMSG_CLOEXEC MSG_CONFIRM MSG_ERRQUEUE MSG_FASTOPEN MSG_MORE
#pragma GCC poison MSG_ZEROCOPY
#pragma GCC poison PTRACE_ATTACH PTRACE_CONT PTRACE_DETACH PTRACE_INTERRUPT PTRACE_SEIZE
#pragma GCC poison PTRACE_TRACEME
#pragma GCC poison SIGRTMAX SIGRTMIN SIGSTKFLT
#pragma GCC poison TCP_CLOSE TCP_CLOSE_WAIT TCP_CLOSING TCP_ESTABLISHED TCP_FIN_WAIT1 TCP_FIN_WAIT2
#pragma GCC poison TCP_LAST_ACK TCP_LISTEN TCP_SYN_RECV TCP_SYN_SENT TCP_TIME_WAIT

// Functions and types.
#pragma GCC poison _Fork clock_nanosleep clone close_range dup3 fallocate
#pragma GCC poison fopencookie get_nprocs getauxval getrandom gettid icmphdr iphdr mallinfo
#pragma GCC poison mallinfo2 malloc_trim memfd_create mempcpy memrchr mq_open mremap pipe2
#pragma GCC poison posix_fallocate prctl pthread_condattr_setclock pthread_getaffinity_np
#pragma GCC poison pthread_setaffinity_np pthread_setname_np recvmmsg sched_getaffinity
#pragma GCC poison sched_setaffinity secure_getenv sem_timedwait sendmmsg setns sighandler_t
#pragma GCC poison signalfd sigqueue sigwaitinfo splice strchrnul syncfs tcp_info tgkill
#pragma GCC poison timer_create timer_settime ucred unshare

#if defined(POLLUX_AS_ON_FREEBSD)
#define __FreeBSD__ 14
#define SO_PROTOCOL 0x1016
#define TCP_INFO 32
#else
#define __APPLE__ 1
#pragma GCC poison SOCK_CLOEXEC SOCK_NONBLOCK accept4 ppoll sigtimedwait
#define F_SETNOSIGPIPE 73
#define SO_NOSIGPIPE 0x1022
#define TCP_CONNECTION_INFO 0x106
#endif
