//! What is written down of chosen connections: their TLS secrets, and a qlog of each. quiche writes wherever it is told to; here is where that
//! ends: each file and all of them together have a most, an error ends one file and nothing else, and all of it is counted.

use libc::c_int;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::{fs::File, io};

/// Words of `out` in `spooky_watch_counts`.
const COUNTS: usize = 4;
/// What is collected before it is written.
const BUFFER_BYTES: usize = 16 * 1024;

/// Bytes that may still be written, by all connections.
static BYTES_LEFT: AtomicI64 = AtomicI64::new(0);
static BYTES_WRITTEN: AtomicU64 = AtomicU64::new(0);
static ERRORS: AtomicU64 = AtomicU64::new(0);
/// Files that were ended because they, or all, reached their most.
static CUT: AtomicU64 = AtomicU64::new(0);
static QLOGS_OPEN: AtomicU64 = AtomicU64::new(0);

/// `void spooky_watch_budget(int64_t bytes)`: what keylogs and qlogs may write from now on, all together.
#[no_mangle]
pub extern "C" fn spooky_watch_budget(bytes: i64) {
    BYTES_LEFT.store(bytes, Relaxed);
}

/// `void spooky_watch_counts(uint64_t *out)`: bytes written, writes that failed, files that were cut short, qlogs that are open.
///
/// # Safety
/// `out` points at four writable words, 8-byte aligned.
#[no_mangle]
pub unsafe extern "C" fn spooky_watch_counts(out: *mut u64) {
    if out.is_null() {
        return;
    }
    let out = std::slice::from_raw_parts_mut(out, COUNTS);
    out[0] = BYTES_WRITTEN.load(Relaxed);
    out[1] = ERRORS.load(Relaxed);
    out[2] = CUT.load(Relaxed);
    out[3] = QLOGS_OPEN.load(Relaxed);
}

/// `void spooky_conn_set_keylog(quiche_conn *conn, int fd)`
///
/// The connection's secrets are added to the file at `fd`, a line at a time. The descriptor stays the caller's and must outlive the connection.
///
/// # Safety
/// `conn` is live and has not been fed yet.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_set_keylog(conn: *mut quiche::Connection, fd: c_int) {
    if let Some(conn) = conn.as_mut() {
        conn.set_keylog(Box::new(Keylog { fd }));
    }
}

/// `void spooky_conn_set_qlog(quiche_conn *conn, int fd, uint64_t bytes_max)`
///
/// A qlog of the connection (JSON-SEQ) goes to the file at `fd`, about `bytes_max` of it at most. The descriptor is consumed.
///
/// # Safety
/// `conn` is live and has not been fed yet; `fd` is open and nobody else's.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_set_qlog(
    conn: *mut quiche::Connection, fd: c_int, bytes_max: u64,
) {
    let file = File::from(OwnedFd::from_raw_fd(fd));
    if let Some(conn) = conn.as_mut() {
        let id = conn.trace_id().to_string();
        conn.set_qlog(Box::new(Qlog::new(file, bytes_max)), id, "spooky".to_string());
    }
}

/// Takes `bytes` out of what may be written. False, and nothing taken: too little is left.
fn take(bytes: usize) -> bool {
    let bytes = bytes as i64;
    BYTES_LEFT.fetch_update(Relaxed, Relaxed, |left| (left >= bytes).then(|| left - bytes)).is_ok()
}

/// Lines of secrets; a line comes in one piece, and files that are appended to take it as one.
struct Keylog {
    fd: c_int,
}

impl Write for Keylog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !take(line.len()) {
            CUT.fetch_add(1, Relaxed);
        } else if unsafe { libc::write(self.fd, line.as_ptr().cast(), line.len()) }
            == line.len() as isize
        {
            BYTES_WRITTEN.fetch_add(line.len() as u64, Relaxed);
        } else {
            ERRORS.fetch_add(1, Relaxed);
        }
        // Whatever became of it: the connection shall not care.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A qlog file. It ends with a whole record wherever it is cut.
struct Qlog {
    /// None once it has ended.
    file: Option<File>,
    buffer: Vec<u8>,
    bytes_left: u64,
    /// The next byte begins a record.
    between: bool,
}

impl Qlog {
    fn new(file: File, bytes_max: u64) -> Qlog {
        QLOGS_OPEN.fetch_add(1, Relaxed);
        Qlog { file: Some(file), buffer: Vec::new(), bytes_left: bytes_max, between: true }
    }

    fn write_out(&mut self) {
        if let Some(file) = &mut self.file {
            if file.write_all(&self.buffer).is_ok() {
                BYTES_WRITTEN.fetch_add(self.buffer.len() as u64, Relaxed);
            } else {
                ERRORS.fetch_add(1, Relaxed);
                self.end();
            }
        }
        self.buffer.clear();
    }

    fn end(&mut self) {
        if self.file.take().is_some() {
            QLOGS_OPEN.fetch_sub(1, Relaxed);
        }
    }
}

impl Write for Qlog {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.file.is_none() || piece.is_empty() {
            return Ok(piece.len());
        }
        let cut = self.bytes_left == 0 || !take(piece.len());
        if cut && self.between {
            CUT.fetch_add(1, Relaxed);
            self.write_out();
            self.end();
            return Ok(piece.len());
        }
        self.bytes_left = self.bytes_left.saturating_sub(piece.len() as u64);
        self.between = piece.last() == Some(&b'\n');
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out();
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out();
        Ok(())
    }
}

impl Drop for Qlog {
    fn drop(&mut self) {
        self.write_out();
        self.end();
    }
}
