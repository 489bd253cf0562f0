//! Plays a list of HTTP/3 actions on one connection with Cloudflare's h3i, which checks nothing that it sends, and prints what came
//! back. One line of JSON on standard input is the plan, one on standard output the result; `test/adversary/h3i.ts` has both as
//! types. Exit codes: 0 printed, 1 the plan cannot be read or the connection was never made. An action that h3i refuses aborts.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use h3i::actions::h3::{
    send_headers_frame, send_headers_frame_literal, Action, ExpectedStreamSendResult,
    RequiredStreamsQuota, StreamEvent, StreamEventType, WaitType,
};
use h3i::client::connection_summary::ConnectionSummary;
use h3i::client::sync_client;
use h3i::config::Config;
use h3i::frame::H3iFrame;
use quiche::h3::frame::Frame;
use quiche::h3::{Header, NameValue};
use quiche::ConnectionError;
use serde::{Deserialize, Serialize};

const HEADERS_FRAME: u64 = 0x1;

#[derive(Deserialize)]
struct Plan {
    /// `ip:port`.
    address: String,
    /// SNI; the certificate is not verified.
    server_name: String,
    idle_timeout_ms: u64,
    /// What the server may send on one request stream before it must wait.
    stream_window_bytes: u64,
    steps: Vec<Step>,
}

/// Strings hold one byte per character (latin1).
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Step {
    /// A HEADERS frame. `indexed`: by QPACK's static table and Huffman's code instead of letter by letter.
    Headers {
        stream: u64,
        fields: Vec<(String, String)>,
        #[serde(default)]
        indexed: bool,
        #[serde(default)]
        fin: bool,
    },
    /// A frame of any type. `length`: what it says of itself instead of the truth.
    Frame {
        stream: u64,
        #[serde(rename = "type")]
        frame_type: u64,
        #[serde(default)]
        hex: String,
        length: Option<u64>,
        #[serde(default)]
        fin: bool,
    },
    Bytes {
        stream: u64,
        #[serde(default)]
        hex: String,
        #[serde(default)]
        fin: bool,
    },
    /// The type at the beginning of a unidirectional stream.
    Uni {
        stream: u64,
        #[serde(rename = "type")]
        stream_type: u64,
        #[serde(default)]
        fin: bool,
    },
    Reset {
        stream: u64,
        code: u64,
    },
    StopSending {
        stream: u64,
        code: u64,
    },
    /// What follows goes into later packets.
    Flush,
    /// Until this has come on the stream, or the stream is over.
    Wait {
        stream: u64,
        until: Until,
    },
    /// Until that many more request streams may be opened.
    WaitStreams {
        count: u64,
    },
    Sleep {
        ms: u64,
    },
    Close {
        application: bool,
        code: u64,
    },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Until {
    Headers,
    Data,
    End,
}

#[derive(Serialize)]
struct Outcome {
    /// What came on each request stream, in order.
    streams: BTreeMap<u64, Vec<Seen>>,
    closed: Closed,
    /// RESET_STREAM and STOP_SENDING frames of the server.
    resets_received: u64,
    stops_received: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Seen {
    Headers(Vec<(String, String)>),
    Data(String),
    Reset(u64),
    /// Any other frame, in h3i's words.
    Other(String),
}

#[derive(Serialize)]
struct Closed {
    /// `peer`, `client` or `timeout`.
    by: &'static str,
    application: bool,
    code: Option<u64>,
    reason: String,
}

fn main() -> ExitCode {
    let mut line = String::new();
    if let Err(error) = std::io::stdin().lock().read_line(&mut line) {
        eprintln!("the plan cannot be read: {error}");
        return ExitCode::FAILURE;
    }
    let plan: Plan = match serde_json::from_str(&line) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("the plan is wrong: {error}");
            return ExitCode::FAILURE;
        }
    };
    let actions = plan.steps.iter().map(action_of).collect();
    match sync_client::connect(config_of(&plan), actions, None) {
        Ok(summary) => {
            let outcome = outcome_of(&summary);
            println!(
                "{}",
                serde_json::to_string(&outcome).expect("an outcome is JSON")
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("no connection: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn config_of(plan: &Plan) -> Config {
    let port = plan.address.rsplit(':').next().unwrap_or_default();
    Config::new()
        .with_host_port(format!("{}:{port}", plan.server_name))
        .with_connect_to(plan.address.clone())
        .verify_peer(false)
        .with_idle_timeout(plan.idle_timeout_ms)
        .with_max_stream_data_bidi_local(plan.stream_window_bytes)
}

fn action_of(step: &Step) -> Action {
    match step {
        Step::Headers {
            stream,
            fields,
            indexed,
            fin,
        } => send(
            *stream,
            frame_bytes(HEADERS_FRAME, None, &field_section(fields, *indexed)),
            *fin,
        ),
        Step::Frame {
            stream,
            frame_type,
            hex,
            length,
            fin,
        } => send(
            *stream,
            frame_bytes(*frame_type, *length, &from_hex(hex)),
            *fin,
        ),
        Step::Bytes { stream, hex, fin } => send(*stream, from_hex(hex), *fin),
        Step::Uni {
            stream,
            stream_type,
            fin,
        } => send(*stream, varint(*stream_type), *fin),
        Step::Reset { stream, code } => Action::ResetStream {
            stream_id: *stream,
            error_code: *code,
        },
        Step::StopSending { stream, code } => Action::StopSending {
            stream_id: *stream,
            error_code: *code,
        },
        Step::Flush => Action::FlushPackets,
        Step::Wait { stream, until } => WaitType::StreamEvent(StreamEvent {
            stream_id: *stream,
            event_type: match until {
                Until::Headers => StreamEventType::Headers,
                Until::Data => StreamEventType::Data,
                Until::End => StreamEventType::Finished,
            },
        })
        .into(),
        Step::WaitStreams { count } => WaitType::CanOpenNumStreams(RequiredStreamsQuota {
            num: *count,
            bidi: true,
        })
        .into(),
        Step::Sleep { ms } => WaitType::WaitDuration(Duration::from_millis(*ms)).into(),
        Step::Close { application, code } => Action::ConnectionClose {
            error: ConnectionError {
                is_app: *application,
                error_code: *code,
                reason: Vec::new(),
            },
        },
    }
}

/// All of it or an abort: a case must not prove something else than it says.
fn send(stream_id: u64, bytes: Vec<u8>, fin_stream: bool) -> Action {
    let expected_result = ExpectedStreamSendResult::OkExact(bytes.len());
    Action::StreamBytes {
        stream_id,
        fin_stream,
        bytes,
        expected_result,
    }
}

/// The field section of h3i's own encoders. Its HEADERS action itself takes no more than 9,999 bytes.
fn field_section(fields: &[(String, String)], indexed: bool) -> Vec<u8> {
    // h3i's encoders leave no room for the prefix of a section without fields.
    if fields.is_empty() {
        return vec![0, 0];
    }
    let headers = fields
        .iter()
        .map(|(name, value)| Header::new(&latin1(name), &latin1(value)))
        .collect();
    let action = if indexed {
        send_headers_frame(0, false, headers)
    } else {
        send_headers_frame_literal(0, false, headers)
    };
    match action {
        Action::SendHeadersFrame {
            frame: Frame::Headers { header_block },
            ..
        } => header_block,
        other => unreachable!("h3i made {other:?} of fields"),
    }
}

fn frame_bytes(frame_type: u64, length: Option<u64>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = varint(frame_type);
    bytes.extend(varint(length.unwrap_or(payload.len() as u64)));
    bytes.extend_from_slice(payload);
    bytes
}

/// RFC 9000 16.
fn varint(value: u64) -> Vec<u8> {
    match value {
        0..=0x3f => vec![value as u8],
        0x40..=0x3fff => (0x4000 | value as u16).to_be_bytes().to_vec(),
        0x4000..=0x3fff_ffff => (0x8000_0000 | value as u32).to_be_bytes().to_vec(),
        _ => (0xc000_0000_0000_0000 | value).to_be_bytes().to_vec(),
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).expect("hexadecimal") as u8)
        .collect();
    assert!(
        digits.len().is_multiple_of(2),
        "bytes in hexadecimal have two digits each"
    );
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| u8::try_from(u32::from(letter)).expect("one byte per character"))
        .collect()
}

fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn outcome_of(summary: &ConnectionSummary) -> Outcome {
    let stats = summary.stats.as_ref();
    Outcome {
        streams: streams_of(summary),
        closed: closed_of(summary),
        resets_received: stats.map_or(0, |seen| seen.reset_stream_count_remote),
        stops_received: stats.map_or(0, |seen| seen.stopped_stream_count_remote),
    }
}

/// h3i's map gives its streams by number only; a connection of a case has few.
fn streams_of(summary: &ConnectionSummary) -> BTreeMap<u64, Vec<Seen>> {
    const STREAMS_MAX: u64 = 10_000;
    let mut streams = BTreeMap::new();
    for stream in (0..STREAMS_MAX * 4).step_by(4) {
        let frames = summary.stream_map.stream(stream);
        if !frames.is_empty() {
            streams.insert(stream, frames.iter().map(seen_of).collect());
        }
    }
    streams
}

fn seen_of(frame: &H3iFrame) -> Seen {
    match frame {
        H3iFrame::Headers(section) => Seen::Headers(
            section
                .headers()
                .iter()
                .map(|field| (text_of(field.name()), text_of(field.value())))
                .collect(),
        ),
        H3iFrame::ResetStream(reset) => Seen::Reset(reset.error_code),
        H3iFrame::QuicheH3(Frame::Data { payload }) => Seen::Data(text_of(payload)),
        H3iFrame::QuicheH3(other) => Seen::Other(format!("{other:?}")),
    }
}

fn closed_of(summary: &ConnectionSummary) -> Closed {
    let details = &summary.conn_close_details;
    let (by, error) = if details.timed_out {
        ("timeout", None)
    } else if let Some(error) = details.peer_error() {
        ("peer", Some(error))
    } else {
        ("client", details.local_error())
    };
    Closed {
        by,
        application: error.is_some_and(|seen| seen.is_app),
        code: error.map(|seen| seen.error_code),
        reason: error.map(|seen| text_of(&seen.reason)).unwrap_or_default(),
    }
}
