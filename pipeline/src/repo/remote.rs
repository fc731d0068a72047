//! The host of one repository: requests, statuses, redirects, and the count of what it sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{Egress, EgressError, Purpose};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Method, Request, Response, StatusCode};
use url::Url;

use super::tokens::Credential;
use super::{FetchError, TooLarge};

/// Renamed repositories answer with one redirect; more than a few are a loop.
const MAX_REDIRECTS: usize = 3;

/// Some hosts serve Git only to clients that look like Git.
const GIT_USER_AGENT: &str = concat!("git/2.0 (tinygen/", env!("CARGO_PKG_VERSION"), ")");

const REFS_SUFFIX: &str = "/info/refs";
const REFS_QUERY: &str = "service=git-upload-pack";
const ADVERTISEMENT_TYPE: &str = "application/x-git-upload-pack-advertisement";
const REQUEST_TYPE: &str = "application/x-git-upload-pack-request";
const RESULT_TYPE: &str = "application/x-git-upload-pack-result";

/// The host of one repository.
pub(crate) struct Remote {
    egress: Egress,
    base: Url,
    credential: Option<Credential>,
    meter: Arc<Meter>,
    deadline: Duration,
}

/// Counts the bytes of all answers against one limit.
pub(crate) struct Meter {
    limit_bytes: u64,
    used_bytes: AtomicU64,
}

/// The body of an answer, metered.
pub(crate) struct Body {
    response: Response,
    meter: Arc<Meter>,
    deadline: Duration,
}

/// Which protocol a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V0,
    V2,
}

impl Remote {
    pub(crate) fn new(
        egress: Egress,
        url: &Url,
        credential: Option<Credential>,
        max_bytes: u64,
        deadline: Duration,
    ) -> Self {
        let meter = Arc::new(Meter { limit_bytes: max_bytes, used_bytes: AtomicU64::new(0) });
        Self { egress, base: url.clone(), credential, meter, deadline }
    }

    /// Asks what the host offers. Redirects are followed here and only here; where they end is where everything else
    /// is sent.
    pub(crate) async fn advertisement(&mut self) -> Result<Body, FetchError> {
        for _ in 0..=MAX_REDIRECTS {
            let mut url = below(&self.base, REFS_SUFFIX);
            url.set_query(Some(REFS_QUERY));
            let mut request = self.request(Method::GET, url, Version::V2);
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(ADVERTISEMENT_TYPE));
            let from = request.url().clone();
            let response = self.send(request).await?;
            if response.status().is_redirection() {
                self.base = self.redirected(&from, &response)?;
                continue;
            }
            return self.body(response, ADVERTISEMENT_TYPE);
        }
        Err(FetchError::Unsupported("its address is redirected too often"))
    }

    /// Sends a message to `git-upload-pack`.
    pub(crate) async fn post(&self, message: Vec<u8>, version: Version) -> Result<Body, FetchError> {
        let mut request = self.request(Method::POST, below(&self.base, "/git-upload-pack"), version);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(REQUEST_TYPE));
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(RESULT_TYPE));
        *request.body_mut() = Some(message.into());
        let response = self.send(request).await?;
        self.body(response, RESULT_TYPE)
    }

    /// Bytes of all bodies so far.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.meter.used_bytes.load(Ordering::Relaxed)
    }

    fn request(&self, method: Method, url: Url, version: Version) -> Request {
        let authorization = self.credential.as_ref().and_then(|credential| credential.header_for(&url));
        let mut request = Request::new(method, url);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(GIT_USER_AGENT));
        if version == Version::V2 {
            headers.insert("Git-Protocol", HeaderValue::from_static("version=2"));
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        request
    }

    async fn send(&self, request: Request) -> Result<Response, FetchError> {
        let has_token = request.headers().contains_key(AUTHORIZATION);
        let response =
            self.egress.send(request, Purpose::Git).await.map_err(|error| from_egress(error, self.deadline))?;
        match response.status() {
            status if status.is_success() || status.is_redirection() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if has_token => Err(FetchError::TokenRefused),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(FetchError::AuthRequired),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(FetchError::NotFound),
            status => Err(FetchError::HostFailed(status.as_u16())),
        }
    }

    fn body(&self, response: Response, content_type: &str) -> Result<Body, FetchError> {
        if response.status().is_redirection() {
            return Err(FetchError::Unsupported("the host redirects a request that it must answer itself"));
        }
        let found = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if found.split(';').next().is_none_or(|found| !found.trim().eq_ignore_ascii_case(content_type)) {
            return Err(FetchError::Unsupported("the address does not serve a Git repository over smart HTTP"));
        }
        Ok(Body { response, meter: Arc::clone(&self.meter), deadline: self.deadline })
    }

    /// The repository's address after a redirect.
    fn redirected(&self, from: &Url, response: &Response) -> Result<Url, FetchError> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| from.join(location).ok());
        let target = target.ok_or(FetchError::Unsupported("its address is redirected to nowhere"))?;
        if from.scheme() == "https" && target.scheme() != "https" {
            return Err(FetchError::Blocked(egress::Block::Scheme));
        }
        self.egress.check(&target).map_err(|error| from_egress(error, self.deadline))?;
        let path = target.path().strip_suffix(REFS_SUFFIX).filter(|_| target.query() == Some(REFS_QUERY));
        let path = path.ok_or(FetchError::Unsupported("its address is redirected to something else"))?.to_owned();
        let mut base = target;
        base.set_path(&path);
        base.set_query(None);
        base.set_fragment(None);
        Ok(base)
    }
}

impl Body {
    /// The next bytes; none at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let chunk = self.response.chunk().await.map_err(|error| from_egress(error.into(), self.deadline))?;
        let Some(chunk) = chunk else { return Ok(None) };
        let added = chunk.len() as u64;
        let used = self.meter.used_bytes.fetch_add(added, Ordering::Relaxed).saturating_add(added);
        if used > self.meter.limit_bytes {
            return Err(FetchError::TooLarge(TooLarge::Bytes(self.meter.limit_bytes)));
        }
        Ok(Some(chunk))
    }
}

fn below(base: &Url, suffix: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{suffix}", base.path().trim_end_matches('/')));
    url
}

fn from_egress(error: EgressError, deadline: Duration) -> FetchError {
    match error {
        EgressError::Blocked(block) => FetchError::Blocked(block),
        EgressError::Timeout(_) => FetchError::TimedOut(deadline),
        EgressError::Unreachable(_) | EgressError::Setup(_) => FetchError::Unreachable(Some(error)),
    }
}
