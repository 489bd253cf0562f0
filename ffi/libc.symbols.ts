/** The C library's functions that we call, each beside its declaration (glibc 2.28 has all of them). */
import type { CTable } from "./abi.ts";

/** Sockets, memory files and the few calls that a runtime does not offer. */
export const LIBC_SYMBOLS = {
  socket: { c: "int socket(int domain, int type, int protocol)", args: ["i32", "i32", "i32"], returns: "i32" },
  bind: {
    c: "int bind(int fd, const struct sockaddr *addr, socklen_t len)",
    args: ["i32", "pointer", "u32"],
    returns: "i32",
  },
  listen: { c: "int listen(int fd, int backlog)", args: ["i32", "i32"], returns: "i32" },
  getsockname: {
    c: "int getsockname(int fd, struct sockaddr *addr, socklen_t *len)",
    args: ["i32", "pointer", "pointer"],
    returns: "i32",
  },
  setsockopt: {
    c: "int setsockopt(int fd, int level, int name, const void *value, socklen_t len)",
    args: ["i32", "i32", "i32", "pointer", "u32"],
    returns: "i32",
  },
  getsockopt: {
    c: "int getsockopt(int fd, int level, int name, void *value, socklen_t *len)",
    args: ["i32", "i32", "i32", "pointer", "pointer"],
    returns: "i32",
  },
  recvmmsg: {
    c: "int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout)",
    args: ["i32", "pointer", "u32", "i32", "pointer"],
    returns: "i32",
  },
  sendmmsg: {
    c: "int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)",
    args: ["i32", "pointer", "u32", "i32"],
    returns: "i32",
  },
  sendto: {
    c: "ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t len)",
    args: ["i32", "pointer", "usize", "i32", "pointer", "u32"],
    returns: "isize",
  },
  socketpair: {
    c: "int socketpair(int domain, int type, int protocol, int fds[2])",
    args: ["i32", "i32", "i32", "pointer"],
    returns: "i32",
  },
  poll: {
    c: "int poll(struct pollfd *fds, unsigned long count, int timeout)",
    args: ["pointer", "u64", "i32"],
    returns: "i32",
  },
  close: { c: "int close(int fd)", args: ["i32"], returns: "i32" },
  memcpy: {
    c: "void *memcpy(void *to, const void *from, size_t size)",
    args: ["pointer", "pointer", "usize"],
    returns: "pointer",
  },
  memfd_create: {
    c: "int memfd_create(const char *name, unsigned int flags)",
    args: ["buffer", "u32"],
    returns: "i32",
  },
  prctl: {
    c: "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
    args: ["i32", "pointer", "u64", "u64", "u64"],
    returns: "i32",
  },
  sched_setaffinity: {
    c: "int sched_setaffinity(int pid, size_t size, const cpu_set_t *mask)",
    args: ["i32", "usize", "pointer"],
    returns: "i32",
  },
  execve: {
    c: "int execve(const char *path, char *const argv[], char *const envp[])",
    args: ["pointer", "pointer", "pointer"],
    returns: "i32",
  },
  fcntl: { c: "int fcntl(int fd, int command, int argument)", args: ["i32", "i32", "i32"], returns: "i32" },
  sigprocmask: {
    c: "int sigprocmask(int how, const sigset_t *set, sigset_t *old)",
    args: ["i32", "pointer", "pointer"],
    returns: "i32",
  },
  waitpid: {
    c: "int waitpid(int pid, int *status, int options)",
    args: ["i32", "pointer", "i32"],
    returns: "i32",
  },
  clock_gettime: {
    c: "int clock_gettime(int clock, struct timespec *now)",
    args: ["i32", "pointer"],
    returns: "i32",
  },
  __errno_location: { c: "int *__errno_location(void)", args: [], returns: "pointer" },
} as const satisfies CTable;
