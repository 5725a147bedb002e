//! What a running application counts, which shows that nothing disturbed it.

use super::lines::Lines;

/// Lines that may be on their way already when something happens, and as many again: three seconds of a ticker.
const CLEARLY_MORE: u32 = 60;

/// The last number that a ticker said. It counts upwards for as long as one instance lives, and from 0 in the next.
pub struct Count {
    word: String,
    last: u32,
}

impl Count {
    /// The count as it stands, from what `lines` brings from now on.
    pub fn of(word: &str, lines: &mut Lines) -> Self {
        lines.skip();
        let last = lines.next(&format!("a number after {word:?}"), |line| number(line, word));
        Self { word: word.to_owned(), last }
    }

    /// Waits until it has gone on, by more than what was said before this is called, and did not begin anew meanwhile.
    pub fn goes_on(&mut self, lines: &mut Lines) {
        let Self { word, last } = self;
        let mut take = |line: &str| {
            let number = number(line, word)?;
            assert!(number > *last, "{word:?} began anew: {number} after {last}");
            *last = number;
            Some(number)
        };
        lines.pass(|line| {
            take(line);
        });
        let enough = lines.next("it goes on counting", &mut take) + CLEARLY_MORE;
        lines.next("it goes on counting", |line| take(line).filter(|number| *number >= enough));
    }
}

/// The number after a ticker's word, in a line of a log whatever else stands in it.
fn number(line: &str, word: &str) -> Option<u32> {
    let (_, after) = line.split_once(&format!("{word} "))?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
