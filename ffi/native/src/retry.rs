//! A connection whose client has answered a Retry. quiche's C API takes one id for the Retry's source id and for the connection's own; the
//! connection's id has to be a new one, because it says where the connection is kept, and nothing is kept for a Retry.

use libc::{sockaddr, sockaddr_in, sockaddr_in6, socklen_t, size_t};
use quiche::{ConnectionId, RetryConnectionIds, MAX_CONN_ID_LEN};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::{mem, ptr, slice};

/// `quiche_conn *spooky_accept_retry(const uint8_t *scid, size_t scid_len, const uint8_t *odcid, size_t odcid_len,
/// const uint8_t *retry_scid, size_t retry_scid_len, const struct sockaddr *local, socklen_t local_len,
/// const struct sockaddr *peer, socklen_t peer_len, quiche_config *config)`
///
/// As `quiche_accept`, for a client whose first packet went to `odcid` and was answered with a Retry from `retry_scid`; both become transport
/// parameters (RFC 9000 7.3), and the client's address counts as validated. Null when quiche refuses or an id is too long.
///
/// # Safety
/// All pointers carry their lengths; `config` is live.
#[no_mangle]
pub unsafe extern "C" fn spooky_accept_retry(
    scid: *const u8, scid_len: size_t, odcid: *const u8, odcid_len: size_t, retry_scid: *const u8,
    retry_scid_len: size_t, local: *const sockaddr, local_len: socklen_t, peer: *const sockaddr,
    peer_len: socklen_t, config: *mut quiche::Config,
) -> *mut quiche::Connection {
    let ids = (id(scid, scid_len), id(odcid, odcid_len), id(retry_scid, retry_scid_len));
    let (Some(scid), Some(odcid), Some(retry_scid)) = ids else {
        return ptr::null_mut();
    };
    let (Some(local), Some(peer)) = (address(local, local_len), address(peer, peer_len)) else {
        return ptr::null_mut();
    };
    let Some(config) = config.as_mut() else {
        return ptr::null_mut();
    };
    let retry_cids =
        RetryConnectionIds { original_destination_cid: &odcid, retry_source_cid: &retry_scid };
    match quiche::accept_with_retry(&scid, retry_cids, local, peer, config) {
        Ok(conn) => Box::into_raw(Box::new(conn)),
        Err(_) => ptr::null_mut(),
    }
}

unsafe fn id<'a>(at: *const u8, len: size_t) -> Option<ConnectionId<'a>> {
    if at.is_null() || len > MAX_CONN_ID_LEN {
        return None;
    }
    Some(ConnectionId::from_ref(slice::from_raw_parts(at, len)))
}

/// The kernel's form of an address, in network byte order, as Rust's.
unsafe fn address(at: *const sockaddr, len: socklen_t) -> Option<SocketAddr> {
    if at.is_null() || (len as usize) < mem::size_of::<libc::sa_family_t>() {
        return None;
    }
    let family = i32::from(ptr::read_unaligned(ptr::addr_of!((*at).sa_family)));
    if family == libc::AF_INET && len as usize >= mem::size_of::<sockaddr_in>() {
        let v4 = ptr::read_unaligned(at.cast::<sockaddr_in>());
        let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
        return Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into());
    }
    if family == libc::AF_INET6 && len as usize >= mem::size_of::<sockaddr_in6>() {
        let v6 = ptr::read_unaligned(at.cast::<sockaddr_in6>());
        let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
        let port = u16::from_be(v6.sin6_port);
        return Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into());
    }
    None
}
