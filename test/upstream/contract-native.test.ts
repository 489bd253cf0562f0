/** The contract of transports, held to native transports: every case over HTTP/1.1 and HTTP/2, in clear and over TLS. */
import { holdToContract } from "./contract.ts";

await holdToContract("native", ["http1", "https1", "h2c", "h2"]);
