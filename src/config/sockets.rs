//! What the operator decides about sockets.

use std::time::Duration;

/// Sockets, where there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketsConfig {
    /// The protocol of the public API.
    pub rest: Option<DoorConfig>,
    /// GraphQL over a socket.
    pub graphql: Option<DoorConfig>,
    /// How often a socket is asked whether somebody is there.
    pub heartbeat: Option<Duration>,
    /// Most sockets of one address.
    pub most_per_client: usize,
    /// Most subscriptions of one socket.
    pub most_subscriptions: usize,
    /// Largest message that is taken, in bytes.
    pub most_message_bytes: usize,
    /// Messages that a socket may send in a second, over a few seconds.
    pub messages_per_second: u32,
    /// Messages that may wait for a client that reads slowly.
    pub queue_messages: usize,
    /// Their size together, in bytes.
    pub queue_bytes: usize,
    /// Events that are remembered for those who come back.
    pub history: usize,
}

/// One of the two protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorConfig {
    /// Where it is, with a slash before each part.
    pub path: String,
    /// Most sockets; `None` for any number.
    pub most_connections: Option<usize>,
    /// When a client has to say who it is.
    pub auth: SocketAuth,
    /// How long that may take.
    pub auth_timeout: Duration,
}

/// When a client of a socket has to say who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketAuth {
    /// Whenever it likes.
    Public,
    /// With its first message.
    Handshake,
    /// With the request that opens the socket.
    Strict,
}

impl SocketAuth {
    /// Its name in settings and in the API.
    pub fn name(self) -> &'static str {
        match self {
            SocketAuth::Public => "public",
            SocketAuth::Handshake => "handshake",
            SocketAuth::Strict => "strict",
        }
    }
}
