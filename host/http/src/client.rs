//! One command, as a client of the server: in, AUTH, command, reply, gone.

use std::net::SocketAddr;

use hyper::StatusCode;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::answer::{self, Answer, Refusal};
use crate::door::Entrance;
use crate::value::{self, Reply};

/// User and password.
pub(crate) type Identity = (Vec<u8>, Vec<u8>);

/// Somebody whom the server has let in, and who is whoever the request says.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Comes in, and says who it is. Whom the server does not take, or does not know although it wants
    /// to, is refused here.
    pub(crate) async fn enter(
        entrance: &Entrance,
        peer: SocketAddr,
        identity: Option<Identity>,
    ) -> Result<Self, Refusal> {
        let stream = entrance(peer).map_err(|text| {
            let busy = text.contains("max number of clients");
            let status = if busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::FORBIDDEN };
            Refusal::new(status, text)
        })?;
        stream.set_nonblocking(true).map_err(|error| broken(&error))?;
        let stream = UnixStream::from_std(stream).map_err(|error| broken(&error))?;
        let mut stream = BufReader::new(stream);
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some((user, password)) = &identity {
            hello.extend([b"AUTH".as_slice(), user, password]);
        }
        // HELLO itself is refused to whom nobody knows; then the command is, in other words.
        if let Reply::Error(text) =
            call(&mut stream, &hello).await.map_err(|error| broken(&error))?
            && (identity.is_some() || text.starts_with("NOAUTH"))
        {
            return Err(Refusal::of_reply(text));
        }
        Ok(Self { stream })
    }

    /// Runs a command. It is given up when the future is dropped: the server sees its client go.
    pub(crate) async fn run(mut self, words: &[Vec<u8>]) -> Result<Answer, Refusal> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match call(&mut self.stream, &words).await.map_err(|error| broken(&error))? {
            Reply::Value(value) => Ok(answer::result(value)),
            Reply::Error(text) => Err(Refusal::of_reply(text)),
        }
    }
}

fn broken(error: &std::io::Error) -> Refusal {
    Refusal::new(StatusCode::BAD_GATEWAY, format!("ERR the server has hung up: {error}"))
}

async fn call(stream: &mut BufReader<UnixStream>, words: &[&[u8]]) -> std::io::Result<Reply> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    // The server may answer, and hang up, before it has read everything.
    let sent = stream.write_all(&request).await;
    match value::read(stream).await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => sent.and(Err(error)),
        reply => reply,
    }
}
