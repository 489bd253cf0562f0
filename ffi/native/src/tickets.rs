//! Session tickets under keys that several processes share. Without this, BoringSSL makes keys of its own in every context, and a client resumes
//! only with the worker that it happened to be with before.
//!
//! A ticket is what RFC 5077 4 recommends: name of the key, initialisation vector, the session encrypted with AES-128-CBC, HMAC-SHA256 over all
//! of it. The first key makes tickets; those of the others are taken, so that keys can change one process after the other.

use boring::hash::MessageDigest;
use boring::hmac::HmacCtxRef;
use boring::rand::rand_bytes;
use boring::sha::Sha256;
use boring::ssl::{SslContextBuilder, TicketKeyCallbackResult};
use boring::symm::{Cipher, CipherCtxRef};
use std::collections::BTreeSet;
use std::sync::Arc;

const PART_BYTES: usize = 16;
/// As `SSL_CTX_set_tlsext_ticket_keys` takes them: name, HMAC key, AES key.
const KEY_BYTES: usize = 3 * PART_BYTES;
const PURPOSE: &[u8] = b"spooky http3 ";

type Part = [u8; PART_BYTES];

struct TicketKey {
    name: Part,
    hmac: Part,
    aes: Part,
}

/// The keys of a process.
#[derive(Clone)]
pub struct TicketKeys(Arc<[TicketKey]>);

impl TicketKeys {
    /// Of keys of 48 bytes, one behind the other; none when there is no key or a piece of one.
    pub fn parse(bytes: &[u8]) -> Option<TicketKeys> {
        let (keys, []) = bytes.as_chunks::<KEY_BYTES>() else {
            return None;
        };
        let keys = keys.iter().map(|key| TicketKey {
            name: part(key, 0),
            hmac: part(key, PART_BYTES),
            aes: part(key, 2 * PART_BYTES),
        });
        let keys: Arc<[TicketKey]> = keys.collect();
        (!keys.is_empty()).then_some(TicketKeys(keys))
    }

    /// Makes a context use them. All contexts that SNI may switch between need them: the callback finds its keys by the one in use then.
    pub fn install(&self, context: &mut SslContextBuilder) {
        let keys = self.clone();
        // SAFETY: name, vector and both contexts are set whenever a ticket is made, and both contexts when one is opened.
        unsafe {
            context.set_ticket_key_callback(move |_, name, iv, cipher, hmac, is_new| {
                if is_new {
                    keys.seal(name, iv, cipher, hmac)
                } else {
                    keys.open(name, iv, cipher, hmac)
                }
            });
        }
    }

    fn seal(
        &self, name: &mut Part, iv: &mut Part, cipher: &mut CipherCtxRef, hmac: &mut HmacCtxRef,
    ) -> TicketKeyCallbackResult {
        let key = &self.0[0];
        *name = key.name;
        let ready = rand_bytes(iv)
            .and_then(|()| cipher.init_encrypt(&Cipher::aes_128_cbc(), &key.aes, iv))
            .and_then(|()| hmac.init(&key.hmac, &MessageDigest::sha256()));
        // Without a ticket the client does a whole handshake next time.
        ready.map_or(TicketKeyCallbackResult::Noop, |()| TicketKeyCallbackResult::Success)
    }

    fn open(
        &self, name: &Part, iv: &Part, cipher: &mut CipherCtxRef, hmac: &mut HmacCtxRef,
    ) -> TicketKeyCallbackResult {
        let Some(at) = self.0.iter().position(|key| key.name == *name) else {
            return TicketKeyCallbackResult::Noop;
        };
        let key = &self.0[at];
        let ready = cipher
            .init_decrypt(&Cipher::aes_128_cbc(), &key.aes, iv)
            .and_then(|()| hmac.init(&key.hmac, &MessageDigest::sha256()));
        match ready {
            Err(_) => TicketKeyCallbackResult::Noop,
            Ok(()) if at == 0 => TicketKeyCallbackResult::Success,
            Ok(()) => TicketKeyCallbackResult::DecryptSuccessRenew,
        }
    }
}

/// What a session must have been made under to be resumed: a client that was let in without a certificate is not, once one is asked for,
/// nor is one that was let in under other authorities, or that has verified another server than the one which it names now. A certificate
/// that is followed by another one for the same names keeps its sessions.
pub fn session_context(client_ca: Option<(&[u8], bool)>, names: &BTreeSet<&String>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(PURPOSE);
    for name in names {
        hash.update(name.as_bytes());
        hash.update(b"\n");
    }
    if let Some((pem, required)) = client_ca {
        hash.update(&[0, u8::from(required)]);
        hash.update(pem);
    }
    hash.finish()
}

fn part(key: &[u8; KEY_BYTES], at: usize) -> Part {
    std::array::from_fn(|i| key[at + i])
}
