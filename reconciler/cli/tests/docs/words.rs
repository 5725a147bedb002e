//! Command lines in shown code.

/// The words after the program's name, for each command of a shown line that calls `program`, by its name or by a path.
pub(crate) fn commands(shown: &str, program: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    for word in split(shown) {
        match word {
            Word::Separator => commands.push(Vec::new()),
            Word::Text(text) => commands.last_mut().expect("it starts with one").push(text),
        }
    }
    commands.into_iter().filter_map(|words| arguments(words, program)).collect()
}

fn arguments(words: Vec<String>, program: &str) -> Option<Vec<String>> {
    let is_before = |word: &String| word == "$" || word == "exec" || is_assignment(word);
    let mut words = words.into_iter().skip_while(is_before);
    let first = words.next()?;
    let called = first == program || first.ends_with(&format!("/{program}"));
    let rest: Vec<String> = words.collect();
    // The name alone is a word of a sentence, and `wasmbed = ...` a line of a manifest.
    (called && rest.first().is_some_and(|word| word != "=")).then_some(rest)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

enum Word {
    Text(String),
    /// `|`, `;`, `&`, `&&`, `||`, a redirection, or a comment: what follows is another command or none.
    Separator,
}

/// Splits as a shell does: blanks separate, quotes keep together, `#` starts a comment.
fn split(line: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '&' | '>' | '<' | '(' | ')') => {
                words.extend(word.take().map(Word::Text));
                words.push(Word::Separator);
            }
            (None, _) if c.is_whitespace() => words.extend(word.take().map(Word::Text)),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.map(Word::Text));
    words
}

#[test]
fn a_shown_line_is_split_as_a_shell_does() {
    let is = |line: &str, wanted: &[&[&str]]| {
        let wanted: Vec<Vec<String>> =
            wanted.iter().map(|words| words.iter().map(|&w| w.to_owned()).collect()).collect();
        assert_eq!(commands(line, "wasmbed"), wanted, "{line}");
    };
    is("wasmbed", &[]);
    is("wasmbed = { path = \"../sdk\" }", &[]);
    is("$ wasmbed up --state /tmp/x   # everything", &[&["up", "--state", "/tmp/x"]]);
    is("cd fleet && target/release/wasmbed status | less", &[&["status"]]);
    is("WASMBED_STATE=/x wasmbed enroll d --key 'ssh-ed25519 AAAA'", &[&["enroll", "d", "--key", "ssh-ed25519 AAAA"]]);
    is("wasmbed crds > crds.yaml; wasmbed doctor", &[&["crds"], &["doctor"]]);
}
