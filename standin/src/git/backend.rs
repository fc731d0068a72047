//! One request: find the repository, run `git upload-pack`, stream its answer.

use std::io::{self, Read};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{Behaviour, Exchange, Fault, Shared, Stage, lock};

/// Bound on a request's body, before and after decompression.
const MAX_REQUEST_BYTES: usize = 16 << 20;
const CHUNK_BYTES: usize = 64 << 10;

type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Answers any request of the server.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let Ok(body) = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok(body) = decompressed(&head.headers, body) else { return StatusCode::BAD_REQUEST.into_response() };
    let (name, stage) = route(&head.method, &path, &body);
    let git_protocol = text_of(&head.headers, "git-protocol");
    let sent_bytes = shared.ledger.note(Exchange {
        stage,
        method: head.method.to_string(),
        path: path.clone(),
        authorization: text_of(&head.headers, "authorization"),
        git_protocol: git_protocol.clone(),
        request: body.to_vec(),
        response_bytes: 0,
    });
    let behaviour = lock(&shared.behaviour).clone();
    if !is_authorized(&behaviour, &head.headers) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")]).into_response();
    }
    let Some(stage) = stage else { return StatusCode::NOT_FOUND.into_response() };
    let fault = behaviour.fault(stage);
    if let Some(response) = instead(fault.as_ref(), &path).await {
        return response;
    }
    let Some(repository) = shared.repository(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let protocol = git_protocol.filter(|_| !behaviour.only_v0);
    match upload_pack(&repository, stage, protocol.as_deref(), behaviour.filter, body) {
        Ok(output) => stream_response(stage, counted(limited(output, fault.as_ref()), sent_bytes)),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The repository's name and the stage that a request is.
fn route(method: &Method, path: &str, body: &[u8]) -> (String, Option<Stage>) {
    let plain = path.trim_start_matches('/');
    if method == Method::GET
        && let Some(name) = plain.strip_suffix("/info/refs?service=git-upload-pack")
    {
        return (name.to_owned(), Some(Stage::Advertisement));
    }
    if method == Method::POST
        && let Some(name) = plain.strip_suffix("/git-upload-pack")
    {
        let is_ls_refs = body.windows(15).take(64).any(|window| window == b"command=ls-refs");
        return (name.to_owned(), Some(if is_ls_refs { Stage::LsRefs } else { Stage::Fetch }));
    }
    (plain.to_owned(), None)
}

/// The answer of a fault that does not need the real one.
async fn instead(fault: Option<&Fault>, path: &str) -> Option<Response> {
    match fault? {
        Fault::Status(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Some((status, "internal banner: 10.0.0.1:22").into_response())
        }
        Fault::Redirect { status, location } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::FOUND);
            let location = location.replace("{path}", path);
            let with_location = !location.is_empty();
            Some(if with_location {
                (status, [(header::LOCATION, location)]).into_response()
            } else {
                status.into_response()
            })
        }
        Fault::Hang => std::future::pending().await,
        Fault::Body { content_type, bytes } => {
            Some(([(header::CONTENT_TYPE, content_type.clone())], bytes.clone()).into_response())
        }
        Fault::Flood { content_type, head, repeat } => {
            let head = Bytes::from(head.clone());
            let repeat = Bytes::from(repeat.clone());
            let bytes = stream::iter([Ok::<_, io::Error>(head)]).chain(stream::repeat_with(move || Ok(repeat.clone())));
            Some(([(header::CONTENT_TYPE, content_type.clone())], Body::from_stream(bytes)).into_response())
        }
        Fault::CutAfter(_) | Fault::HangAfter(_) => None,
    }
}

/// Starts `git upload-pack` and gives its output.
fn upload_pack(
    repository: &Path,
    stage: Stage,
    protocol: Option<&str>,
    filter: bool,
    body: Bytes,
) -> io::Result<ByteStream> {
    let mut command = Command::new("git");
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(protocol.map(|protocol| ("GIT_PROTOCOL", protocol)))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(["-c", "safe.directory=*", "-c", "uploadpack.allowAnySHA1InWant=true"])
        .args(["-c", if filter { "uploadpack.allowFilter=true" } else { "uploadpack.allowFilter=false" }])
        .args(["upload-pack", "--strict", "--stateless-rpc"])
        .args((stage == Stage::Advertisement).then_some("--http-backend-info-refs"))
        .arg(repository)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        tokio::spawn(async move {
            // A program that ends early closes the pipe; its output says why.
            let _ = stdin.write_all(&body).await;
        });
    }
    let output = stream::try_unfold(child, read_chunk);
    let is_v2 = protocol.is_some_and(|protocol| protocol.split(':').any(|part| part == "version=2"));
    if stage == Stage::Advertisement && !is_v2 {
        let service = Bytes::from_static(b"001e# service=git-upload-pack\n0000");
        return Ok(stream::iter([Ok(service)]).chain(output).boxed());
    }
    Ok(output.boxed())
}

async fn read_chunk(mut child: Child) -> io::Result<Option<(Bytes, Child)>> {
    let Some(stdout) = child.stdout.as_mut() else { return Ok(None) };
    let mut chunk = vec![0; CHUNK_BYTES];
    let length = stdout.read(&mut chunk).await?;
    if length == 0 {
        child.wait().await?;
        return Ok(None);
    }
    chunk.truncate(length);
    Ok(Some((Bytes::from(chunk), child)))
}

/// Cuts or stalls the real answer, when the fault says so.
fn limited(output: ByteStream, fault: Option<&Fault>) -> ByteStream {
    match fault {
        Some(Fault::CutAfter(bytes)) => {
            let broken = stream::iter([Err(io::Error::from(io::ErrorKind::ConnectionReset))]);
            first_bytes(output, *bytes).chain(broken).boxed()
        }
        Some(Fault::HangAfter(bytes)) => first_bytes(output, *bytes).chain(stream::pending()).boxed(),
        _ => output,
    }
}

fn first_bytes(output: ByteStream, bytes: usize) -> ByteStream {
    let pieces = stream::unfold((output, bytes), |(mut output, left)| async move {
        let mut chunk = output.next().await?.ok().filter(|_| left > 0)?;
        chunk.truncate(left);
        let left = left - chunk.len();
        Some((Ok(chunk), (output, left)))
    });
    pieces.boxed()
}

fn counted(output: ByteStream, sent_bytes: Arc<AtomicU64>) -> ByteStream {
    let count = move |chunk: &io::Result<Bytes>| {
        let length = chunk.as_ref().map_or(0, Bytes::len);
        sent_bytes.fetch_add(length as u64, Ordering::Relaxed);
    };
    output.inspect(count).boxed()
}

fn stream_response(stage: Stage, output: ByteStream) -> Response {
    let content_type = match stage {
        Stage::Advertisement => "application/x-git-upload-pack-advertisement",
        Stage::LsRefs | Stage::Fetch => "application/x-git-upload-pack-result",
    };
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(output)).into_response()
}

/// Whether the request carries the token that the server wants, whatever the user's name.
fn is_authorized(behaviour: &Behaviour, headers: &HeaderMap) -> bool {
    let Some(token) = &behaviour.token else { return true };
    let decoded = text_of(headers, "authorization")
        .and_then(|value| BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.is_some_and(|pair| pair.split_once(':').is_some_and(|(_, password)| password == token))
}

/// The body as the client meant it: `git` compresses long requests.
fn decompressed(headers: &HeaderMap, body: Bytes) -> io::Result<Bytes> {
    if text_of(headers, "content-encoding").as_deref() != Some("gzip") {
        return Ok(body);
    }
    let mut plain = Vec::new();
    GzDecoder::new(&body[..]).take(MAX_REQUEST_BYTES as u64).read_to_end(&mut plain)?;
    Ok(Bytes::from(plain))
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
