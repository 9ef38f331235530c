//! Requests written byte by byte, for what a proper client refuses to send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back over a connection.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// Sends these bytes over a new connection and reads one answer. Fails when the connection ends without one.
pub async fn exchange(address: &str, request: &[u8]) -> std::io::Result<RawAnswer> {
    let mut stream = TcpStream::connect(address).await?;
    // A server may answer and close before it has read everything; what it said still counts.
    let sent = stream.write_all(request).await;
    match read_answer(&mut stream).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

/// Reads one answer with a known length, or to the end of the connection.
pub async fn read_answer(stream: &mut TcpStream) -> std::io::Result<RawAnswer> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 8192];
    let head_end = loop {
        if let Some(position) = find(&bytes, b"\r\n\r\n") {
            break position;
        }
        match stream.read(&mut chunk).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(head_end + 4);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    loop {
        let complete = match length {
            Some(length) => body.len() >= length,
            None if chunked => body.ends_with(b"0\r\n\r\n"),
            None => status == 204 || status == 304,
        };
        if complete {
            return Ok(RawAnswer { status, head, body });
        }
        match stream.read(&mut chunk).await? {
            0 if length.is_none() && !chunked => return Ok(RawAnswer { status, head, body }),
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => body.extend_from_slice(&chunk[..count]),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
