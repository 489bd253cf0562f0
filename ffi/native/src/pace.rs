//! How fast a connection may send, as its congestion control sees it.

/// Words of `out` in `spooky_conn_pace`.
const FACTS: usize = 2;

/// `bool spooky_conn_pace(const quiche_conn *conn, uint64_t *out)`
///
/// Congestion window (bytes) and smoothed round-trip time (microseconds) of the path in use. False, and nothing written, when there is none.
///
/// # Safety
/// `conn` is live; `out` points at two writable words, 8-byte aligned.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_pace(conn: *const quiche::Connection, out: *mut u64) -> bool {
    let Some(conn) = conn.as_ref() else {
        return false;
    };
    if out.is_null() {
        return false;
    }
    let Some(path) = conn.path_stats().find(|path| path.active) else {
        return false;
    };
    let out = std::slice::from_raw_parts_mut(out, FACTS);
    out[0] = path.cwnd as u64;
    out[1] = path.rtt.as_micros() as u64;
    true
}
