/**
 * Every maximum of the program that is not configuration, with its reason. `docs/limits.md` is generated from this file's
 * comments; a limit that is reached is counted and has a defined answer.
 */

/** The limits. Names end in their unit and then `Max`. */
export const LIMITS = {
  /** Datagrams taken from one socket in one turn: 64 measured as good as 256 and better than 16. */
  datagramsPerTurnMax: 64,
  /** Room for one received datagram, bytes; more than this is no QUIC packet for us (we announce 1,472) and is dropped. */
  datagramBytesMax: 2048,
  /** Largest UDP payload we announce to take (`max_udp_payload_size`), bytes: 1,500 less IPv4 and UDP headers. */
  receivePayloadBytesMax: 1472,
  /** Room for a datagram that we send, bytes: the most that `quic_max_udp_payload_bytes` allows, 1,500 less IPv4 and UDP headers. */
  sendDatagramBytesMax: 1472,
  /**
   * Addresses that one client may come from while its connection lives. quiche keeps a path for each, forgets none that may still be used,
   * and drops what comes from one more (0.30). We announce as many ids (`active_connection_id_limit`), which is where quiche takes it from.
   */
  pathsPerConnectionMax: 64,
  /** Addresses after which a connection takes no further requests: its client opens another long before it would not be heard any more. */
  pathsBeforeDrainMax: 48,
  /** Packets one connection may send in one turn before others have theirs: 64 is one full GSO message. */
  packetsPerConnectionTurnMax: 64,
  /** Bytes collected for sending in one turn. */
  sendArenaBytesMax: 4 * 1024 * 1024,
  /** Messages handed to one sendmmsg call. */
  messagesPerSendMax: 256,
  /** HTTP/3 events handled for one connection in one turn. */
  eventsPerConnectionTurnMax: 256,
  /** How long the process sleeps outside the runtime's loop, whose timers are late by as much, milliseconds. */
  sleepMsMax: 4,
  /** How long a flush that would carry only acknowledgements waits for an answer to go with it, milliseconds. */
  heldFlushMsMax: 2,
  /** Datagrams a connection may have received since its last flush before the flush is no longer held. */
  heldDatagramsMax: 16,
  /** Connections refused with an answer (CONNECTION_REFUSED), at once; the first packets of further ones are dropped. */
  refusalsAtOnceMax: 200,
  /** And each second beyond that: an answer costs 5 us (`bench/micro/refusal.ts`), and forged senders must not make us talk to strangers. */
  refusalsPerSecond: 1000,
  /** Retries at once: what a full receive buffer of 8 MiB brings of first packets. */
  retriesAtOnceMax: 6000,
  /** And each second beyond that: one costs 4 us (`bench/micro/retry.ts`), so that this is a part of a core and not all of it. */
  retriesPerSecond: 30_000,
  /** How long a Retry's token lives, milliseconds: a client answers at once, and again for as long as it hears nothing. */
  retryTokenMsMax: 10_000,
  /** First flights with early data that one process remembers, to know them again within some 20 seconds; 12 bytes each. */
  replaysRememberedMax: 65_536,
  /** Stateless resets at once, such as for the clients of a worker that has died. */
  resetsAtOnceMax: 2000,
  /** And each second beyond that. */
  resetsPerSecond: 1000,
  /** Bytes of one connection's qlog, about: a download of 200 MB. It ends there, with a whole record. */
  qlogFileBytesMax: 64 * 1024 * 1024,
  /** Qlogs that are open at once in a process, each with a descriptor; connections beyond that have none. */
  qlogsOpenMax: 256,
  /** Bytes of qlogs and secrets that a process writes in its life; then it writes no more of them. */
  watchBytesMax: 1024 * 1024 * 1024,
  /** Bytes of a field section, as `spooky_h3_poll` lays it out. */
  fieldSectionBytesMax: 256 * 1024,
  /** Fields in one section. */
  fieldsPerSectionMax: 256,
  /** Fields that we add to a section of others (`via`, `x-forwarded-*`, ids): room that a full section leaves free for them. */
  fieldsAddedMax: 16,
  /** Bytes of names and values that we write: a section of others, its authority twice more in fields, 4 KiB of our own. */
  fieldWriterBytesMax: 3 * 256 * 1024 + 4096,
  /** How often a path may be escaped over (`%25252e` is three times) before nobody looks what is behind it and it is refused. */
  pathEscapeLevelsMax: 3,
  /** Names that Connection fields may list: real ones list two or three, and each is compared with every field. */
  connectionOptionsMax: 32,
  /** Bytes read from one request stream in one pull. */
  bodyReadBytesMax: 64 * 1024,
  /** Frames without body bytes that one read of a body steps over: empty DATA frames, trailers, unknown ones. */
  bodyReadStepsMax: 256,
  /** Bytes of a piece of a response that is joined with others when it has to wait: kept alone it would cost some 400 bytes more. */
  joinedPieceBytesMax: 1024,
  /** Room for such pieces to begin with, bytes: most streams never have more than a few waiting. */
  joinedStoreBytesMin: 1024,
  /** Most room for them in one store, bytes: each takes twice what the one before it took, and what is left unused stays small. */
  joinedStoreBytesMax: 16 * 1024,
  /**
   * Response bytes that one stream holds for its client; a transport that sends on after it was told to stop loses the stream. Two pieces
   * of fetch, which hands over what its window of 16 MiB holds; HTTP/2 of our own holds `h2StreamWindowBytesMax`, HTTP/1.1 a read.
   */
  streamBufferBytesMax: 32 * 1024 * 1024,
  /** Streams that are listed at once in search of those without a whole head; others come up when these are over. */
  openStreamsListedMax: 1024,
  /** Least time between two searches of one connection for streams without a whole head, milliseconds. */
  headSweepMsMin: 25,
  /** How late a client that takes nothing may be noticed, milliseconds; less where `client_send_timeout_ms` is short. */
  stallSweepMsMax: 5000,
  /** Least time between the two GOAWAYs of a connection, and from the second to its end, milliseconds: clients look up now and then only. */
  goawayStepMsMin: 100,
  /** Most such time, whatever the round trip, milliseconds; and how long a GOAWAY waits for room before it is tried again. */
  goawayStepMsMax: 1000,
  /** From the arrival of a connection's last answer to its planned end, milliseconds: programs read later than their QUIC acknowledges. */
  lastAnswerReadMs: 500,
  /** Time over which clients are told to go elsewhere for each that there is, milliseconds: 500 a second come back, a fraction of a core. */
  goawayPerConnectionMs: 2,
  /** How long a connection that is made while all others are told to go is left alone, milliseconds: the request it was made for begins. */
  goawayLateMsMin: 500,
  /** Bytes of a response head, names and values and 32 for each field: what HAProxy takes by default. A larger one is answered 502. */
  responseHeadBytesMax: 16 * 1024,
  /**
   * Characters of one field that tells a backend of a client's certificate. Other certificates of a chain that is longer are left out; a client whose
   * own is longer is not let in.
   */
  clientIdentityBytesMax: 8 * 1024,
  /** Log bytes waiting for a slow reader; further lines are dropped and counted. */
  logBufferBytesMax: 4 * 1024 * 1024,
  /** How long a client takes nothing of an answer by `fetch` before further requests to its backend go around the connection it holds up, milliseconds. */
  fetchStallMsMin: 250,
  /** Requests under way by `fetch` at which further ones that need not go over its HTTP/2 go over ours: each may hold 16 MiB in the runtime. */
  fetchHttp2CallsMax: 32,
  /** How late a deadline towards a backend may be noticed, milliseconds: running requests are looked at this often. */
  upstreamSweepMsMax: 50,
  /** How late the end of a whole request's time may be noticed, milliseconds: the oldest requests are looked at this often. */
  requestSweepMsMax: 50,
  /** How long an idle connection to a backend is kept, milliseconds: less than the 75 s after which common servers close theirs. */
  upstreamIdleMsMax: 60_000,
  /** Bytes of the dynamic table that a backend's HPACK encoder may use: what RFC 7541 begins with. */
  hpackDecoderTableBytesMax: 4096,
  /** Bytes of the dynamic table of our own HPACK encoder, should a backend offer more: some 60 fields that requests repeat. */
  hpackEncoderTableBytesMax: 4096,
  /** Bytes of a field that our HPACK encoder still puts into its table, so that one field cannot displace most others. */
  hpackIndexedFieldBytesMax: 1024,
  /** Bytes of one HPACK string, as it comes, that is looked at; a field block at its limit holds no longer one. */
  hpackStringBytesMax: 64 * 1024,
  /** Bytes of a field list from an HTTP/2 backend, as RFC 9113 6.5.2 counts them; common servers send at most 32 KiB. */
  h2FieldListBytesMax: 64 * 1024,
  /** Bytes of a field block over all its frames; coded fields are no longer than decoded ones. More fails the connection. */
  h2FieldBlockBytesMax: 64 * 1024,
  /** CONTINUATION frames of one field block: 4 full ones hold the largest block, the rest is for peers that cut finer. */
  h2ContinuationFramesMax: 16,
  /** Requests under way on one HTTP/2 connection, where the backend allows more: beyond it a second connection is no loss. */
  h2StreamsMax: 256,
  /** Requests under way before a backend has told its own maximum: more could be refused, all at once, by one that takes few. */
  h2StreamsBeforeSettingsMax: 1,
  /**
   * Response bytes of one HTTP/2 stream that a backend may send ahead of its consumer (the stream's window). Odd, so that bodies of
   * round lengths do not end where it does: Node's server then resets the stream instead of ending it.
   */
  h2StreamWindowBytesMax: 256 * 1024 - 1,
  /** Bytes of heads and bodies that wait for a backend's socket before requests and bodies wait in their place. */
  h2OutputBytesMax: 256 * 1024,
  /** Bytes that wait for a backend's socket at all: one that demands answers and reads none loses its connection here. */
  h2OutputControlBytesMax: 1024 * 1024,
  /** Frames without progress (PING, SETTINGS, RST_STREAM, empty DATA ...) that a backend may send at once. */
  h2FloodTokensMax: 1000,
  /** Such frames that it may send each second beyond that: an answered request gives one back, too. */
  h2FloodTokensPerSecond: 100,
  /** Interim responses (1xx) of one request over HTTP/2: as many as over HTTP/1.1. */
  h2InformationalMax: 32,
  /** How long a backend may take to acknowledge our SETTINGS, milliseconds. */
  h2SettingsAckMsMax: 10_000,
  /** First silence while requests are under way after which a PING asks whether the backend is still there, milliseconds. */
  h2PingAfterMs: 5000,
  /** How long the answer to that PING may take, milliseconds: with the silence before it, a dead peer is found in 8 s. */
  h2PingAnswerMsMax: 3000,
  /** Files of an `upstream_tls.ca_dir`: the system's own folder holds about 300. */
  trustFilesMax: 4096,
  /** Bytes of a configuration file that is read again. */
  configFileBytesMax: 16 * 1024 * 1024,
  /** Bytes of a certificate with its chain, and of a key: some KiB are usual. */
  certificateFileBytesMax: 1024 * 1024,
  /** Bytes of one file with certificate authorities: the system's bundle has about 250 KiB. */
  trustFileBytesMax: 4 * 1024 * 1024,
  /** Requests that wait for room on a backend's HTTP/2 connections; further ones are answered 503. */
  h2WaitingMax: 4096,
  /** How long a backend in clear that says nothing to HTTP/2's preface is waited for before it is taken for HTTP/1.1, milliseconds. */
  protocolSilenceMsMax: 1000,
  /** Least time between two questions to one backend what it speaks, milliseconds; one that fails often is not asked each time. */
  protocolRelearnMsMin: 1000,
  /** How long an HTTP/2 connection to a backend is used before a new one takes its place, milliseconds: balancers and names behind it change. */
  h2ConnectionAgeMsMax: 3_600_000,
  /** Share of that time, in percent, by which chance shortens it, so that connections made together do not end together. */
  h2ConnectionAgeJitterPercentMax: 20,
  /** Connections to one backend that only finish what runs on them, beside those that take requests; with more, requests wait. */
  h2ConnectionsDrainingMax: 16,
  /** How long no further HTTP/2 connection to a backend is tried after one failed while others work, milliseconds. */
  h2ReopenMsMin: 1000,
  /** How long before its Keep-Alive time is over an idle connection to a backend is closed, milliseconds: a slow way there and a pause. */
  h1KeepAliveMarginMs: 1000,
  /** Connections to one backend over HTTP/1.1: one for each request in flight; further requests are answered 503. */
  h1ConnectionsPerBackendMax: 4096,
  /** Bytes of one response head of a backend over HTTP/1.1, its status line included: four times what node and HAProxy take. */
  h1HeadBytesMax: 64 * 1024,
  /** Heads of 1xx before the final one of a response: a 100, some 103, and a 102 every 20 s for ten minutes. */
  h1InformationalMax: 32,
  /** Bytes of the trailers of one response over HTTP/1.1: checksums and gRPC's status need far less. */
  h1TrailerBytesMax: 16 * 1024,
  /** Digits of a chunk's size: 2^53 has 14, and some servers pad to 8 or 16. */
  h1ChunkSizeDigitsMax: 16,
  /** Bytes by which chunk extensions, which nobody reads, may outweigh the data that came with them. */
  h1ChunkExtensionBytesMax: 4096,
  /** Bytes of requests waiting for one HTTP/1.1 connection's socket; a body is asked for no more above this. */
  h1OutputBytesMax: 64 * 1024,
  /** Bytes of a probe's answer that are read so that its connection can be used again; more closes it. */
  probeBodyBytesMax: 64 * 1024,
  /** Least time between two log lines that say one backend cannot be reached by requests. */
  unreachableLineMsMin: 1000,
  /** Health probes under way at once in a process; those beyond it wait for one to end. */
  probesAtOnceMax: 64,
  /** Listeners of one configuration: each costs every worker a call of the kernel in each of its turns, and some memory. */
  listenersMax: 16,
  /** Worker processes: a slot of a connection id has six bits, and an upgrade needs two banks of them. */
  workersMax: 32,
  /** How often a worker says that it is well and what it has counted, milliseconds. */
  heartbeatMs: 1000,
  /** Heartbeats that a worker may leave out before it is taken for hung and ended. */
  heartbeatsMissedMax: 5,
  /** How long a worker may take from its start to its first service, milliseconds. */
  workerStartMsMax: 30_000,
  /** How long workers may take to make another configuration ready, and then to put it to work, milliseconds. */
  reloadStepMsMax: 10_000,
  /** Reloads, rollbacks and upgrades that wait for their turn; those of a kind that follow one another are one. */
  renewalsWaitingMax: 8,
  /** After so long whoever waits for workers that finish what they have hears again for how long, milliseconds. */
  renewalWordMs: 10_000,
  /** Configurations that are kept to go back to. */
  configurationsKeptMax: 8,
  /** How long a process that ends stays for connections that are closed already, milliseconds: their clients may ask once more. */
  closingMsMax: 200,
  /** How long a worker that others replace stays at least, milliseconds: what was sent to it before clients heard of the others still comes. */
  retireMsMin: 1000,
  /** How long a worker may live on after the drain time is over, or after it was told to end at once, milliseconds. */
  workerEndMsMax: 2000,
  /** How long the end of a worker's channel is waited for once its process is gone, milliseconds: others may hold it, whom it has started. */
  workerLastWordsMsMax: 500,
  /** Longest wait before a worker that keeps ending is started again, milliseconds. */
  workerRestartMsMax: 10_000,
  /** A worker that has served so long is started again at once when it ends, milliseconds. */
  workerSteadyMs: 10_000,
  /** Bytes of one message between supervisor and worker: the largest configuration, every character of it escaped. */
  linkMessageBytesMax: 8 * 1024 * 1024,
  /** Bytes of certificates and keys that a supervisor keeps for workers that start while the files do not go together; of more, none. */
  keptFilesBytesMax: 2 * 1024 * 1024,
  /** Programs that speak to the control socket at once: each is a person or a script, and further ones are refused. */
  controlConnectionsMax: 16,
  /** Characters of one request on the control socket: the longest path, every character of it escaped. */
  controlRequestCharactersMax: 32 * 1024,
  /** Bytes of answers that wait for somebody who does not read them before the connection is cut. */
  controlOutputBytesMax: 1024 * 1024,
  /** How long a connection to the control socket may say nothing while nothing is done for it, milliseconds. */
  controlIdleMsMax: 10_000,
  /** How long the socket's own maker waits for an answer there, milliseconds, to learn whether another program still serves it. */
  controlProbeMsMax: 1000,
  /** How long a command waits for a program that replaces itself to be there again, milliseconds. */
  controlReturnMsMax: 15_000,
  /** How long `spooky upgrade --wait` waits for former workers, milliseconds. They may finish what they have for their drain time. */
  upgradeWaitMsMax: 3_600_000,
  /** How long a command waits for a word on what it asked for, milliseconds: workers that start (30 s) and a program that is tried before it. */
  controlAnswerMsMax: 90_000,
  /** Bytes of the control socket's path: the kernel takes 107, and a name that is used while it is made takes some of them. */
  controlPathBytesMax: 96,
  /** Connections at once to a place that shows metrics or health: as many as may be configured. */
  doorConnectionsMax: 1024,
  /** Bytes of one request there: browsers and scrapers send a few hundred. More is answered 431. */
  doorHeadBytesMax: 8 * 1024,
  /** How long those who still are answered there are waited for before another program takes this one's place, milliseconds. */
  doorPauseMsMax: 500,
  /** Backends, by pool and id, whose requests are counted apart in the life of a process: all that a configuration can hold, four times over. */
  countedBackendsMax: 16_384,
  /** Methods and statuses of one backend that are counted apart; what it answers beyond them is counted by class, such as `5xx`. */
  countedStatusesMax: 128,
  /** Time between two looks at what became of connections' packets, milliseconds. */
  packetLookMs: 250,
  /** Connections that are looked at each time: 250 ns for one that has sent something. */
  connectionsLookedAtMax: 1000,
  /** Time between two looks at how late the runtime's timers are, milliseconds. */
  loopDelaySampleMs: 250,
  /** How long `spooky healthcheck` waits for an answer, milliseconds: less than the time-outs that containers are given. */
  healthcheckMsMax: 3000,
  /** Characters of the answer that it reads: ours have a few hundred. */
  healthcheckCharactersMax: 64 * 1024,
  /** Bytes of one log write to a pipe that several processes write to: what the kernel keeps in one piece (PIPE_BUF). */
  sharedWriteBytesMax: 4096,
  /** Bytes of one log write: what collected while the write before it ran. */
  logWriteBytesMax: 256 * 1024,
  /** Characters of one value in a log line: a whole path of common length fits, an attacker's megabyte does not. */
  logValueCharactersMax: 8 * 1024,
  /** Tries at backends for one request. */
  attemptsPerRequestMax: 2,
  /** Pools of one configuration: four times the largest route table that was measured (`bench/micro/route.ts`). */
  poolsMax: 4096,
  /** Backends of one pool: a round-robin pick looks at each of them, about 1 ns apiece. */
  backendsPerPoolMax: 1024,
  /** Ring points of a backend of weight 100: the share of a backend is then true to about 8 % (1/sqrt(160)). */
  ringPointsPerBackend: 160,
  /** Ring points of one pool, 6 bytes each; larger rings are thinned (`balance/hash-ring.ts`). */
  ringPointsMax: 65_536,
  /** Ring points passed in search of a usable backend, about 1 ns each, before a plain scan answers. */
  ringWalkPointsMax: 1024,
  /** Bytes of a configuration file: 4,000 backends with health checks fit, and a wrong file (a log, an image) is refused at once. */
  configBytesMax: 1024 * 1024,
  /** Keys and values of a configuration, those that YAML aliases repeat included: stops a few lines from expanding to billions. */
  configNodesMax: 100_000,
  /** Levels of nesting in a configuration; the schema needs 6. */
  configDepthMax: 32,
  /** Mistakes shown for one configuration; further ones are only counted. */
  configProblemsMax: 100,
} as const;
