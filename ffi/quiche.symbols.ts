/**
 * Every function of quiche that we call, each beside its declaration. `test/ffi/abi.test.ts` compares it with `quiche.h`: presence, count, width and signedness of arguments, and the result.
 */
import type { CTable } from "./abi.ts";
import { CONFIG } from "./config.symbols.ts";

const CONNECTION = {
  quiche_accept: {
    c: "quiche_conn *quiche_accept(const uint8_t *scid, size_t scid_len, const uint8_t *odcid, size_t odcid_len, const struct sockaddr *local, socklen_t local_len, const struct sockaddr *peer, socklen_t peer_len, quiche_config *config)",
    args: ["pointer", "usize", "pointer", "usize", "pointer", "u32", "pointer", "u32", "pointer"],
    returns: "pointer",
  },
  quiche_connect: {
    c: "quiche_conn *quiche_connect(const char *server_name, const uint8_t *scid, size_t scid_len, const struct sockaddr *local, socklen_t local_len, const struct sockaddr *peer, socklen_t peer_len, quiche_config *config)",
    args: ["buffer", "pointer", "usize", "pointer", "u32", "pointer", "u32", "pointer"],
    returns: "pointer",
  },
  quiche_negotiate_version: {
    c: "ssize_t quiche_negotiate_version(const uint8_t *scid, size_t scid_len, const uint8_t *dcid, size_t dcid_len, uint8_t *out, size_t out_len)",
    args: ["pointer", "usize", "pointer", "usize", "pointer", "usize"],
    returns: "isize",
  },
  quiche_retry: {
    c: "ssize_t quiche_retry(const uint8_t *scid, size_t scid_len, const uint8_t *dcid, size_t dcid_len, const uint8_t *new_scid, size_t new_scid_len, const uint8_t *token, size_t token_len, uint32_t version, uint8_t *out, size_t out_len)",
    args: ["pointer", "usize", "pointer", "usize", "buffer", "usize", "buffer", "usize", "u32", "pointer", "usize"],
    returns: "isize",
  },
  quiche_conn_free: { c: "void quiche_conn_free(quiche_conn *conn)", args: ["pointer"], returns: "void" },
  quiche_conn_recv: {
    c: "ssize_t quiche_conn_recv(quiche_conn *conn, uint8_t *buf, size_t buf_len, const quiche_recv_info *info)",
    args: ["pointer", "pointer", "usize", "pointer"],
    returns: "isize",
  },
  quiche_conn_send: {
    c: "ssize_t quiche_conn_send(quiche_conn *conn, uint8_t *out, size_t out_len, quiche_send_info *out_info)",
    args: ["pointer", "pointer", "usize", "pointer"],
    returns: "isize",
  },
  quiche_conn_timeout_as_millis: {
    c: "uint64_t quiche_conn_timeout_as_millis(const quiche_conn *conn)",
    args: ["pointer"],
    returns: "u64",
  },
  quiche_conn_on_timeout: { c: "void quiche_conn_on_timeout(quiche_conn *conn)", args: ["pointer"], returns: "void" },
  quiche_conn_close: {
    c: "int quiche_conn_close(quiche_conn *conn, bool app, uint64_t err, const uint8_t *reason, size_t reason_len)",
    args: ["pointer", "bool", "u64", "pointer", "usize"],
    returns: "i32",
  },
  quiche_conn_is_established: {
    c: "bool quiche_conn_is_established(const quiche_conn *conn)",
    args: ["pointer"],
    returns: "bool",
  },
  quiche_conn_is_resumed: {
    c: "bool quiche_conn_is_resumed(const quiche_conn *conn)",
    args: ["pointer"],
    returns: "bool",
  },
  quiche_conn_is_in_early_data: {
    c: "bool quiche_conn_is_in_early_data(const quiche_conn *conn)",
    args: ["pointer"],
    returns: "bool",
  },
  quiche_conn_is_draining: {
    c: "bool quiche_conn_is_draining(const quiche_conn *conn)",
    args: ["pointer"],
    returns: "bool",
  },
  quiche_conn_is_closed: {
    c: "bool quiche_conn_is_closed(const quiche_conn *conn)",
    args: ["pointer"],
    returns: "bool",
  },
  quiche_conn_is_timed_out: {
    c: "bool quiche_conn_is_timed_out(const quiche_conn *conn)",
    args: ["pointer"],
    returns: "bool",
  },
  quiche_conn_peer_error: {
    c: "bool quiche_conn_peer_error(const quiche_conn *conn, bool *is_app, uint64_t *error_code, const uint8_t **reason, size_t *reason_len)",
    args: ["pointer", "pointer", "pointer", "pointer", "pointer"],
    returns: "bool",
  },
  quiche_conn_local_error: {
    c: "bool quiche_conn_local_error(const quiche_conn *conn, bool *is_app, uint64_t *error_code, const uint8_t **reason, size_t *reason_len)",
    args: ["pointer", "pointer", "pointer", "pointer", "pointer"],
    returns: "bool",
  },
  quiche_conn_peer_cert: {
    c: "void quiche_conn_peer_cert(const quiche_conn *conn, const uint8_t **out, size_t *out_len)",
    args: ["pointer", "pointer", "pointer"],
    returns: "void",
  },
  quiche_conn_server_name: {
    c: "void quiche_conn_server_name(const quiche_conn *conn, const uint8_t **out, size_t *out_len)",
    args: ["pointer", "pointer", "pointer"],
    returns: "void",
  },
  quiche_conn_stats: {
    c: "void quiche_conn_stats(const quiche_conn *conn, quiche_stats *out)",
    args: ["pointer", "pointer"],
    returns: "void",
  },
  quiche_conn_scids_left: {
    c: "size_t quiche_conn_scids_left(quiche_conn *conn)",
    args: ["pointer"],
    returns: "usize",
  },
  quiche_conn_new_scid: {
    c: "int quiche_conn_new_scid(quiche_conn *conn, const uint8_t *scid, size_t scid_len, const uint8_t *reset_token, bool retire_if_needed, uint64_t *scid_seq)",
    args: ["pointer", "pointer", "usize", "pointer", "bool", "pointer"],
    returns: "i32",
  },
  quiche_conn_migrate_source: {
    c: "int quiche_conn_migrate_source(quiche_conn *conn, const struct sockaddr *local, socklen_t local_len, uint64_t *seq)",
    args: ["pointer", "pointer", "u32", "pointer"],
    returns: "i32",
  },
  quiche_conn_retire_dcid: {
    c: "int quiche_conn_retire_dcid(quiche_conn *conn, uint64_t dcid_seq)",
    args: ["pointer", "u64"],
    returns: "i32",
  },
  quiche_conn_path_stats: {
    c: "int quiche_conn_path_stats(const quiche_conn *conn, size_t idx, quiche_path_stats *out)",
    args: ["pointer", "usize", "pointer"],
    returns: "i32",
  },
  quiche_conn_path_event_next: {
    c: "quiche_path_event *quiche_conn_path_event_next(quiche_conn *conn)",
    args: ["pointer"],
    returns: "pointer",
  },
  quiche_path_event_type: {
    c: "enum quiche_path_event_type quiche_path_event_type(const quiche_path_event *ev)",
    args: ["pointer"],
    returns: "i32",
  },
  quiche_path_event_free: {
    c: "void quiche_path_event_free(quiche_path_event *ev)",
    args: ["pointer"],
    returns: "void",
  },
  quiche_conn_retired_scids: {
    c: "size_t quiche_conn_retired_scids(const quiche_conn *conn)",
    args: ["pointer"],
    returns: "usize",
  },
  quiche_conn_retired_scid_iter: {
    c: "quiche_connection_id_iter *quiche_conn_retired_scid_iter(quiche_conn *conn)",
    args: ["pointer"],
    returns: "pointer",
  },
  quiche_connection_id_iter_next: {
    c: "bool quiche_connection_id_iter_next(quiche_connection_id_iter *iter, const uint8_t **out, size_t *out_len)",
    args: ["pointer", "pointer", "pointer"],
    returns: "bool",
  },
  quiche_connection_id_iter_free: {
    c: "void quiche_connection_id_iter_free(quiche_connection_id_iter *iter)",
    args: ["pointer"],
    returns: "void",
  },
} as const satisfies CTable;

const STREAM = {
  quiche_conn_stream_shutdown: {
    c: "int quiche_conn_stream_shutdown(quiche_conn *conn, uint64_t stream_id, enum quiche_shutdown direction, uint64_t err)",
    args: ["pointer", "u64", "i32", "u64"],
    returns: "i32",
  },
  quiche_conn_stream_capacity: {
    c: "ssize_t quiche_conn_stream_capacity(quiche_conn *conn, uint64_t stream_id)",
    args: ["pointer", "u64"],
    returns: "isize",
  },
  quiche_conn_stream_writable: {
    c: "int quiche_conn_stream_writable(quiche_conn *conn, uint64_t stream_id, size_t len)",
    args: ["pointer", "u64", "usize"],
    returns: "i32",
  },
  quiche_conn_stream_recv: {
    c: "ssize_t quiche_conn_stream_recv(quiche_conn *conn, uint64_t stream_id, uint8_t *out, size_t buf_len, bool *fin, uint64_t *out_error_code)",
    args: ["pointer", "u64", "pointer", "usize", "pointer", "pointer"],
    returns: "isize",
  },
  quiche_conn_stream_send: {
    c: "ssize_t quiche_conn_stream_send(quiche_conn *conn, uint64_t stream_id, const uint8_t *buf, size_t buf_len, bool fin, uint64_t *out_error_code)",
    args: ["pointer", "u64", "buffer", "usize", "bool", "pointer"],
    returns: "isize",
  },
  quiche_conn_send_ack_eliciting: {
    c: "ssize_t quiche_conn_send_ack_eliciting(quiche_conn *conn)",
    args: ["pointer"],
    returns: "isize",
  },
  quiche_conn_stream_readable: {
    c: "bool quiche_conn_stream_readable(const quiche_conn *conn, uint64_t stream_id)",
    args: ["pointer", "u64"],
    returns: "bool",
  },
  quiche_conn_stream_finished: {
    c: "bool quiche_conn_stream_finished(const quiche_conn *conn, uint64_t stream_id)",
    args: ["pointer", "u64"],
    returns: "bool",
  },
} as const satisfies CTable;

const H3 = {
  quiche_h3_config_new: { c: "quiche_h3_config *quiche_h3_config_new(void)", args: [], returns: "pointer" },
  quiche_h3_config_free: {
    c: "void quiche_h3_config_free(quiche_h3_config *config)",
    args: ["pointer"],
    returns: "void",
  },
  quiche_h3_config_set_max_field_section_size: {
    c: "void quiche_h3_config_set_max_field_section_size(quiche_h3_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_h3_conn_new_with_transport: {
    c: "quiche_h3_conn *quiche_h3_conn_new_with_transport(quiche_conn *quiche_conn, quiche_h3_config *config)",
    args: ["pointer", "pointer"],
    returns: "pointer",
  },
  quiche_h3_conn_free: { c: "void quiche_h3_conn_free(quiche_h3_conn *conn)", args: ["pointer"], returns: "void" },
  quiche_h3_send_body: {
    c: "ssize_t quiche_h3_send_body(quiche_h3_conn *conn, quiche_conn *quic_conn, uint64_t stream_id, const uint8_t *body, size_t body_len, bool fin)",
    args: ["pointer", "pointer", "u64", "pointer", "usize", "bool"],
    returns: "isize",
  },
  quiche_h3_recv_body: {
    c: "ssize_t quiche_h3_recv_body(quiche_h3_conn *conn, quiche_conn *quic_conn, uint64_t stream_id, uint8_t *out, size_t out_len)",
    args: ["pointer", "pointer", "u64", "pointer", "usize"],
    returns: "isize",
  },
  quiche_h3_send_goaway: {
    c: "int quiche_h3_send_goaway(quiche_h3_conn *conn, quiche_conn *quic_conn, uint64_t id)",
    args: ["pointer", "pointer", "u64"],
    returns: "i32",
  },
} as const satisfies CTable;

/** quiche's functions that we call. */
export const QUICHE_SYMBOLS = { ...CONFIG, ...CONNECTION, ...STREAM, ...H3 } as const satisfies CTable;
