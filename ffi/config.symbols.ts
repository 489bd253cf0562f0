/** The part of `quiche.symbols.ts` that makes configurations. */
import type { CTable } from "./abi.ts";

/** quiche's configuration functions, each beside its declaration. */
export const CONFIG = {
  quiche_version: { c: "const char *quiche_version(void)", args: [], returns: "pointer" },
  quiche_config_new: { c: "quiche_config *quiche_config_new(uint32_t version)", args: ["u32"], returns: "pointer" },
  quiche_config_free: { c: "void quiche_config_free(quiche_config *config)", args: ["pointer"], returns: "void" },
  quiche_config_verify_peer: {
    c: "void quiche_config_verify_peer(quiche_config *config, bool v)",
    args: ["pointer", "bool"],
    returns: "void",
  },
  quiche_config_grease: {
    c: "void quiche_config_grease(quiche_config *config, bool v)",
    args: ["pointer", "bool"],
    returns: "void",
  },
  quiche_config_set_application_protos: {
    c: "int quiche_config_set_application_protos(quiche_config *config, const uint8_t *protos, size_t protos_len)",
    args: ["pointer", "buffer", "usize"],
    returns: "i32",
  },
  quiche_config_set_max_idle_timeout: {
    c: "void quiche_config_set_max_idle_timeout(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_max_recv_udp_payload_size: {
    c: "void quiche_config_set_max_recv_udp_payload_size(quiche_config *config, size_t v)",
    args: ["pointer", "usize"],
    returns: "void",
  },
  quiche_config_set_max_send_udp_payload_size: {
    c: "void quiche_config_set_max_send_udp_payload_size(quiche_config *config, size_t v)",
    args: ["pointer", "usize"],
    returns: "void",
  },
  quiche_config_discover_pmtu: {
    c: "void quiche_config_discover_pmtu(quiche_config *config, bool v)",
    args: ["pointer", "bool"],
    returns: "void",
  },
  quiche_config_set_initial_max_data: {
    c: "void quiche_config_set_initial_max_data(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_initial_max_stream_data_bidi_local: {
    c: "void quiche_config_set_initial_max_stream_data_bidi_local(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_initial_max_stream_data_bidi_remote: {
    c: "void quiche_config_set_initial_max_stream_data_bidi_remote(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_initial_max_stream_data_uni: {
    c: "void quiche_config_set_initial_max_stream_data_uni(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_initial_max_streams_bidi: {
    c: "void quiche_config_set_initial_max_streams_bidi(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_initial_max_streams_uni: {
    c: "void quiche_config_set_initial_max_streams_uni(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_cc_algorithm_name: {
    c: "int quiche_config_set_cc_algorithm_name(quiche_config *config, const char *algo)",
    args: ["pointer", "buffer"],
    returns: "i32",
  },
  quiche_config_set_initial_congestion_window_packets: {
    c: "void quiche_config_set_initial_congestion_window_packets(quiche_config *config, size_t packets)",
    args: ["pointer", "usize"],
    returns: "void",
  },
  quiche_config_enable_pacing: {
    c: "void quiche_config_enable_pacing(quiche_config *config, bool v)",
    args: ["pointer", "bool"],
    returns: "void",
  },
  quiche_config_set_max_connection_window: {
    c: "void quiche_config_set_max_connection_window(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_max_stream_window: {
    c: "void quiche_config_set_max_stream_window(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_active_connection_id_limit: {
    c: "void quiche_config_set_active_connection_id_limit(quiche_config *config, uint64_t v)",
    args: ["pointer", "u64"],
    returns: "void",
  },
  quiche_config_set_stateless_reset_token: {
    c: "void quiche_config_set_stateless_reset_token(quiche_config *config, const uint8_t *v)",
    args: ["pointer", "pointer"],
    returns: "void",
  },
} as const satisfies CTable;
