//! What TLS knows of early data (0-RTT) and quiche's C API does not say: under which settings it is taken, whether it was, and by what a
//! first flight is known again.

use foreign_types_shared::ForeignTypeRef;
use libc::{c_int, size_t};

/// Bytes of `out` in `spooky_conn_early_facts`.
const FACTS: usize = 40;
/// Of a ClientHello (RFC 8446 4.1.2).
const RANDOM: usize = 32;

/// `int spooky_conn_set_early_context(quiche_conn *conn, const uint8_t *context, size_t context_len)`
///
/// For a server connection before its first packet is fed: early data is only taken with tickets that were given out under the same
/// `context`, and tickets given out here carry it. quiche sets one that is the same for all configurations, so a client would send early
/// data under limits that we no longer have (RFC 9000 7.4.1, RFC 9114 7.2.4.2). 0 when it went well, else -1.
///
/// # Safety
/// `conn` is live; `context` points at `context_len` bytes.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_set_early_context(
    conn: *mut quiche::Connection, context: *const u8, context_len: size_t,
) -> c_int {
    let Some(conn) = conn.as_mut() else {
        return -1;
    };
    if context.is_null() || context_len == 0 {
        return -1;
    }
    let ssl = conn.as_mut().as_ptr();
    match boring_sys::SSL_set_quic_early_data_context(ssl, context, context_len) {
        1 => 0,
        _ => -1,
    }
}

/// `void spooky_conn_early_facts(quiche_conn *conn, uint8_t *out)`
///
/// Of a server connection whose client's first flight was read. The ClientHello's random (32 bytes); by how many seconds the age that the
/// client states for its ticket is above the one that we reckon (32 bits, signed, native order); BoringSSL's `ssl_early_data_reason_t`
/// (32 bits).
///
/// # Safety
/// `conn` is live; `out` points at 40 writable bytes, 4-byte aligned.
#[no_mangle]
pub unsafe extern "C" fn spooky_conn_early_facts(conn: *mut quiche::Connection, out: *mut u8) {
    let Some(conn) = conn.as_mut() else {
        return;
    };
    if out.is_null() {
        return;
    }
    let out = std::slice::from_raw_parts_mut(out, FACTS);
    out.fill(0);
    let reason = conn.early_data_reason();
    let ssl = conn.as_mut();
    ssl.client_random(&mut out[..RANDOM]);
    let skew = boring_sys::SSL_get_ticket_age_skew(ssl.as_ptr());
    out[RANDOM..RANDOM + 4].copy_from_slice(&skew.to_ne_bytes());
    out[RANDOM + 4..FACTS].copy_from_slice(&reason.to_ne_bytes());
}
