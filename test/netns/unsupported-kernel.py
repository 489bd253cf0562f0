"""Starts a program under a kernel that knows no SO_ATTACH_REUSEPORT_CBPF: `unsupported-kernel.py ERRNO COMMAND...`.

A filter of system calls (seccomp) answers that option of setsockopt with the error number; all else is as ever.
"""

import ctypes
import os
import platform
import struct
import sys

SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF = 1, 51
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
# linux/audit.h and the tables of system calls.
MACHINES = {"x86_64": (0xC000003E, 54), "aarch64": (0xC00000B7, 208)}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
# struct seccomp_data: number, architecture, instruction pointer, arguments of 8 bytes each.
NUMBER_AT, MACHINE_AT, LEVEL_AT, OPTION_AT = 0, 4, 24, 32


def program(errno):
    machine, setsockopt = MACHINES[platform.machine()]
    return [
        (LOAD, 0, 0, MACHINE_AT),
        (EQUAL, 0, 7, machine),
        (LOAD, 0, 0, NUMBER_AT),
        (EQUAL, 0, 5, setsockopt),
        (LOAD, 0, 0, LEVEL_AT),
        (EQUAL, 0, 3, SOL_SOCKET),
        (LOAD, 0, 0, OPTION_AT),
        (EQUAL, 0, 1, SO_ATTACH_REUSEPORT_CBPF),
        (RETURN, 0, 0, ERRNO | errno),
        (RETURN, 0, 0, ALLOW),
    ]


def main():
    code = b"".join(struct.pack("HBBI", *one) for one in program(int(sys.argv[1])))
    text = ctypes.create_string_buffer(code)
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(head)))):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    os.execvp(sys.argv[2], sys.argv[2:])


main()
