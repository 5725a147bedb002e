//! Reading what a device prints on its UART, as it comes.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{FallocateFlags, fallocate};

/// How often a file is looked at for more.
const LOOK: Duration = Duration::from_millis(100);

/// A file that grows, and that begins anew from time to time, what was in it being moved to `*.1`, as [`crate::Process`] does
/// with its output.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    at: u64,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
}

impl Tail {
    /// Reads `path` from its beginning. It need not be there yet.
    #[must_use]
    pub fn from_start(path: &Path) -> Self {
        Self { path: path.to_owned(), at: 0, partial: Vec::new() }
    }

    /// Reads only what is not in `path` yet.
    #[must_use]
    pub fn from_end(path: &Path) -> Self {
        let at = std::fs::metadata(path).map_or(0, |file| file.len());
        Self { path: path.to_owned(), at, partial: Vec::new() }
    }

    /// The whole lines that have come since the last call. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// The file cannot be read; that it is not there is no error.
    pub fn lines(&mut self) -> io::Result<Vec<String>> {
        let length = match std::fs::metadata(&self.path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if length < self.at {
            // It began anew; the end of what was in it before lies beside it.
            self.read(&self.path.with_extension("log.1"))?;
            self.at = 0;
        }
        let path = self.path.clone();
        self.at += self.read(&path)?;
        let Some(end) = self.partial.iter().rposition(|&byte| byte == b'\n') else { return Ok(Vec::new()) };
        let whole: Vec<u8> = self.partial.drain(..=end).collect();
        let text = String::from_utf8_lossy(&whole[..end]);
        Ok(text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect())
    }

    /// Waits until there are lines.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn next_lines(&mut self) -> io::Result<Vec<String>> {
        loop {
            let lines = self.lines()?;
            if !lines.is_empty() {
                return Ok(lines);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What came of a line that has no end yet.
    #[must_use]
    pub fn rest(&self) -> String {
        String::from_utf8_lossy(&self.partial).into_owned()
    }

    /// Gives back to the disk what was read. The file keeps its length, so that whoever writes to it goes on where it was.
    ///
    /// # Errors
    /// The file system cannot do that.
    pub fn forget(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let length = file.metadata()?.len().min(self.at);
        let Ok(length) = i64::try_from(length) else { return Ok(()) };
        if length > 0 {
            fallocate(file, FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, length)?;
        }
        Ok(())
    }

    fn read(&mut self, path: &Path) -> io::Result<u64> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.at))?;
        Ok(file.read_to_end(&mut self.partial)? as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the disk works");
        file.write_all(text.as_bytes()).expect("the disk works");
    }

    #[test]
    fn lines_come_once_and_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device-1.log");
        let mut tail = Tail::from_start(&path);
        assert_eq!(tail.lines().expect("it may be missing"), [""; 0]);
        append(&path, "one\r\ntwo\nthr");
        assert_eq!(tail.lines().expect("it is read"), ["one", "two"]);
        assert_eq!(tail.rest(), "thr");
        append(&path, "ee\n\n");
        assert_eq!(tail.lines().expect("it is read"), ["three", ""]);
        assert_eq!(tail.lines().expect("it is read"), [""; 0]);
    }

    #[test]
    fn what_is_there_already_can_be_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device-1.log");
        append(&path, "old\n");
        let mut tail = Tail::from_end(&path);
        append(&path, "new\n");
        assert_eq!(tail.lines().expect("it is read"), ["new"]);
    }

    #[test]
    fn no_line_is_lost_when_the_file_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device-1.log");
        append(&path, "one\n");
        let mut tail = Tail::from_start(&path);
        assert_eq!(tail.lines().expect("it is read"), ["one"]);
        append(&path, "two\nthr");
        std::fs::copy(&path, folder.path().join("device-1.log.1")).expect("the disk works");
        File::create(&path).expect("it is emptied");
        append(&path, "ee\n");
        assert_eq!(tail.lines().expect("it is read"), ["two", "three"]);
    }

    #[test]
    fn what_was_read_takes_no_room_on_the_disk_and_the_writer_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("uart.txt");
        append(&path, &"a long line\n".repeat(1 << 17));
        let mut tail = Tail::from_start(&path);
        assert_eq!(tail.lines().expect("it is read").len(), 1 << 17);
        tail.forget().expect("this file system can");
        let blocks = std::fs::metadata(&path).expect("it is there").blocks();
        assert!(blocks * 512 < 1 << 16, "{blocks} blocks are left");
        append(&path, "new\n");
        assert_eq!(tail.lines().expect("it is read"), ["new"]);
    }

    #[tokio::test]
    async fn whoever_waits_for_lines_gets_them_when_they_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device-1.log");
        let mut tail = Tail::from_start(&path);
        let writer = path.clone();
        let (lines, ()) = tokio::join!(tail.next_lines(), async move { append(&writer, "late\n") });
        assert_eq!(lines.expect("it is read"), ["late"]);
    }
}
