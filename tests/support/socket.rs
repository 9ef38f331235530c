//! Sockets and what is said over them.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::client::Client;

/// How long something is waited for that has to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is waited for something that must not come.
const SILENCE: Duration = Duration::from_millis(400);

/// A socket, as a client has it. Pings of the protocol are answered and not seen.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// Pings are seen and not answered.
    pub is_rude: bool,
}

impl Socket {
    /// A socket that is open.
    pub async fn open(client: &Client) -> Socket {
        Self::open_at(client, "/websocket", &[]).await.expect("a socket")
    }

    /// A socket of somebody who is known by the token of this client.
    pub async fn signed_in(client: &Client) -> Socket {
        let mut socket = Self::open(client).await;
        let answer = socket.ask(json!({ "type": "auth", "access_token": client.token() })).await;
        assert_eq!(answer, json!({ "type": "auth", "status": "ok" }));
        socket
    }

    /// A socket at this path with these headers, or the status of the refusal.
    pub async fn open_at(client: &Client, path: &str, headers: &[(&str, &str)]) -> Result<Socket, u16> {
        let mut request =
            format!("ws://{}{path}", client.address()).into_client_request().expect("a request");
        for (name, value) in headers {
            let name: reqwest::header::HeaderName = name.parse().expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let stream = TcpStream::connect(client.address()).await.expect("connected");
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((stream, _)) => Ok(Socket { stream, is_rude: false }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no socket: {error}"),
        }
    }

    pub async fn send(&mut self, message: Value) {
        self.send_raw(Message::text(message.to_string())).await.expect("sent");
    }

    pub async fn send_raw(&mut self, message: Message) -> Result<(), Error> {
        self.stream.send(message).await
    }

    /// The bytes beneath, for what is no frame.
    pub fn bytes(&mut self) -> &mut TcpStream {
        self.stream.get_mut()
    }

    /// The next message, or the code with which the socket was closed, 1005 for none and 1006 without a close frame.
    pub async fn hear(&mut self, within: Duration) -> Option<Result<Value, u16>> {
        let end = Instant::now() + within;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.stream.next()).await {
                Err(_) => return None,
                Ok(Some(Ok(Message::Text(text)))) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    if message == json!({ "type": "ping" }) && !self.is_rude {
                        self.send(json!({ "type": "pong" })).await;
                        continue;
                    }
                    return Some(Ok(message));
                }
                Ok(Some(Ok(Message::Close(frame)))) => {
                    return Some(Err(frame.map_or(1005, |frame| frame.code.into())));
                }
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_)) | None) => return Some(Err(1006)),
            }
        }
    }

    /// The next message.
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            match self.hear(PATIENCE).await {
                Some(Ok(message)) => message,
                Some(Err(code)) => panic!("closed with {code} ({caller})"),
                None => panic!("nothing came ({caller})"),
            }
        }
    }

    /// The answer to a message.
    pub async fn ask(&mut self, message: Value) -> Value {
        self.send(message).await;
        self.next().await
    }

    /// Subscribes, and gives the first answer.
    pub async fn subscribe(&mut self, mut message: Value) -> Value {
        message["type"] = json!("subscribe");
        let first = self.ask(message).await;
        assert_eq!(first["type"], "subscription", "{first}");
        first
    }

    /// Nothing is said for a while.
    #[track_caller]
    pub fn silent(&mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let heard = self.hear(SILENCE).await;
            assert!(heard.is_none(), "{heard:?} ({caller})");
        }
    }

    /// The code with which the socket is closed.
    pub async fn closed(&mut self) -> u16 {
        let end = Instant::now() + 2 * PATIENCE;
        loop {
            match self.hear(end.saturating_duration_since(Instant::now())).await {
                Some(Ok(_)) => {}
                Some(Err(code)) => return code,
                None => panic!("it is still open"),
            }
        }
    }
}

/// The code of a message that tells of an error.
#[track_caller]
pub fn code(message: &Value) -> &str {
    assert_eq!(message["status"], "error", "{message}");
    assert!(message["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{message}");
    message["error"]["code"].as_str().unwrap_or_else(|| panic!("no code: {message}"))
}
