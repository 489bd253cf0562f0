//! Wakes a JavaScript event loop when a UDP socket becomes readable.
//!
//! One thread sleeps in `epoll_wait` over the sockets it is given and writes one byte to `out_fd`, which the runtime's own
//! loop listens on. Sockets are armed one shot at a time: a loop that is already awake costs this thread nothing.

use libc::{c_int, c_void, size_t};
use std::{ptr, slice, thread};

/// Bit of `spooky_waker_arm`'s mask: wake when a socket is readable.
const ARM_READABLE: u32 = 1;
/// Bit of `spooky_waker_arm`'s mask: wake when a socket is writable.
const ARM_WRITABLE: u32 = 2;

const STOP_TOKEN: u64 = u64::MAX;

pub struct Waker {
    epoll_fd: c_int,
    stop_fd: c_int,
    sockets: Vec<c_int>,
    thread: Option<thread::JoinHandle<()>>,
}

/// `spooky_waker *spooky_waker_new(const int *fds, size_t fds_len, int out_fd)`
///
/// Starts the thread. Returns null when the kernel refuses (errno is left set). The descriptors stay the caller's.
///
/// # Safety
/// `fds` points at `fds_len` descriptors that stay open until `spooky_waker_free`, as does `out_fd`.
#[no_mangle]
pub unsafe extern "C" fn spooky_waker_new(
    fds: *const c_int, fds_len: size_t, out_fd: c_int,
) -> *mut Waker {
    if fds.is_null() || fds_len == 0 {
        return ptr::null_mut();
    }
    let epoll_fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
    if epoll_fd < 0 {
        return ptr::null_mut();
    }
    let stop_fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
    let mut waker = Waker {
        epoll_fd,
        stop_fd,
        sockets: slice::from_raw_parts(fds, fds_len).to_vec(),
        thread: None,
    };
    let registered = stop_fd >= 0
        && control(epoll_fd, libc::EPOLL_CTL_ADD, stop_fd, libc::EPOLLIN as u32, STOP_TOKEN)
        && waker
            .sockets
            .iter()
            .all(|&fd| control(epoll_fd, libc::EPOLL_CTL_ADD, fd, 0, fd as u64));
    if !registered {
        waker.close_descriptors();
        return ptr::null_mut();
    }
    match thread::Builder::new()
        .name("udp-waker".into())
        .stack_size(64 * 1024)
        .spawn(move || wait_and_wake(epoll_fd, out_fd))
    {
        Ok(thread) => {
            waker.thread = Some(thread);
            Box::into_raw(Box::new(waker))
        },
        Err(_) => {
            waker.close_descriptors();
            ptr::null_mut()
        },
    }
}

/// `int spooky_waker_arm(spooky_waker *waker, uint32_t mask)`
///
/// Asks for one byte on the next event (bit 0 readable, bit 1 writable). Level-triggered: a socket that is ready already
/// wakes at once. Returns 0, or -1 with errno.
///
/// # Safety
/// `waker` is live.
#[no_mangle]
pub unsafe extern "C" fn spooky_waker_arm(waker: *mut Waker, mask: u32) -> c_int {
    let Some(waker) = waker.as_ref() else {
        return -1;
    };
    let mut events = libc::EPOLLONESHOT as u32;
    if mask & ARM_READABLE != 0 {
        events |= libc::EPOLLIN as u32;
    }
    if mask & ARM_WRITABLE != 0 {
        events |= libc::EPOLLOUT as u32;
    }
    let armed = waker
        .sockets
        .iter()
        .all(|&fd| control(waker.epoll_fd, libc::EPOLL_CTL_MOD, fd, events, fd as u64));
    if armed {
        0
    } else {
        -1
    }
}

/// `void spooky_waker_free(spooky_waker *waker)`: stops and joins the thread. Null is allowed.
///
/// # Safety
/// `waker` came from `spooky_waker_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn spooky_waker_free(waker: *mut Waker) {
    if waker.is_null() {
        return;
    }
    let mut waker = Box::from_raw(waker);
    let one = 1u64;
    libc::write(waker.stop_fd, ptr::addr_of!(one).cast::<c_void>(), 8);
    if let Some(thread) = waker.thread.take() {
        let _ = thread.join();
    }
    waker.close_descriptors();
}

impl Waker {
    unsafe fn close_descriptors(&self) {
        libc::close(self.epoll_fd);
        if self.stop_fd >= 0 {
            libc::close(self.stop_fd);
        }
    }
}

unsafe fn control(epoll_fd: c_int, op: c_int, fd: c_int, events: u32, token: u64) -> bool {
    let mut event = libc::epoll_event { events, u64: token };
    libc::epoll_ctl(epoll_fd, op, fd, &mut event) == 0
}

fn wait_and_wake(epoll_fd: c_int, out_fd: c_int) {
    const EVENTS_PER_WAIT: usize = 8;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_WAIT];
    loop {
        // SAFETY: `events` has room for EVENTS_PER_WAIT entries; the descriptors outlive this thread, which is joined first.
        let count =
            unsafe { libc::epoll_wait(epoll_fd, events.as_mut_ptr(), EVENTS_PER_WAIT as c_int, -1) };
        if count < 0 {
            if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) {
                continue;
            }
            return;
        }
        if events[..count as usize].iter().any(|e| e.u64 == STOP_TOKEN) {
            return;
        }
        // The far end drains before it arms again, so a full socketpair cannot be: one byte per arming is all we write.
        let byte = 1u8;
        // SAFETY: one readable byte; MSG_NOSIGNAL because the loop may be gone already.
        unsafe {
            libc::send(out_fd, ptr::addr_of!(byte).cast::<c_void>(), 1, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
        };
    }
}
