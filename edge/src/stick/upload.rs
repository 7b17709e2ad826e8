//! Giving films to the station that runs on this computer, by its interface for uploads.

use std::fs;
use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use ureq::http::{StatusCode, header};
use ureq::{Agent, Body};
use uuid::Uuid;

use crate::config::Settings;
use crate::store::TOKEN;

/// The longest that one upload may take.
const UPLOAD: Duration = Duration::from_secs(600);

const CONNECT: Duration = Duration::from_secs(10);

/// The most bytes of an answer that are read.
const MOST_ANSWER: u64 = 1 << 16;

/// A way to the running station.
pub(super) struct Uploader {
    agent: Agent,
    url: String,
    authorization: String,
}

impl Uploader {
    /// The way to the station with `settings`.
    ///
    /// # Errors
    /// If it does not run.
    pub fn of(settings: &Settings) -> Result<Self> {
        let path = settings.data.join(TOKEN);
        let token = fs::read_to_string(&path).with_context(|| {
            format!("{} cannot be read: start the station once", path.display())
        })?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(UPLOAD))
            .build();
        let uploader = Self {
            agent: config.into(),
            url: format!("http://{}", settings.http.listen),
            authorization: format!("Bearer {}", token.trim()),
        };
        let health = uploader
            .agent
            .get(format!("{}/health", uploader.url))
            .call();
        health.with_context(|| {
            format!(
                "no station answers at {}: start it, or copy the files into a folder by --out DIR",
                uploader.url
            )
        })?;
        Ok(uploader)
    }

    /// Uploads a film from `name`. Returns true if the station did not have it; an error is in words.
    pub fn upload(&self, name: &str, film: &[u8]) -> Result<bool, String> {
        let boundary = Uuid::new_v4().simple().to_string();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"film\"; filename=\"{name}\"\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let body = [head.as_bytes(), film, tail.as_bytes()].concat();
        let answer = (self.agent)
            .post(format!("{}/films", self.url))
            .header(header::AUTHORIZATION, &self.authorization)
            .header(
                header::CONTENT_TYPE,
                format!("multipart/form-data; boundary={boundary}"),
            )
            .send(&body);
        let answer = answer.map_err(|error| format!("the station does not answer ({error})"))?;
        let status = answer.status();
        let told = read(answer.into_body());
        match status {
            StatusCode::CREATED => Ok(told[0]["kept"] != "known"),
            status => {
                let why = told["error"].as_str().unwrap_or_default();
                Err(format!("the station answers with status {status}: {why}"))
            }
        }
    }
}

fn read(mut body: Body) -> Value {
    let mut bytes = Vec::new();
    let reader = body.as_reader();
    reader.take(MOST_ANSWER).read_to_end(&mut bytes).ok();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
