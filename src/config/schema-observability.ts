/** The keys of what a running program shows of itself: its metrics, and whether it lives and may be sent clients. */
import { LIMITS } from "../core/limits.ts";
import type { Shape } from "./shape.ts";
import { flag, integer, map, milliseconds, standardText } from "./words.ts";

const CONNECTIONS_MAX: Partial<Shape> & { description: string } = {
  unit: "connections",
  description: "Connections to it at once; for a further one that which was silent longest is closed.",
};

/** `observability`. */
export const ObservabilitySchema = map(
  {
    metrics: map(
      {
        enabled: flag(true, "Are metrics given out?"),
        required: flag(
          true,
          "Does the program end when their port is taken? `false`: it serves without them and says so.",
        ),
        address: standardText("ip", "127.0.0.1", "Address to listen on."),
        port: integer([0, 65535], 9090, { description: "TCP port. With 0 the system chooses one." }),
        path: standardText("door-path", "/metrics", "Path that they are at."),
        max_connections: integer([1, LIMITS.doorConnectionsMax], 64, CONNECTIONS_MAX),
        connection_timeout_ms: milliseconds(
          30_000,
          "How long a request may take to be whole, and an answer to be taken; then the connection is closed.",
        ),
      },
      {
        default: {},
        description: "Metrics in the text form of Prometheus and OpenMetrics, over HTTP/1.1 without TLS.",
      },
    ),
    health: map(
      {
        enabled: flag(true, "Is the program's health given out?"),
        required: flag(true, "Does the program end when its port is taken? `false`: it serves without it and says so."),
        address: standardText("ip", "0.0.0.0", "Address to listen on."),
        port: integer([0, 65535], 8080, { description: "TCP port. With 0 the system chooses one." }),
        health_path: standardText("door-path", "/health", "Path that answers 200 while the program lives."),
        ready_path: standardText(
          "door-path",
          "/ready",
          "Path that answers 200 while it may be sent clients, and 503 with the reasons while it may not.",
        ),
        max_connections: integer([1, LIMITS.doorConnectionsMax], 64, CONNECTIONS_MAX),
        connection_timeout_ms: milliseconds(
          30_000,
          "How long a request may take to be whole, and an answer to be taken; then the connection is closed.",
        ),
      },
      { default: {}, description: "Does the program live, and may it be sent clients? Over HTTP/1.1 without TLS." },
    ),
  },
  { default: {}, description: "What a running program shows of itself." },
);
