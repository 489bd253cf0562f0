//! Who a client is, by the certificates that it has shown.

use libc::size_t;

/// `int64_t spooky_conn_peer_chain(const quiche_conn *conn, uint8_t *out, size_t out_len)`
///
/// The certificates that the peer has shown and that were verified, its own first, also when the session was resumed: each as its length (32
/// bits, native order) and DER. Returns how many bytes they take, 0 for none; where that is more than `out_len`, nothing is written.
///
/// # Safety
/// `conn` is live; `out` points at `out_len` writable bytes.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_peer_chain(
    conn: *const quiche::Connection, out: *mut u8, out_len: size_t,
) -> i64 {
    let Some(chain) = conn.as_ref().and_then(|conn| conn.peer_cert_chain()) else {
        return 0;
    };
    let size: usize = chain.iter().map(|der| 4 + der.len()).sum();
    if out.is_null() || size > out_len {
        return size as i64;
    }
    let out = std::slice::from_raw_parts_mut(out, size);
    let mut at = 0;
    for der in chain {
        out[at..at + 4].copy_from_slice(&(der.len() as u32).to_ne_bytes());
        out[at + 4..at + 4 + der.len()].copy_from_slice(der);
        at += 4 + der.len();
    }
    size as i64
}
