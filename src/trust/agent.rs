//! ssh-agent, as far as signing needs it (draft-ietf-sshm-ssh-agent): which keys it holds, and a signature by one.

use ssh_key::Signature;
use ssh_key::public::KeyData;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// An agent answers in some kilobytes; OpenSSH's own limit is 256 KiB.
const MOST_ANSWER_BYTES: u32 = 256 * 1024;
/// A token waits for a touch, a pop-up for a click; then the person has gone away.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to ssh-agent.
#[derive(Debug)]
pub struct Agent {
    stream: UnixStream,
}

/// Why the agent did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is none.
    #[error("no ssh-agent is running here: SSH_AUTH_SOCK is not set")]
    None,
    /// It cannot be talked to.
    #[error("cannot talk to ssh-agent")]
    Io(#[from] io::Error),
    /// It does not hold the key.
    #[error("ssh-agent does not hold this key")]
    NotHeld,
    /// It did not sign: locked, or nobody touched the token.
    #[error("ssh-agent refused to sign")]
    Refused,
    /// It answered something else.
    #[error("ssh-agent gave an answer that makes no sense")]
    Nonsense,
}

impl Agent {
    /// Connects to the agent that the environment names.
    ///
    /// # Errors
    /// When there is none.
    pub fn connect() -> Result<Self, AgentError> {
        let path = std::env::var_os("SSH_AUTH_SOCK").ok_or(AgentError::None)?;
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// Whether it holds a key.
    ///
    /// # Errors
    /// [`AgentError::NotHeld`] if it does not.
    pub fn holds(&mut self, key: &KeyData) -> Result<(), AgentError> {
        let answer = self.ask(&[REQUEST_IDENTITIES])?;
        let wanted = blob(key)?;
        let mut rest = answer.strip_prefix(&[IDENTITIES_ANSWER]).ok_or(AgentError::Nonsense)?;
        let count = number(&mut rest)?;
        for _ in 0..count {
            let (held, _comment) = (string(&mut rest)?, string(&mut rest)?);
            if held == wanted {
                return Ok(());
            }
        }
        Err(AgentError::NotHeld)
    }

    /// Lets it sign `data` with a key it holds.
    ///
    /// # Errors
    /// When it refuses or makes no sense.
    pub fn sign(&mut self, key: &KeyData, data: &[u8]) -> Result<Signature, AgentError> {
        let mut request = vec![SIGN_REQUEST];
        put(&mut request, &blob(key)?)?;
        put(&mut request, data)?;
        // No flags: they only choose among RSA hashes.
        request.extend(0_u32.to_be_bytes());
        let answer = self.ask(&request)?;
        let mut rest = answer.strip_prefix(&[SIGN_RESPONSE]).ok_or(AgentError::Refused)?;
        Signature::try_from(string(&mut rest)?).map_err(|_| AgentError::Nonsense)
    }

    fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, AgentError> {
        let mut message = Vec::new();
        put(&mut message, request)?;
        self.stream.write_all(&message)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > MOST_ANSWER_BYTES {
            return Err(AgentError::Nonsense);
        }
        let mut answer = vec![0; usize::try_from(length).map_err(|_| AgentError::Nonsense)?];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

fn blob(key: &KeyData) -> Result<Vec<u8>, AgentError> {
    ssh_key::PublicKey::from(key.clone()).to_bytes().map_err(|_| AgentError::Nonsense)
}

/// Appends a length and the bytes.
fn put(message: &mut Vec<u8>, bytes: &[u8]) -> Result<(), AgentError> {
    let length = u32::try_from(bytes.len()).map_err(|_| AgentError::Nonsense)?;
    message.extend(length.to_be_bytes());
    message.extend(bytes);
    Ok(())
}

fn number(rest: &mut &[u8]) -> Result<u32, AgentError> {
    let (number, after) = rest.split_first_chunk::<4>().ok_or(AgentError::Nonsense)?;
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], AgentError> {
    let length = usize::try_from(number(rest)?).map_err(|_| AgentError::Nonsense)?;
    let (string, after) = rest.split_at_checked(length).ok_or(AgentError::Nonsense)?;
    *rest = after;
    Ok(string)
}
