//! Field sections (HTTP header and trailer blocks) across the boundary in one call each way.
//!
//! A section is one flat buffer, little endian, 4-byte aligned:
//!
//! ```text
//! u32 count | u32 bytes_at | count x { u32 name_length, u32 value_length } | gap | bytes: name, value, name, value ...
//! ```
//!
//! `bytes_at` is where the bytes begin, counted from the start; a writer that does not know the count beforehand leaves a gap.

use libc::{c_int, size_t};
use quiche::h3::{self, NameValue};
use std::slice;

const ERR_INVALID: i64 = -3;
/// Where the table of lengths begins.
const TABLE_AT: usize = 8;
const TRANSPORT_ERROR_BASE: i64 = -1000;

/// Words of `facts` in `spooky_h3_poll`.
const FACTS: usize = 4;

/// The numbers of `enum quiche_h3_event_type`.
const EVENT_HEADERS: i64 = 0;
const EVENT_DATA: i64 = 1;
const EVENT_FINISHED: i64 = 2;
const EVENT_GOAWAY: i64 = 3;
const EVENT_RESET: i64 = 4;
const EVENT_PRIORITY_UPDATE: i64 = 5;

/// What a section is, for `spooky_h3_send_fields`.
const KIND_RESPONSE: c_int = 0;
const KIND_ADDITIONAL: c_int = 1;
const KIND_TRAILERS: c_int = 2;
const KIND_REQUEST: c_int = 3;

/// `int64_t spooky_h3_poll(quiche_h3_conn *h3, quiche_conn *conn, uint8_t *out, size_t out_len, uint32_t *facts)`
///
/// Takes the next event of a session with all that is to be known of it. Returns its number in `enum quiche_h3_event_type`, or
/// quiche's HTTP/3 error (-1: there is none). `facts` gets four words: the stream's id, low word first; for a HEADERS event the
/// bytes of its section, which is written to `out`, or all ones when it does not fit; and 1 when more frames follow it.
///
/// # Safety
/// `h3` and `conn` are live and belong together; `out` points at `out_len` writable bytes, 4-byte aligned; `facts` at four words.
#[no_mangle]
pub unsafe extern "C" fn spooky_h3_poll(
    h3: *mut h3::Connection, conn: *mut quiche::Connection, out: *mut u8, out_len: size_t,
    facts: *mut u32,
) -> i64 {
    if h3.is_null() || conn.is_null() || out.is_null() || facts.is_null() || out.align_offset(4) != 0
    {
        return ERR_INVALID;
    }
    let (id, event) = match (*h3).poll(&mut *conn) {
        Ok(found) => found,
        Err(e) => return error_number(e),
    };
    let facts = slice::from_raw_parts_mut(facts, FACTS);
    facts[0] = id as u32;
    facts[1] = (id >> 32) as u32;
    match event {
        h3::Event::Headers { list, more_frames } => {
            let out = slice::from_raw_parts_mut(out, out_len);
            facts[2] = write(&list, out).unwrap_or(u32::MAX);
            facts[3] = more_frames as u32;
            EVENT_HEADERS
        },
        h3::Event::Data => EVENT_DATA,
        h3::Event::Finished => EVENT_FINISHED,
        h3::Event::GoAway => EVENT_GOAWAY,
        h3::Event::Reset(_) => EVENT_RESET,
        h3::Event::PriorityUpdate => EVENT_PRIORITY_UPDATE,
    }
}

/// Writes a flat section; `None` when it does not fit.
fn write(list: &[h3::Header], out: &mut [u8]) -> Option<u32> {
    let table_len = TABLE_AT + 8 * list.len();
    let total = list
        .iter()
        .fold(table_len, |sum, h| sum + h.name().len() + h.value().len());
    let out = out.get_mut(..total)?;
    put_u32(out, 0, list.len());
    put_u32(out, 4, table_len);
    let mut at = table_len;
    for (i, h) in list.iter().enumerate() {
        put_u32(out, TABLE_AT + 8 * i, h.name().len());
        put_u32(out, TABLE_AT + 8 * i + 4, h.value().len());
        for part in [h.name(), h.value()] {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
    }
    u32::try_from(total).ok()
}

/// `int64_t spooky_h3_send_fields(quiche_h3_conn *h3, quiche_conn *conn, uint64_t stream_id, const uint8_t *section,
/// size_t section_len, int kind, bool fin)`
///
/// Sends a flat section as response head (kind 0), further head after an informational one (1), trailers (2) or, for
/// clients, a request (3, `stream_id` unused). Returns 0, or the new stream's id for a request, or quiche's HTTP/3 error.
///
/// # Safety
/// `h3` and `conn` are live and belong together; `section` points at `section_len` readable bytes.
#[no_mangle]
pub unsafe extern "C" fn spooky_h3_send_fields(
    h3: *mut h3::Connection, conn: *mut quiche::Connection, stream_id: u64,
    section: *const u8, section_len: size_t, kind: c_int, fin: bool,
) -> i64 {
    if h3.is_null() || conn.is_null() || section.is_null() {
        return ERR_INVALID;
    }
    let section = slice::from_raw_parts(section, section_len);
    let Some(headers) = parse(section) else {
        return ERR_INVALID;
    };
    let (h3, conn) = (&mut *h3, &mut *conn);

    let result = match kind {
        KIND_RESPONSE => h3.send_response(conn, stream_id, &headers, fin).map(|()| 0),
        KIND_ADDITIONAL => h3
            .send_additional_headers(conn, stream_id, &headers, false, fin)
            .map(|()| 0),
        KIND_TRAILERS => h3
            .send_additional_headers(conn, stream_id, &headers, true, fin)
            .map(|()| 0),
        KIND_REQUEST => h3.send_request(conn, &headers, fin),
        _ => return ERR_INVALID,
    };
    match result {
        Ok(value) => value as i64,
        Err(e) => error_number(e),
    }
}

/// Reads a flat section; `None` when its lengths do not fit its size.
fn parse(section: &[u8]) -> Option<Vec<h3::HeaderRef<'_>>> {
    let count = get_u32(section, 0)?;
    let table_len = count.checked_mul(8)?.checked_add(TABLE_AT)?;
    let mut at = get_u32(section, 4)?;
    if at < table_len || at > section.len() {
        return None;
    }
    let mut headers = Vec::with_capacity(count);
    for i in 0..count {
        let name_end = at.checked_add(get_u32(section, TABLE_AT + 8 * i)?)?;
        let value_end = name_end.checked_add(get_u32(section, TABLE_AT + 8 * i + 4)?)?;
        headers.push(h3::HeaderRef::new(
            section.get(at..name_end)?,
            section.get(name_end..value_end)?,
        ));
        at = value_end;
    }
    (at == section.len()).then_some(headers)
}

fn get_u32(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(u32::from_le_bytes(four) as usize)
}

fn put_u32(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
}

/// The numbers of `enum quiche_h3_error` and, from -1000 down, of `enum quiche_error`, as quiche's C API gives them.
fn error_number(e: h3::Error) -> i64 {
    match e {
        h3::Error::Done => -1,
        h3::Error::BufferTooShort => -2,
        h3::Error::InternalError => -3,
        h3::Error::ExcessiveLoad => -4,
        h3::Error::IdError => -5,
        h3::Error::StreamCreationError => -6,
        h3::Error::ClosedCriticalStream => -7,
        h3::Error::MissingSettings => -8,
        h3::Error::FrameUnexpected => -9,
        h3::Error::FrameError => -10,
        h3::Error::QpackDecompressionFailed => -11,
        h3::Error::StreamBlocked => -13,
        h3::Error::SettingsError => -14,
        h3::Error::RequestRejected => -15,
        h3::Error::RequestCancelled => -16,
        h3::Error::RequestIncomplete => -17,
        h3::Error::MessageError => -18,
        h3::Error::ConnectError => -19,
        h3::Error::VersionFallback => -20,
        h3::Error::TransportError(e) => TRANSPORT_ERROR_BASE + transport_number(e),
    }
}

fn transport_number(e: quiche::Error) -> i64 {
    match e {
        quiche::Error::Done => -1,
        quiche::Error::BufferTooShort => -2,
        quiche::Error::UnknownVersion => -3,
        quiche::Error::InvalidFrame => -4,
        quiche::Error::InvalidPacket => -5,
        quiche::Error::InvalidState => -6,
        quiche::Error::InvalidStreamState(_) => -7,
        quiche::Error::InvalidTransportParam => -8,
        quiche::Error::CryptoFail => -9,
        quiche::Error::TlsFail => -10,
        quiche::Error::FlowControl => -11,
        quiche::Error::StreamLimit => -12,
        quiche::Error::FinalSize => -13,
        quiche::Error::CongestionControl => -14,
        quiche::Error::StreamStopped(_) => -15,
        quiche::Error::StreamReset(_) => -16,
        quiche::Error::IdLimit => -17,
        quiche::Error::OutOfIdentifiers => -18,
        quiche::Error::KeyUpdate => -19,
        quiche::Error::CryptoBufferExceeded => -20,
        quiche::Error::InvalidAckRange => -21,
        quiche::Error::OptimisticAckDetected => -22,
        quiche::Error::InvalidDcidInitialization => -23,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_never_cut() {
        let list = [h3::Header::new(b":path", b"/"), h3::Header::new(b"x", b"")];
        let mut out = [0xff; 64];
        let len = write(&list, &mut out).unwrap() as usize;
        let read = parse(&out[..len]).unwrap();
        let read: Vec<_> = read.iter().map(|h| (h.name(), h.value())).collect();
        assert_eq!(read, [(&b":path"[..], &b"/"[..]), (&b"x"[..], &b""[..])]);
        assert_eq!(write(&list, &mut out[..len - 1]), None);
        assert_eq!(write(&list, &mut out[..len]), Some(len as u32));
    }

    #[test]
    fn parse_refuses_lengths_that_do_not_fit() {
        assert!(parse(&[]).is_none());
        assert!(parse(&[1, 0, 0, 0, 8, 0, 0, 0]).is_none());
        assert!(parse(&[0xff; 8]).is_none());
        let one = [1, 0, 0, 0, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, b'a', b'b', b'c'];
        assert_eq!(parse(&one).map(|h| h.len()), Some(1));
        assert!(parse(&one[..one.len() - 1]).is_none());
        let mut early = one;
        early[4] = 12;
        assert!(parse(&early).is_none());
    }
}
