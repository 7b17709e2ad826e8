//! The station's interface for programs of the same computer, over HTTP on loopback: uploads,
//! results, metrics and health. All but the last two need the token that lies in the data folder.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, Multipart, Path as UrlPath, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use crate::health::Health;
use crate::intake::{ReceiveError, Receiver, Way};
use crate::page::PageError;
use crate::reading::Bell;
use crate::report::Station;
use crate::store::{DeliveryState, Incoming, Origin, Store, StoreError};

/// What multipart bodies have beside a film, and the most bytes of other bodies.
const ENVELOPE: usize = 64 << 10;

/// How long a caller may keep silent in the middle of a request, or between two.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(600);

/// The most uploads at a time.
const UPLOADS: usize = 4;

/// The most pages that are made at a time: each decodes a film.
const PAGES: usize = 1;

/// How long requests may take once the station is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// The most films of one listing.
const MOST_LISTED: usize = 1000;

/// The interface's state.
#[derive(Clone)]
pub struct Interface {
    receiver: Receiver,
    station: Station,
    token: String,
    most: u64,
    uploads: Arc<Semaphore>,
    pages: Arc<Semaphore>,
    /// Wakes those who send.
    outboxes: Arc<Bell>,
}

impl Interface {
    /// An interface to what `receiver` has, for callers who know `token`; a film's file has `most`
    /// bytes at most.
    /// `station` is on pages, and `outboxes` wakes those who send.
    pub fn new(
        receiver: Receiver,
        station: Station,
        token: String,
        most: u64,
        outboxes: Arc<Bell>,
    ) -> Self {
        Self {
            receiver,
            station,
            token,
            most,
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            pages: Arc::new(Semaphore::new(PAGES)),
            outboxes,
        }
    }

    /// Binds `address`.
    ///
    /// # Errors
    /// The system's, such as that the port is in use.
    pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Serves on `socket` until `stopped`; must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system's.
    pub async fn run(
        self,
        socket: std::net::TcpListener,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let socket = Timed(tokio::net::TcpListener::from_std(socket)?);
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        let uploads = DefaultBodyLimit::max(most.saturating_add(ENVELOPE));
        let protected = Router::new()
            .route("/films", post(upload).layer(uploads).get(films))
            .route("/films/{film}", get(film))
            .route("/films/{film}/page.pdf", get(page))
            .route("/films/{film}/acknowledge", post(acknowledge))
            .route("/films/{film}/read-anyway", post(read_anyway))
            .route("/films/{film}/delivered", post(delivered))
            .route("/films/{film}/offers", get(offers))
            .route("/films/{film}/order", post(set_order))
            .route("/worklist", get(worklist))
            .route("/self-test", post(want_self_test).get(self_test))
            .route("/deliveries", get(deliveries))
            .route("/deliveries/{delivery}/send-again", post(send_again))
            .route_layer(middleware::from_fn_with_state(self.clone(), require_token));
        let router = Router::new()
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .merge(protected)
            .layer(DefaultBodyLimit::max(ENVELOPE))
            .layer(middleware::from_fn(limit_time))
            .with_state(self);
        let (tell, told) = tokio::sync::oneshot::channel();
        let stopping = async move {
            stopped.await;
            tell.send(()).ok();
        };
        let server = axum::serve(socket, router).with_graceful_shutdown(stopping);
        // A caller that holds its connection open must not hold the station.
        let late = async {
            told.await.ok();
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = server => served,
            () = late => Ok(()),
        }
    }

    fn store(&self) -> &Arc<Store> {
        &self.receiver.store
    }
}

/// Accepts connections that end when their callers keep silent.
struct Timed(tokio::net::TcpListener);

impl Listener for Timed {
    type Io = Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (socket, address) = Listener::accept(&mut self.0).await;
        let mut stream = TimeoutStream::new(socket);
        stream.set_read_timeout(Some(SILENCE));
        stream.set_write_timeout(Some(SILENCE));
        (Box::pin(stream), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// Ends requests that take too long.
async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refusal(
            StatusCode::REQUEST_TIMEOUT,
            "the request took too long: send it again",
        ),
    }
}

/// Refuses those who do not know the token.
async fn require_token(
    State(interface): State<Interface>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let given = headers.get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    // Digests are compared, so that the time it takes tells nothing about the token.
    let digest = |token: &str| Sha256::digest(token.as_bytes());
    match given {
        Some(given) if digest(given) == digest(&interface.token) => next.run(request).await,
        _ => {
            let what = "give the token of the data folder: Authorization: Bearer TOKEN";
            refusal(StatusCode::UNAUTHORIZED, what)
        }
    }
}

/// Why a request was not served.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        refusal(self.0, &self.1)
    }
}

fn refusal(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({ "error": what }))).into_response()
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::NoFilm(_) | StoreError::NoDelivery(_) | StoreError::NoExamination(_) => {
                StatusCode::NOT_FOUND
            }
            StoreError::State { .. } => StatusCode::CONFLICT,
            StoreError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            StoreError::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            _ => {
                tracing::error!(%error, "a request could not be served");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self(status, error.to_string())
    }
}

impl From<ReceiveError> for Failure {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Store(error) => error.into(),
            ReceiveError::NotWhole(error) => {
                Self(StatusCode::UNPROCESSABLE_ENTITY, error.sentence())
            }
            other => Self(StatusCode::UNPROCESSABLE_ENTITY, other.to_string()),
        }
    }
}

impl From<PageError> for Failure {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Store(error) => error.into(),
            PageError::Decode(_) => Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            PageError::Report(_) => {
                tracing::error!(%error, "a page could not be made");
                Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
        }
    }
}

/// Does `work`, which waits for the disk, beside the tasks.
async fn blocking<T: Send + 'static, E: Into<Failure> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => {
            let what = "the request's work failed; see the station's log".to_owned();
            Err(Failure(StatusCode::INTERNAL_SERVER_ERROR, what))
        }
    }
}

/// A film that was uploaded.
#[derive(Serialize)]
struct Uploaded {
    film: i64,
    kept: &'static str,
}

async fn upload(
    State(interface): State<Interface>,
    mut body: Multipart,
) -> Result<(StatusCode, Json<Vec<Uploaded>>), Failure> {
    let broken = |error: MultipartError| {
        let status = match error.status() {
            // Axum's status for a body that ends too early, which is the sender's fault.
            StatusCode::INTERNAL_SERVER_ERROR => StatusCode::BAD_REQUEST,
            status => status,
        };
        let what = format!("the upload is damaged: {}", error.body_text());
        Failure(status, what)
    };
    let Ok(_one) = interface.uploads.try_acquire() else {
        let what = format!("{UPLOADS} uploads are coming in: send it later");
        return Err(Failure(StatusCode::SERVICE_UNAVAILABLE, what));
    };
    let mut uploaded = Vec::new();
    while let Some(mut field) = body.next_field().await.map_err(broken)? {
        let name = field.file_name().unwrap_or("upload").to_owned();
        let store = Arc::clone(interface.store());
        let mut incoming: Incoming = blocking(move || store.begin()).await?;
        while let Some(bytes) = field.chunk().await.map_err(broken)? {
            incoming = blocking(move || {
                incoming.write(&bytes)?;
                Ok::<_, StoreError>(incoming)
            })
            .await?;
        }
        let receiver = interface.receiver.clone();
        let kept = blocking(move || {
            let way = Way {
                origin: Origin::Http,
                sender: &name,
                announced: None,
            };
            receiver.receive(incoming, &way)
        })
        .await?;
        uploaded.push(Uploaded {
            film: kept.film(),
            kept: kept.name(),
        });
    }
    match uploaded.is_empty() {
        true => {
            let what = "the upload holds no file: send one as multipart/form-data".to_owned();
            Err(Failure(StatusCode::BAD_REQUEST, what))
        }
        false => Ok((StatusCode::CREATED, Json(uploaded))),
    }
}

/// How many of the newest films are listed.
#[derive(Deserialize)]
struct Listed {
    #[serde(default = "fifty")]
    newest: usize,
}

fn fifty() -> usize {
    50
}

async fn films(
    State(interface): State<Interface>,
    Query(listed): Query<Listed>,
) -> Result<Response, Failure> {
    let films = blocking(move || {
        let store = interface.store();
        let films = store.newest(listed.newest.min(MOST_LISTED))?.into_iter();
        films
            .map(|film| store.film(film))
            .collect::<Result<Vec<_>, StoreError>>()
    });
    Ok(Json(films.await?).into_response())
}

async fn film(
    State(interface): State<Interface>,
    UrlPath(film): UrlPath<i64>,
) -> Result<Response, Failure> {
    let film = blocking(move || interface.store().film(film)).await?;
    Ok(Json(film).into_response())
}

/// A film's newest result as a page.
async fn page(
    State(interface): State<Interface>,
    UrlPath(film): UrlPath<i64>,
) -> Result<Response, Failure> {
    // It is never closed; callers wait for their turn, which lasts until the page is made, even if its caller
    // has gone.
    let one = Arc::clone(&interface.pages).acquire_owned().await.ok();
    let Interface {
        receiver, station, ..
    } = interface.clone();
    let pdf = blocking(move || {
        let made = crate::page::newest(&receiver.store, &station, &receiver.program, film);
        drop(one);
        made
    });
    let pdf = pdf.await?;
    Ok(([(header::CONTENT_TYPE, "application/pdf")], pdf).into_response())
}

/// Who asks for a change, and why.
#[derive(Deserialize)]
struct Change {
    who: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    to: String,
}

impl Change {
    /// Refuses a change without a name, or without the text that `needed` tells of.
    fn require(&self, text: &str, needed: &str) -> Result<(), Failure> {
        let given = |text: &str| !text.trim().is_empty();
        match given(&self.who) && given(text) {
            true => Ok(()),
            false => {
                let what = format!("say who asks for it{needed}");
                Err(Failure(StatusCode::BAD_REQUEST, what))
            }
        }
    }
}

async fn acknowledge(
    State(interface): State<Interface>,
    UrlPath(film): UrlPath<i64>,
    Json(change): Json<Change>,
) -> Result<StatusCode, Failure> {
    change.require(&change.who, ": {\"who\": ...}")?;
    blocking(move || interface.store().acknowledge(film, &change.who)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read_anyway(
    State(interface): State<Interface>,
    UrlPath(film): UrlPath<i64>,
    Json(change): Json<Change>,
) -> Result<StatusCode, Failure> {
    change.require(&change.why, " and why: {\"who\": ..., \"why\": ...}")?;
    let bell = Arc::clone(&interface.receiver.bell);
    blocking(move || {
        interface
            .store()
            .read_anyway(film, &change.who, &change.why)
    })
    .await?;
    bell.ring();
    Ok(StatusCode::NO_CONTENT)
}

async fn delivered(
    State(interface): State<Interface>,
    UrlPath(film): UrlPath<i64>,
    Json(change): Json<Change>,
) -> Result<StatusCode, Failure> {
    change.require(&change.to, " and where to: {\"who\": ..., \"to\": ...}")?;
    blocking(move || interface.store().deliver(film, &change.who, &change.to)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn worklist(State(interface): State<Interface>) -> Result<Response, Failure> {
    let worklist = blocking(move || interface.store().worklist()).await?;
    Ok(Json(worklist).into_response())
}

/// The planned examinations that a film may be of.
async fn offers(
    State(interface): State<Interface>,
    UrlPath(film): UrlPath<i64>,
) -> Result<Response, Failure> {
    let offers = blocking(move || interface.store().offers(film)).await?;
    Ok(Json(offers).into_response())
}

/// Who says of which examination a film is.
#[derive(Deserialize)]
struct Chosen {
    who: String,
    examination: i64,
}

async fn set_order(
    State(interface): State<Interface>,
    UrlPath(film): UrlPath<i64>,
    Json(chosen): Json<Chosen>,
) -> Result<StatusCode, Failure> {
    let Chosen { who, examination } = chosen;
    if who.trim().is_empty() {
        let what = "say who asks for it: {\"who\": ..., \"examination\": ...}".to_owned();
        return Err(Failure(StatusCode::BAD_REQUEST, what));
    }
    let bell = Arc::clone(&interface.outboxes);
    blocking(move || interface.store().set_order(film, examination, &who)).await?;
    bell.ring();
    Ok(StatusCode::NO_CONTENT)
}

/// Has the station test itself.
async fn want_self_test(State(interface): State<Interface>) -> StatusCode {
    interface.receiver.self_test.want();
    StatusCode::ACCEPTED
}

/// The newest self-test, whether it has ended or runs.
async fn self_test(State(interface): State<Interface>) -> Result<Response, Failure> {
    let newest = blocking(move || interface.store().newest_self_test()).await?;
    Ok(Json(newest).into_response())
}

/// Which of the newest deliveries are listed.
#[derive(Deserialize)]
struct ListedDeliveries {
    #[serde(default = "fifty")]
    newest: usize,
    film: Option<i64>,
    state: Option<DeliveryState>,
}

async fn deliveries(
    State(interface): State<Interface>,
    Query(listed): Query<ListedDeliveries>,
) -> Result<Response, Failure> {
    let most = listed.newest.min(MOST_LISTED);
    let deliveries = blocking(move || {
        interface
            .store()
            .deliveries(listed.film, listed.state, most)
    });
    Ok(Json(deliveries.await?).into_response())
}

async fn send_again(
    State(interface): State<Interface>,
    UrlPath(delivery): UrlPath<i64>,
    Json(change): Json<Change>,
) -> Result<StatusCode, Failure> {
    change.require(&change.who, ": {\"who\": ...}")?;
    let bell = Arc::clone(&interface.outboxes);
    blocking(move || interface.store().send_again(delivery, &change.who)).await?;
    bell.ring();
    Ok(StatusCode::NO_CONTENT)
}

/// The station's health: `healthy`, or what is wrong.
async fn health(State(interface): State<Interface>) -> Result<Response, Failure> {
    let receiver = interface.receiver;
    let Health { faults, audit } =
        blocking(move || Ok::<_, StoreError>(Health::of(&receiver))).await?;
    let status = match faults.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let audit = audit.map(|newest| json!({ "sequence": newest.sequence, "hash": newest.hash }));
    let body = json!({ "healthy": faults.is_empty(), "wrong": faults, "audit": audit });
    Ok((status, Json(body)).into_response())
}

async fn metrics(State(interface): State<Interface>) -> Result<Response, Failure> {
    let metrics = Arc::clone(&interface.receiver.metrics);
    let text = blocking(move || metrics.text(interface.store(), &interface.receiver.clock));
    let text = text.await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
