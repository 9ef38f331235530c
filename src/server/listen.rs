//! Listening, and stopping without breaking a request.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::http::KeepAlive;
use actix_web::http::header::HeaderValue;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::body::JsonLimits;
use super::cors::Cors;
use super::edge::{self, Edge, Routes};
use super::gate::Gate;
use crate::config::ServerConfig;

/// How long a client may take to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 2048;
/// How long connections that are established are still accepted once the server is told to stop, and those in use are told with
/// their next answer that it is the last.
const LAST_ACCEPTS: Duration = Duration::from_millis(100);

/// A server that listens and does not answer yet.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Takes the port. Clients that connect from now on wait until [`Listening::serve`] answers.
    pub fn bind(config: &ServerConfig) -> io::Result<Listening> {
        let address = (config.host.as_str(), config.port).to_socket_addrs()?.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("HOST {} has no address", config.host))
        })?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        // Handed down to every connection. Nobody else ends one whose client reads nothing: what waits for it cannot be flushed.
        #[cfg(target_os = "linux")]
        if let Err(error) = socket.set_tcp_user_timeout(Some(config.send_timeout)) {
            tracing::debug!(%error, "connections of clients that read nothing stay open");
        }
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        Ok(Listening { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until SIGTERM or SIGINT, then lets what runs finish and returns. A second signal ends the process at once.
    pub async fn serve<R: Routes>(self, config: &ServerConfig, gate: Gate, routes: Arc<R>) -> io::Result<()> {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let stopped = routes.clone();
        let edge = Data::new(Edge {
            routes,
            limits: JsonLimits { most_bytes: config.max_payload_bytes, most_depth: config.max_json_depth },
            trusted_proxies: config.trusted_proxies.clone(),
            address_header: config.address_header.clone(),
            compression: config.compression,
            gate: Arc::new(gate),
            cors: config.cors.as_ref().map(Cors::new),
            hsts: config.hsts.and_then(|max_age| {
                HeaderValue::try_from(format!("max-age={}; includeSubDomains", max_age.as_secs())).ok()
            }),
            is_stopping: is_stopping.clone(),
        });
        let listener = self.listener.try_clone()?;
        let app = move || App::new().app_data(edge.clone()).default_service(web::to(edge::handle::<R>));
        let server = HttpServer::new(app)
            .workers(config.workers)
            .disable_signals()
            .shutdown_timeout(config.shutdown_timeout.as_secs().max(1))
            .client_request_timeout(HEADER_TIMEOUT)
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            .listen(listener)?
            .run();
        let mut signals = Signals::new()?;
        let handle = server.handle();
        let running = tokio::spawn(async move {
            signals.next().await;
            tracing::info!("stopping: requests in flight are finished first");
            is_stopping.store(true, Ordering::Relaxed);
            stopped.stop();
            refuse_new_connections(&self.listener);
            tokio::time::sleep(LAST_ACCEPTS).await;
            tokio::spawn(async move {
                signals.next().await;
                tracing::warn!("stopped at once by a second signal");
                std::process::exit(130);
            });
            handle.stop(true).await;
        });
        let result = server.await;
        running.abort();
        result
    }
}

/// Makes the system ignore new connections while those that are established are still accepted: to close a listener that has
/// some waiting resets them, perhaps with a request already sent.
#[cfg(target_os = "linux")]
fn refuse_new_connections(listener: &TcpListener) {
    // The filter is one instruction, `return 0`: no packet for the listener passes. Clients that try to connect try again a second
    // later and are then refused.
    const RETURN: u16 = 0x06;
    let nothing_passes = [socket2::SockFilter::new(RETURN, 0, 0, 0)];
    if let Err(error) = socket2::SockRef::from(listener).attach_filter(&nothing_passes) {
        tracing::debug!(%error, "new connections cannot be held off while stopping");
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_new_connections(_listener: &TcpListener) {}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
