"""Starts a program under a kernel that knows nothing newer than Linux 4.18: `old-kernel.py COMMAND...`.

A filter of system calls (seccomp) answers those that came later as such a kernel does, ENOSYS. From 424 (pidfd_send_signal, Linux 5.1) on they have the same
numbers on all processors; between 4.18 and 5.1 none was added on x86_64. Packets are refused to be cut by the kernel (UDP_SEGMENT, UDP_GRO), too.
"""

import ctypes
import errno
import os
import struct
import sys

MACHINE_X86_64, SETSOCKOPT, FIRST_NEWER = 0xC000003E, 54, 424
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, EQUAL, NOT_LESS, RETURN = 0x20, 0x15, 0x35, 0x06
# struct seccomp_data: number, architecture, instruction pointer, arguments of 8 bytes each.
NUMBER_AT, MACHINE_AT, LEVEL_AT, OPTION_AT = 0, 4, 24, 32

PROGRAM = [
    (LOAD, 0, 0, MACHINE_AT),
    (EQUAL, 0, 8, MACHINE_X86_64),
    (LOAD, 0, 0, NUMBER_AT),
    (NOT_LESS, 7, 0, FIRST_NEWER),
    (EQUAL, 0, 5, SETSOCKOPT),
    (LOAD, 0, 0, LEVEL_AT),
    (EQUAL, 0, 3, SOL_UDP),
    (LOAD, 0, 0, OPTION_AT),
    (EQUAL, 3, 0, UDP_SEGMENT),
    (EQUAL, 2, 0, UDP_GRO),
    (RETURN, 0, 0, ALLOW),
    (RETURN, 0, 0, ERRNO | errno.ENOSYS),
    (RETURN, 0, 0, ERRNO | errno.ENOPROTOOPT),
]

code = b"".join(struct.pack("HBBI", *one) for one in PROGRAM)
text = ctypes.create_string_buffer(code)
head = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(PROGRAM), ctypes.addressof(text)))
libc = ctypes.CDLL(None, use_errno=True)
for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(head)))):
    if libc.prctl(*call) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
os.execvp(sys.argv[1], sys.argv[1:])
