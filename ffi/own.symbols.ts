/** Our own functions in the native library, each beside its declaration in `ffi/native/src`. */
import type { CTable } from "./abi.ts";

/** Our own functions (`ffi/native/src`). */
export const OWN_SYMBOLS = {
  spooky_abi_version: { c: "uint32_t spooky_abi_version(void)", args: [], returns: "u32" },
  spooky_build_hash: { c: "const char *spooky_build_hash(void)", args: [], returns: "pointer" },
  spooky_accept_retry: {
    c: "quiche_conn *spooky_accept_retry(const uint8_t *scid, size_t scid_len, const uint8_t *odcid, size_t odcid_len, const uint8_t *retry_scid, size_t retry_scid_len, const struct sockaddr *local, socklen_t local_len, const struct sockaddr *peer, socklen_t peer_len, quiche_config *config)",
    args: ["pointer", "usize", "buffer", "usize", "buffer", "usize", "pointer", "u32", "pointer", "u32", "pointer"],
    returns: "pointer",
  },
  spooky_conn_counts: {
    c: "void spooky_conn_counts(const quiche_conn *conn, uint64_t *out)",
    args: ["pointer", "pointer"],
    returns: "void",
  },
  spooky_conn_open_streams: {
    c: "size_t spooky_conn_open_streams(quiche_conn *conn, uint64_t first, size_t count, uint64_t *out, size_t out_len)",
    args: ["pointer", "u64", "usize", "pointer", "usize"],
    returns: "usize",
  },
  spooky_conn_set_early_context: {
    c: "int spooky_conn_set_early_context(quiche_conn *conn, const uint8_t *context, size_t context_len)",
    args: ["pointer", "buffer", "usize"],
    returns: "i32",
  },
  spooky_conn_early_facts: {
    c: "void spooky_conn_early_facts(quiche_conn *conn, uint8_t *out)",
    args: ["pointer", "pointer"],
    returns: "void",
  },
  spooky_conn_pace: {
    c: "bool spooky_conn_pace(const quiche_conn *conn, uint64_t *out)",
    args: ["pointer", "pointer"],
    returns: "bool",
  },
  spooky_conn_peer_chain: {
    c: "int64_t spooky_conn_peer_chain(const quiche_conn *conn, uint8_t *out, size_t out_len)",
    args: ["pointer", "pointer", "usize"],
    returns: "i64",
  },
  spooky_conn_set_keylog: {
    c: "void spooky_conn_set_keylog(quiche_conn *conn, int fd)",
    args: ["pointer", "i32"],
    returns: "void",
  },
  spooky_conn_set_qlog: {
    c: "void spooky_conn_set_qlog(quiche_conn *conn, int fd, uint64_t bytes_max)",
    args: ["pointer", "i32", "u64"],
    returns: "void",
  },
  spooky_watch_budget: { c: "void spooky_watch_budget(int64_t bytes)", args: ["i64"], returns: "void" },
  spooky_watch_counts: { c: "void spooky_watch_counts(uint64_t *out)", args: ["pointer"], returns: "void" },
  spooky_h3_poll: {
    c: "int64_t spooky_h3_poll(quiche_h3_conn *h3, quiche_conn *conn, uint8_t *out, size_t out_len, uint32_t *facts)",
    args: ["pointer", "pointer", "pointer", "usize", "pointer"],
    returns: "i64",
  },
  spooky_h3_send_fields: {
    c: "int64_t spooky_h3_send_fields(quiche_h3_conn *h3, quiche_conn *conn, uint64_t stream_id, const uint8_t *section, size_t section_len, int kind, bool fin)",
    args: ["pointer", "pointer", "u64", "buffer", "usize", "i32", "bool"],
    returns: "i64",
  },
  spooky_tls_new: { c: "spooky_tls *spooky_tls_new(void)", args: [], returns: "pointer" },
  spooky_tls_add_identity: {
    c: "int spooky_tls_add_identity(spooky_tls *tls, const uint8_t *names, size_t names_len, const uint8_t *chain_pem, size_t chain_pem_len, const uint8_t *key_pem, size_t key_pem_len, uint8_t *why, size_t why_len)",
    args: ["pointer", "buffer", "usize", "buffer", "usize", "buffer", "usize", "pointer", "usize"],
    returns: "i32",
  },
  spooky_tls_client_ca: {
    c: "int spooky_tls_client_ca(spooky_tls *tls, const uint8_t *pem, size_t pem_len, bool required, uint8_t *why, size_t why_len)",
    args: ["pointer", "buffer", "usize", "bool", "pointer", "usize"],
    returns: "i32",
  },
  spooky_tls_ticket_keys: {
    c: "int spooky_tls_ticket_keys(spooky_tls *tls, const uint8_t *keys, size_t keys_len)",
    args: ["pointer", "buffer", "usize"],
    returns: "i32",
  },
  spooky_tls_keylog: { c: "void spooky_tls_keylog(spooky_tls *tls)", args: ["pointer"], returns: "void" },
  spooky_tls_early_data: { c: "void spooky_tls_early_data(spooky_tls *tls)", args: ["pointer"], returns: "void" },
  spooky_tls_finish: {
    c: "quiche_config *spooky_tls_finish(spooky_tls *tls, uint32_t version, uint8_t *why, size_t why_len)",
    args: ["pointer", "u32", "pointer", "usize"],
    returns: "pointer",
  },
  spooky_tls_free: { c: "void spooky_tls_free(spooky_tls *tls)", args: ["pointer"], returns: "void" },
  spooky_waker_new: {
    c: "spooky_waker *spooky_waker_new(const int *fds, size_t fds_len, int out_fd)",
    args: ["pointer", "usize", "i32"],
    returns: "pointer",
  },
  spooky_waker_arm: {
    c: "int spooky_waker_arm(spooky_waker *waker, uint32_t mask)",
    args: ["pointer", "u32"],
    returns: "i32",
  },
  spooky_waker_free: { c: "void spooky_waker_free(spooky_waker *waker)", args: ["pointer"], returns: "void" },
} as const satisfies CTable;
