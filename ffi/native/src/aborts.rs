//! Has a client given up on streams? quiche has no event for STOP_SENDING, nor for a reset behind unread bytes, but counts both.

/// `uint64_t spooky_conn_aborts(const quiche_conn *conn)`
///
/// How many streams the peer has reset or asked us to stop sending on, since the connection began.
///
/// # Safety
/// `conn` is live.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_aborts(conn: *const quiche::Connection) -> u64 {
    let Some(conn) = conn.as_ref() else {
        return 0;
    };
    let stats = conn.stats();
    stats.reset_stream_count_remote + stats.stopped_stream_count_remote
}
