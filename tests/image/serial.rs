//! A root shell on a serial line: one command, its output, its exit code.

use anyhow::ensure;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Of the shell that systemd's debug-shell.service starts.
const PROMPT: &str = ":/# ";

/// The far end of a serial line, over all boots of the machine it belongs to.
#[derive(Debug)]
pub struct Shell {
    line: UnixStream,
    /// Numbers the commands: the late answer of a shell that is gone is nobody else's.
    asked: u32,
}

impl Shell {
    /// Connects to the socket of the line.
    pub fn connect(socket: &Path) -> anyhow::Result<Self> {
        let line = UnixStream::connect(socket)?;
        line.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self { line, asked: 0 })
    }

    /// Waits for a shell that begins, and talks it into saying nothing but what it is asked: no echo, no prompt, no line
    /// editor. Nothing is sent before: until Linux has the line, firmware and boot loader take it for their keyboard.
    pub fn await_prompt(&mut self, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(PROMPT) {
            ensure!(start.elapsed() < limit, "no shell on the serial line within {limit:?}");
            self.listen(&mut heard)?;
        }
        writeln!(self.line, "stty -echo; PS1= exec /bin/sh")?;
        self.ask("true", limit).map(drop)
    }

    /// Takes what comes within a second, if anything.
    fn listen(&mut self, heard: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut bytes = [0; 4096];
        match self.line.read(&mut bytes) {
            Ok(0) => anyhow::bail!("the serial line is closed"),
            Ok(length) => heard.extend_from_slice(&bytes[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Runs a command; what it printed and its exit code. The markers are spelt with a gap, so that the echo of the
    /// command line is not taken for the answer.
    pub fn ask(&mut self, command: &str, limit: Duration) -> anyhow::Result<(String, i32)> {
        let start = Instant::now();
        self.asked += 1;
        let (begin, end) = (format!("==begin {}==", self.asked), format!("==end {} ", self.asked));
        let gap = |marker: &str| marker.replacen("==", "=''=", 1);
        writeln!(self.line, "echo {}; {command}\necho {}$? '=='", gap(&begin), gap(&end))?;
        let mut heard = Vec::new();
        loop {
            self.listen(&mut heard)?;
            let text = String::from_utf8_lossy(&heard);
            if let Some((_, answer)) = text.split_once(&begin)
                && let Some((output, code)) = answer.split_once(&end)
                && let Some((code, _)) = code.split_once(" ==")
            {
                return Ok((output.replace('\r', "").trim().to_owned(), code.trim().parse()?));
            }
            ensure!(start.elapsed() < limit, "no answer to '{command}' within {limit:?}; heard: {text}");
        }
    }
}
