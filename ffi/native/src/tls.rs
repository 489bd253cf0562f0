//! A server's TLS context from PEM bytes: several certificates chosen by SNI (exact and one-label wildcard names) and, of those for one name,
//! by the signatures that the client takes (an ECDSA one beside an RSA one); optional verification of client certificates, session tickets under given keys. quiche's C API reads files and knows one certificate and one ticket
//! key; this is the rest.
//!
//! A context is built once and never changed: a certificate is replaced by building a new one for new connections.

use crate::tickets::{session_context, TicketKeys};
use boring::pkey::{Id, PKey};
use boring::ssl::{
    AlpnError, NameType, SniError, SslContext, SslContextBuilder, SslMethod, SslVerifyMode,
    SslVersion,
};
use boring::x509::{store::X509StoreBuilder, verify::X509VerifyFlags, X509};
use foreign_types_shared::ForeignType;
use libc::{c_char, c_int, c_void, size_t};
use std::collections::{BTreeSet, HashMap};
use std::{ptr, slice};

/// HTTP/3 in ALPN's wire form (RFC 9114 3.1).
const ALPN_H3: &[u8] = b"\x02h3";

struct Identity {
    names: BTreeSet<String>,
    credential: Credential,
}

#[derive(Default)]
pub struct TlsBuilder {
    identities: Vec<Identity>,
    client_ca_pem: Option<(Vec<u8>, bool)>,
    ticket_keys: Option<TicketKeys>,
    keylog: bool,
    early_data: bool,
}

/// `spooky_tls *spooky_tls_new(void)`
#[no_mangle]
pub extern "C" fn spooky_tls_new() -> *mut TlsBuilder {
    Box::into_raw(Box::default())
}

/// `int spooky_tls_add_identity(spooky_tls *tls, const uint8_t *names, size_t names_len, const uint8_t *chain_pem,
/// size_t chain_pem_len, const uint8_t *key_pem, size_t key_pem_len, uint8_t *why, size_t why_len)`
///
/// Adds a certificate chain (leaf first) with its key. `names` are the server names it answers for, separated by newlines; the
/// first identity added also answers every other name, and so does the first with another kind of key that has all of its names. Of
/// identities for one name the first of each kind of key counts. Returns 0, or the length of the reason written to `why`, negated.
///
/// # Safety
/// All pointers carry their lengths; `tls` is live.
#[no_mangle]
pub unsafe extern "C" fn spooky_tls_add_identity(
    tls: *mut TlsBuilder, names: *const u8, names_len: size_t, chain_pem: *const u8,
    chain_pem_len: size_t, key_pem: *const u8, key_pem_len: size_t, why: *mut u8, why_len: size_t,
) -> c_int {
    let Some(tls) = tls.as_mut() else {
        return refuse("no TLS builder", why, why_len);
    };
    let names = String::from_utf8_lossy(bytes(names, names_len)).to_ascii_lowercase();
    match identity(bytes(chain_pem, chain_pem_len), bytes(key_pem, key_pem_len)) {
        Ok(credential) => {
            let names = names.split('\n').filter(|n| !n.is_empty()).map(String::from).collect();
            tls.identities.push(Identity { names, credential });
            0
        },
        Err(reason) => refuse(&reason, why, why_len),
    }
}

/// `int spooky_tls_client_ca(spooky_tls *tls, const uint8_t *pem, size_t pem_len, bool required, uint8_t *why, size_t why_len)`
///
/// Asks clients for a certificate from one of these authorities. Returns as `spooky_tls_add_identity`.
///
/// # Safety
/// All pointers carry their lengths; `tls` is live.
#[no_mangle]
pub unsafe extern "C" fn spooky_tls_client_ca(
    tls: *mut TlsBuilder, pem: *const u8, pem_len: size_t, required: bool, why: *mut u8,
    why_len: size_t,
) -> c_int {
    let Some(tls) = tls.as_mut() else {
        return refuse("no TLS builder", why, why_len);
    };
    let pem = bytes(pem, pem_len);
    match X509::stack_from_pem(pem) {
        Ok(stack) if !stack.is_empty() => {
            tls.client_ca_pem = Some((pem.to_vec(), required));
            0
        },
        Ok(_) => refuse("the file holds no PEM certificate", why, why_len),
        Err(e) => refuse(&format!("the client CA file is not PEM: {e}"), why, why_len),
    }
}

/// `int spooky_tls_ticket_keys(spooky_tls *tls, const uint8_t *keys, size_t keys_len)`
///
/// Session tickets are made with the first of these keys of 48 bytes (name, HMAC key, AES key) and taken of all of them. Without it every
/// context makes up its own. Returns 0, or -1 where there is no key or a piece of one.
///
/// # Safety
/// `keys` points at `keys_len` readable bytes; `tls` is live.
#[no_mangle]
pub unsafe extern "C" fn spooky_tls_ticket_keys(
    tls: *mut TlsBuilder, keys: *const u8, keys_len: size_t,
) -> c_int {
    match (tls.as_mut(), TicketKeys::parse(bytes(keys, keys_len))) {
        (Some(tls), Some(keys)) => {
            tls.ticket_keys = Some(keys);
            0
        },
        _ => -1,
    }
}

/// `void spooky_tls_keylog(spooky_tls *tls)`: secrets are handed to the connections that have a keylog (`spooky_conn_set_keylog`).
///
/// # Safety
/// `tls` is live.
#[no_mangle]
pub unsafe extern "C" fn spooky_tls_keylog(tls: *mut TlsBuilder) {
    if let Some(tls) = tls.as_mut() {
        tls.keylog = true;
    }
}

/// `void spooky_tls_early_data(spooky_tls *tls)`: early data (0-RTT) is taken under every name.
///
/// # Safety
/// `tls` is live.
#[no_mangle]
pub unsafe extern "C" fn spooky_tls_early_data(tls: *mut TlsBuilder) {
    if let Some(tls) = tls.as_mut() {
        tls.early_data = true;
    }
}

/// `quiche_config *spooky_tls_finish(spooky_tls *tls, uint32_t version, uint8_t *why, size_t why_len)`
///
/// Consumes the builder (also on failure) and returns a quiche configuration that owns the context, to be freed with
/// `quiche_config_free`; null with a NUL-terminated reason in `why` on failure.
///
/// # Safety
/// `tls` came from `spooky_tls_new` and is not used again; `why` points at `why_len` writable bytes.
#[no_mangle]
pub unsafe extern "C" fn spooky_tls_finish(
    tls: *mut TlsBuilder, version: u32, why: *mut u8, why_len: size_t,
) -> *mut quiche::Config {
    if tls.is_null() {
        refuse("no TLS builder", why, why_len);
        return ptr::null_mut();
    }
    match finish(*Box::from_raw(tls), version) {
        Ok(config) => Box::into_raw(Box::new(config)),
        Err(reason) => {
            refuse(&reason, why, why_len);
            ptr::null_mut()
        },
    }
}

/// `void spooky_tls_free(spooky_tls *tls)`: drops a builder that was not finished. Null is allowed.
///
/// # Safety
/// `tls` came from `spooky_tls_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn spooky_tls_free(tls: *mut TlsBuilder) {
    if !tls.is_null() {
        drop(Box::from_raw(tls));
    }
}

/// A certificate chain with its key, as TLS chooses between several by the signatures that a client takes.
struct Credential {
    at: *mut boring_sys::SSL_CREDENTIAL,
    kind: Id,
}

impl Drop for Credential {
    fn drop(&mut self) {
        // SAFETY: made by `identity`; contexts hold references of their own.
        unsafe { boring_sys::SSL_CREDENTIAL_free(self.at) }
    }
}

impl Credential {
    /// TLS takes the first that fits. Signing with an elliptic curve costs a server a tenth of what it costs with RSA.
    fn rank(&self) -> u8 {
        match self.kind {
            Id::EC => 0,
            Id::ED25519 => 1,
            _ => 2,
        }
    }
}

fn identity(chain_pem: &[u8], key_pem: &[u8]) -> Result<Credential, String> {
    let chain = X509::stack_from_pem(chain_pem)
        .map_err(|e| format!("the certificate file is not PEM: {e}"))?;
    if chain.is_empty() {
        return Err("the certificate file holds no PEM certificate".to_string());
    }
    let key = PKey::private_key_from_pem(key_pem)
        .map_err(|e| format!("the key file holds no usable PEM private key: {e}"))?;
    let chain = Buffers::of(&chain)?;
    // SAFETY: the credential is owned from here on, and takes references to what it is given.
    unsafe {
        let at = boring_sys::SSL_CREDENTIAL_new_x509();
        if at.is_null() {
            return Err("there is no memory".to_string());
        }
        let credential = Credential { at, kind: key.id() };
        if boring_sys::SSL_CREDENTIAL_set1_cert_chain(at, chain.0.as_ptr(), chain.0.len()) != 1 {
            return Err(format!("the certificate cannot be used: {}", boring::error::ErrorStack::get()));
        }
        if boring_sys::SSL_CREDENTIAL_set1_private_key(at, key.as_ptr()) != 1 {
            drop(boring::error::ErrorStack::get());
            return Err("the key does not belong to the certificate".to_string());
        }
        Ok(credential)
    }
}

/// Certificates as BoringSSL shares them.
struct Buffers(Vec<*mut boring_sys::CRYPTO_BUFFER>);

impl Buffers {
    fn of(chain: &[X509]) -> Result<Buffers, String> {
        let mut buffers = Buffers(Vec::with_capacity(chain.len()));
        for certificate in chain {
            let der = certificate
                .to_der()
                .map_err(|e| format!("a certificate of the chain cannot be used: {e}"))?;
            // SAFETY: the bytes are copied.
            let buffer =
                unsafe { boring_sys::CRYPTO_BUFFER_new(der.as_ptr(), der.len(), ptr::null_mut()) };
            if buffer.is_null() {
                return Err("there is no memory".to_string());
            }
            buffers.0.push(buffer);
        }
        Ok(buffers)
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        for buffer in &self.0 {
            // SAFETY: each was made above and is freed once.
            unsafe { boring_sys::CRYPTO_BUFFER_free(*buffer) }
        }
    }
}

fn finish(tls: TlsBuilder, version: u32) -> Result<quiche::Config, String> {
    let TlsBuilder { identities, client_ca_pem, ticket_keys, keylog, early_data } = tls;
    let rules = Rules { client_ca_pem, ticket_keys, early_data };
    let first_set = default_set(&identities)?;
    let mut first = rules.context(&identities, &first_set)?;

    let mut by_set: HashMap<Vec<usize>, SslContext> = HashMap::new();
    let mut by_name: HashMap<String, SslContext> = HashMap::new();
    let mut own_names: BTreeSet<String> = BTreeSet::new();
    for name in identities.iter().flat_map(|identity| &identity.names) {
        let set = one_of_each_kind(&identities, |identity| identity.names.contains(name));
        if set == first_set {
            own_names.insert(name.clone());
        } else if !by_name.contains_key(name) {
            if !by_set.contains_key(&set) {
                by_set.insert(set.clone(), rules.context(&identities, &set)?.build());
            }
            by_name.insert(name.clone(), by_set[&set].clone());
        }
    }
    let first_context = first.as_ptr();
    if !by_name.is_empty() {
        first.set_servername_callback(move |ssl, _| {
            let Some(name) = ssl.servername(NameType::HOST_NAME) else {
                return Ok(());
            };
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if own_names.contains(&name) {
                return Ok(());
            }
            match lookup(&by_name, &own_names, &name) {
                Some(context) => ssl.set_ssl_context(context).map_err(|_| SniError::ALERT_FATAL),
                None => Ok(()),
            }
        });
    }
    let mut config = quiche::Config::with_boring_ssl_ctx_builder(version, first)
        .map_err(|e| format!("quiche refuses the TLS context: {e}"))?;
    if keylog {
        config.log_keys();
        // quiche sets its callback on its own context, and SNI may choose another before the secrets are made.
        for context in by_set.values() {
            // Both live: the first is quiche's.
            unsafe {
                let callback = SSL_CTX_get_keylog_callback(first_context.cast());
                SSL_CTX_set_keylog_callback(context.as_ptr().cast(), callback);
            }
        }
    }
    Ok(config)
}

/// Of those that `is_wanted`, the first with each kind of key, in the order in which TLS looks at them.
fn one_of_each_kind(identities: &[Identity], is_wanted: impl Fn(&Identity) -> bool) -> Vec<usize> {
    let mut set: Vec<usize> = Vec::new();
    for (i, identity) in identities.iter().enumerate() {
        let kind = identity.credential.kind;
        if is_wanted(identity) && set.iter().all(|&j| identities[j].credential.kind != kind) {
            set.push(i);
        }
    }
    set.sort_by_key(|&i| identities[i].credential.rank());
    set
}

/// For clients that name nobody, or nobody that we know: the first, and what stands beside it under its names.
fn default_set(identities: &[Identity]) -> Result<Vec<usize>, String> {
    let first = identities.first().ok_or_else(|| "no certificate was added".to_string())?;
    Ok(one_of_each_kind(identities, |identity| {
        let has_its_names = !first.names.is_empty() && identity.names.is_superset(&first.names);
        ptr::eq(identity, first) || has_its_names || (first.names.is_empty() && identity.names.is_empty())
    }))
}

type KeylogCallback = Option<unsafe extern "C" fn(ssl: *const c_void, line: *const c_char)>;

extern "C" {
    fn SSL_CTX_get_keylog_callback(context: *const c_void) -> KeylogCallback;
    fn SSL_CTX_set_keylog_callback(context: *mut c_void, callback: KeylogCallback);
}

/// What all contexts have in common, whichever of them SNI chooses.
struct Rules {
    client_ca_pem: Option<(Vec<u8>, bool)>,
    ticket_keys: Option<TicketKeys>,
    early_data: bool,
}

impl Rules {
    /// A context with these identities.
    fn context(&self, identities: &[Identity], set: &[usize]) -> Result<SslContextBuilder, String> {
        let mut context = SslContextBuilder::new(SslMethod::tls()).map_err(|e| e.to_string())?;
        context
            .set_min_proto_version(Some(SslVersion::TLS1_3))
            .map_err(|e| e.to_string())?;
        for &i in set {
            // SAFETY: both live; the context takes a reference.
            let added = unsafe {
                boring_sys::SSL_CTX_add1_credential(context.as_ptr(), identities[i].credential.at)
            };
            if added != 1 {
                return Err(boring::error::ErrorStack::get().to_string());
            }
        }
        // quiche sets its own callback on the first context only; SNI switches contexts before ALPN is chosen.
        context.set_alpn_select_callback(|_, offered| {
            boring::ssl::select_next_proto(ALPN_H3, offered).ok_or(AlpnError::ALERT_FATAL)
        });
        // quiche says it to the first context only, and a connection takes it from the one that SNI chooses.
        // SAFETY: the context lives.
        unsafe {
            boring_sys::SSL_CTX_set_early_data_enabled(context.as_ptr(), self.early_data.into());
        }
        let client_ca = self.client_ca_pem.as_ref().map(|(pem, required)| (&pem[..], *required));
        let names = set.iter().flat_map(|&i| &identities[i].names).collect();
        context
            .set_session_id_context(&session_context(client_ca, &names))
            .map_err(|e| e.to_string())?;
        if let Some(keys) = &self.ticket_keys {
            keys.install(&mut context);
        }
        if let Some((pem, required)) = client_ca {
            verify_clients(&mut context, pem, required)?;
        }
        Ok(context)
    }
}

/// The exact name, else the wildcard one label up (RFC 6125 6.4.3: `*` stands for one whole label). None: the first context's.
fn lookup<'a>(
    by_name: &'a HashMap<String, SslContext>, own_names: &BTreeSet<String>, name: &str,
) -> Option<&'a SslContext> {
    by_name.get(name).or_else(|| {
        let wildcard = format!("*.{}", name.split_once('.')?.1);
        if own_names.contains(&wildcard) { None } else { by_name.get(&wildcard) }
    })
}

fn verify_clients(
    context: &mut SslContextBuilder, pem: &[u8], required: bool,
) -> Result<(), String> {
    let mut store = X509StoreBuilder::new().map_err(|e| e.to_string())?;
    // Whatever stands in the file is trusted, also an authority that another one has signed.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN);
    for authority in X509::stack_from_pem(pem).map_err(|e| e.to_string())? {
        context.add_client_ca(&authority).map_err(|e| e.to_string())?;
        store.add_cert(authority).map_err(|e| e.to_string())?;
    }
    context.set_cert_store_builder(store);
    let mut mode = SslVerifyMode::PEER;
    if required {
        mode |= SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    }
    context.set_verify(mode);
    Ok(())
}

unsafe fn bytes<'a>(at: *const u8, len: size_t) -> &'a [u8] {
    if at.is_null() || len == 0 {
        &[]
    } else {
        slice::from_raw_parts(at, len)
    }
}

/// Writes `reason`, cut to fit and NUL-terminated, and returns its length negated (-1 where nothing fits).
unsafe fn refuse(reason: &str, why: *mut u8, why_len: size_t) -> c_int {
    if why.is_null() || why_len == 0 {
        return -1;
    }
    let out = slice::from_raw_parts_mut(why, why_len);
    let len = reason.len().min(why_len - 1);
    out[..len].copy_from_slice(&reason.as_bytes()[..len]);
    out[len] = 0;
    -(len.max(1) as c_int)
}
