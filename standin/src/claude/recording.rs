//! Recordings: answers kept in files, each for exactly one request.
//!
//! A recording is a folder of JSON files, one per request:
//! `{"request_sha256": "…", "content": […], "stop_reason": "…"}`. The hash is of the request's bytes, so a client that
//! asks anything else, by one byte, notices that its recording is stale. Files in making end in `.request.json` and
//! `.answer.json` and are not part of it.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::message::with_ids;
use super::reply::Answer;
use super::view::RequestView;

/// How often the recorder looks for an answer.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// How many digits of a hash are in a file's name.
const HASH_DIGITS: usize = 16;

/// Answers to exactly the requests they were given to.
#[derive(Debug, Default)]
pub struct Recording {
    /// By the hash of the request.
    answers: BTreeMap<String, Saved>,
    asked: Mutex<HashSet<String>>,
}

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file or the folder cannot be read or written.
    #[error("`{path}` cannot be read or written", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not an answer.
    #[error("`{name}` is not a recorded answer")]
    Format {
        /// Which one.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Two files answer the same request.
    #[error("`{0}` answers a request that another file answers too")]
    Twice(String),
    /// No port can be opened.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
}

/// One recorded answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    request_sha256: String,
    content: Vec<Value>,
    stop_reason: String,
}

/// What a person writes for the recorder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    content: Vec<Value>,
    stop_reason: String,
}

impl Recording {
    /// Reads the files of a folder.
    pub fn open(folder: &Path) -> Result<Self, RecordingError> {
        let mut files = vec![];
        for name in names_in(folder)?.into_iter().filter(|name| is_answer(name)) {
            let path = folder.join(&name);
            let text = std::fs::read_to_string(&path).map_err(|source| RecordingError::File { path, source })?;
            files.push((name, text));
        }
        Self::read(files)
    }

    /// Reads files that are already in memory: name and text.
    pub fn read<N: Into<String>, T: AsRef<str>>(
        files: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, RecordingError> {
        let mut recording = Self::default();
        for (name, text) in files {
            let name = name.into();
            let saved: Saved = match serde_json::from_str(text.as_ref()) {
                Ok(saved) => saved,
                Err(source) => return Err(RecordingError::Format { name, source }),
            };
            if recording.answers.insert(saved.request_sha256.clone(), saved).is_some() {
                return Err(RecordingError::Twice(name));
            }
        }
        Ok(recording)
    }

    /// The hashes of the requests that were never made: a recording with any is stale.
    pub fn unused(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        self.answers.keys().filter(|hash| !asked.contains(*hash)).cloned().collect()
    }

    pub(super) fn answer(&self, request_sha256: &str) -> Option<Saved> {
        let saved = self.answers.get(request_sha256)?;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(request_sha256.to_owned());
        Some(saved.clone())
    }
}

impl From<Saved> for Answer {
    fn from(saved: Saved) -> Self {
        Self::new(saved.content, saved.stop_reason)
    }
}

/// Makes a recording: asks for each answer it does not have.
#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    longest_wait: Duration,
    recording: Mutex<Recording>,
}

impl Recorder {
    pub(super) fn open(folder: &Path, longest_wait: Duration) -> Result<Self, RecordingError> {
        let path = folder.to_owned();
        std::fs::create_dir_all(folder).map_err(|source| RecordingError::File { path, source })?;
        Ok(Self { folder: folder.to_owned(), longest_wait, recording: Mutex::new(Recording::open(folder)?) })
    }

    /// The answer to a request, as soon as somebody has written it. An error is for the one who waits.
    pub(super) async fn answer(&self, request: &RequestView) -> Result<Saved, String> {
        if let Some(saved) = self.lock().answer(request.sha256()) {
            return Ok(saved);
        }
        let stem = self.ask(request).map_err(|error| format!("the request cannot be written: {error}"))?;
        let path = self.folder.join(format!("{stem}.answer.json"));
        let give_up = Instant::now() + self.longest_wait;
        let written = loop {
            // A file may be seen half written, so what cannot be read yet is looked at again.
            let problem = match tokio::fs::read(&path).await.map(|text| serde_json::from_slice::<Written>(&text)) {
                Ok(Ok(written)) => break written,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= give_up {
                return Err(format!("no answer came in time: {stem}.answer.json: {problem}"));
            }
            tokio::time::sleep(POLL_EVERY).await;
        };
        let content = with_ids(written.content, request.sha256());
        let saved = Saved { request_sha256: request.sha256().to_owned(), content, stop_reason: written.stop_reason };
        self.keep(&stem, &saved).map_err(|error| format!("the answer cannot be kept: {error}"))?;
        Ok(saved)
    }

    /// Writes the request down, unless an earlier try has. Returns the stem of the file's name.
    fn ask(&self, request: &RequestView) -> Result<String, RecordingError> {
        let _guard = self.lock();
        let names = names_in(&self.folder)?;
        let hash = &request.sha256()[..HASH_DIGITS];
        let earlier = names.iter().filter_map(|name| name.split_once('.')).map(|(stem, _)| stem);
        if let Some(stem) = earlier.clone().find(|stem| stem.ends_with(&format!("-{hash}"))) {
            self.write(&format!("{stem}.request.json"), request.body())?;
            return Ok(stem.to_owned());
        }
        let numbers = earlier.filter_map(|stem| stem.split_once('-')?.0.parse::<u32>().ok());
        let stem = format!("{:03}-{hash}", numbers.max().map_or(1, |number| number + 1));
        self.write(&format!("{stem}.request.json"), request.body())?;
        Ok(stem)
    }

    /// Makes an answer part of the recording.
    fn keep(&self, stem: &str, saved: &Saved) -> Result<(), RecordingError> {
        let mut recording = self.lock();
        self.write(&format!("{stem}.json"), saved)?;
        for ending in ["request", "answer"] {
            let path = self.folder.join(format!("{stem}.{ending}.json"));
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(RecordingError::File { path, source });
                }
                _ => {}
            }
        }
        recording.answers.insert(saved.request_sha256.clone(), saved.clone());
        Ok(())
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), RecordingError> {
        let path = self.folder.join(name);
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|source| RecordingError::Format { name: name.to_owned(), source })?;
        text.push('\n');
        std::fs::write(&path, text).map_err(|source| RecordingError::File { path, source })
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_answer(name: &str) -> bool {
    name.ends_with(".json") && !name.ends_with(".request.json") && !name.ends_with(".answer.json")
}

/// The names of a folder's entries, in order.
fn names_in(folder: &Path) -> Result<Vec<String>, RecordingError> {
    let error = |source| RecordingError::File { path: folder.to_owned(), source };
    let mut names = vec![];
    for entry in std::fs::read_dir(folder).map_err(error)? {
        names.push(entry.map_err(error)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
