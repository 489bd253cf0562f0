//! What quiche knows of a connection's streams and says nowhere, or only at one call for each: what has come since, and which are open.

use libc::size_t;

/// Words of `out` in `spooky_conn_counts`.
const COUNTS: usize = 5;
/// Client-initiated bidirectional streams have ids 0, 4, 8 ... (RFC 9000 2.1).
const STREAM_ID_STEP: u64 = 4;

/// `void spooky_conn_counts(const quiche_conn *conn, uint64_t *out)`
///
/// Since the connection began: streams that the peer has reset or asked us to stop sending on (quiche has no event for STOP_SENDING, nor
/// for a reset behind unread bytes); packets that came, were genuine and no repetition; their bytes; bytes of ours that the peer has
/// acknowledged. And now: the peer's bidirectional streams with bytes that were not read.
///
/// # Safety
/// `conn` is live; `out` points at five writable words, 8-byte aligned.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_counts(conn: *const quiche::Connection, out: *mut u64) {
    let Some(conn) = conn.as_ref() else {
        return;
    };
    if out.is_null() {
        return;
    }
    let stats = conn.stats();
    let out = std::slice::from_raw_parts_mut(out, COUNTS);
    out[0] = stats.reset_stream_count_remote + stats.stopped_stream_count_remote;
    out[1] = stats.recv as u64;
    out[2] = stats.recv_bytes;
    out[3] = stats.acked_bytes;
    out[4] = conn.readable().filter(|id| id % STREAM_ID_STEP == 0).count() as u64;
}

/// `size_t spooky_conn_open_streams(quiche_conn *conn, uint64_t first, size_t count, uint64_t *out, size_t out_len)`
///
/// Which of the `count` streams `first`, `first` + 4, `first` + 8 ... exist: neither never seen nor over and forgotten. Writes at most
/// `out_len` ids to `out` and returns how many it wrote.
///
/// # Safety
/// `conn` is live; `out` points at `out_len` writable words, 8-byte aligned.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_open_streams(
    conn: *mut quiche::Connection, first: u64, count: size_t, out: *mut u64, out_len: size_t,
) -> size_t {
    let Some(conn) = conn.as_mut() else {
        return 0;
    };
    if out.is_null() {
        return 0;
    }
    let out = std::slice::from_raw_parts_mut(out, out_len);
    let mut found = 0;
    for step in 0..count as u64 {
        if found == out.len() {
            break;
        }
        let id = first.saturating_add(step.saturating_mul(STREAM_ID_STEP));
        // A stream that the peer has stopped is an error too, and there.
        if !matches!(conn.stream_capacity(id), Err(quiche::Error::InvalidStreamState(_))) {
            out[found] = id;
            found += 1;
        }
    }
    found
}
