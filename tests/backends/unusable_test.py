#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""unusable_test.py <on_backend> <program...>: on a kernel that keeps io_uring from the process, as a
container's filter does, and as one that is older or was built without it: the programs' own rows for
it are left out with one line, and the rest passes."""
import ctypes
import errno
import os
import struct
import subprocess
import sys

IO_URING_SETUP = 425  # on every architecture but Alpha
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SENTENCE = "io_uring cannot be used here: "
# GoogleTest's programs run what depends on who is there, the command what it is asked for.
FILTER = "--gtest_filter=Backends.*:*Refusals*:ABackend*:*NativeHandle*:*ThatIsNotOpen*:IoUring*:AnIoUring*"


def without_io_uring(error):
    """A filter of four instructions: the call fails with `error`, all others are made."""
    load, jump_if_equal, give_back = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | error
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (load, 0, 0, 0), (jump_if_equal, 0, 1, IO_URING_SETUP), (give_back, 0, 0, refuse),
        (give_back, 0, 0, allow)))
    code = ctypes.create_string_buffer(program)

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    c = ctypes.CDLL(None, use_errno=True)
    described = Filter(4, ctypes.addressof(code))
    if (c.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            or c.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(described), 0, 0) != 0):
        raise OSError(ctypes.get_errno(), "no filter")


def run(error, *command, required=""):
    environment = {name: value for name, value in os.environ.items() if name != "POLLUX_BACKEND"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False,
                          preexec_fn=lambda: without_io_uring(error),
                          env=environment | {"POLLUX_REQUIRE_BACKENDS": required})


def main():
    on_backend, *programs = sys.argv[1:]
    wrong = []

    def expect(what, holds, done):
        if not holds:
            wrong.append(f"{what}: status {done.returncode}\n{done.stdout}{done.stderr}")

    for error in (errno.EPERM, errno.ENOSYS):
        sentence = SENTENCE + os.strerror(error)
        for program in programs:
            is_command = os.path.basename(program) == "pollux"
            for arguments in ([["backends"], ["trace", "--scenario", "S1"], ["verify", "--depth", "1"]]
                              if is_command else [[FILTER]]):
                done = run(error, program, *arguments)
                expect(f"{program} {arguments}", done.returncode == 0, done)
                said = (done.stdout + done.stderr).count(sentence)
                rows = done.stdout.count("/io_uring")
                if not is_command:
                    expect(f"{program}: {said} lines, {rows} rows", said <= 1 and rows == 0, done)
        named = run(error, on_backend, "io_uring", "true")
        expect("a test of it alone", named.returncode == 77 and sentence in named.stdout, named)
        needed = run(error, on_backend, "io_uring", "true", required="epoll;io_uring")
        expect("one that is required", needed.returncode == 1, needed)
        other = run(error, on_backend, "poll", "printenv", "POLLUX_BACKEND")
        expect("a test of another", other.returncode == 0 and other.stdout == "poll\n", other)
    print("\n".join(wrong) or "as it must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
