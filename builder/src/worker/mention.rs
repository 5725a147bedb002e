//! Guessing which line uses a part of `std`.

use crate::Closure;
use crate::closure::File;
use crate::outcome::Location;

/// The first line of the package, or of another in its closure, that seems to use a part of `std`: a guess for people, since
/// the module that was refused does not say which line its calls came from.
pub(super) fn of(closure: &Closure, part: &str) -> Option<Location> {
    let words: &[&str] = match part {
        "std::thread::sleep" => &["thread::sleep", "sleep("],
        "std::thread::spawn" => &["thread::spawn", "thread::scope", "thread::Builder", "spawn("],
        "std::time::Instant::now" => &["Instant::now"],
        "std::time::SystemTime::now" => &["SystemTime::now"],
        "std::fs" => &["fs::", "File::"],
        "std::net" => &["net::", "TcpStream::", "TcpListener::", "UdpSocket::"],
        "std::process::Command" => &["Command::new"],
        "std::env::var" => &["env::var", "var("],
        "std::env::args" => &["env::args", "args("],
        "std::env" => &["env::"],
        "std::io::stdin" => &["stdin("],
        _ => return None,
    };
    words.iter().find_map(|word| line_with(closure, word))
}

fn line_with(closure: &Closure, word: &str) -> Option<Location> {
    let sources = closure.files().iter().filter(|(path, _)| path.ends_with(".rs") && !path.ends_with("build.rs"));
    let (own, others): (Vec<_>, Vec<_>) = sources.partition(|(path, _)| path.starts_with(closure.package()));
    own.into_iter().chain(others).find_map(|(path, file)| {
        let File::Regular { bytes, .. } = file else {
            return None;
        };
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().position(|line| {
            let code = line.split("//").next().unwrap_or_default().trim_start();
            code.contains(word) && !code.starts_with("use ")
        })?;
        Some(Location { file: path.clone(), line: u32::try_from(line).ok()? + 1 })
    })
}
