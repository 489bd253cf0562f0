//! One shared object: the whole quiche C API, re-exported unchanged, and the few functions of ours for what that API can
//! only do by a callback (field sections) or not at all (TLS contexts from PEM bytes with SNI, a waker).
//!
//! Rules of this crate: no policy, no parsing of requests, no state beyond one handle. Every exported function checks its
//! pointers, because a panic aborts the whole proxy.

mod early;
mod fields;
mod pace;
mod peers;
mod retry;
mod streams;
mod tickets;
mod tls;
mod waker;
mod watch;

/// Number of the exported interface. The loader refuses a library with another number than the one it was written for.
/// Raise it with every change to a signature or a buffer layout in this crate, together with `ABI_VERSION` in `ffi/library.ts`.
pub const ABI_VERSION: u32 = 8;

/// `uint32_t spooky_abi_version(void)`
#[no_mangle]
pub extern "C" fn spooky_abi_version() -> u32 {
    ABI_VERSION
}

/// `const char *spooky_build_hash(void)`: the hash of the inputs this library was built from, NUL-terminated.
#[no_mangle]
pub extern "C" fn spooky_build_hash() -> *const libc::c_char {
    const HASH: &str = concat!(env!("SPOOKY_BUILD_HASH"), "\0");
    HASH.as_ptr().cast()
}
