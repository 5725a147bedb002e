//! What names Kubernetes allows, and the random parts of generated ones.

/// `[a-z0-9]([-a-z0-9.]*[a-z0-9])?`, at most 253 characters: the name of most objects.
pub(crate) fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_word)
}

/// A DNS label: at most 63 characters without a dot; the name of a namespace.
pub(crate) fn is_dns_label(name: &str) -> bool {
    name.len() <= 63 && is_dns_word(name)
}

fn is_dns_word(word: &str) -> bool {
    let edge = |char: Option<char>| char.is_some_and(|char| char.is_ascii_lowercase() || char.is_ascii_digit());
    edge(word.chars().next())
        && edge(word.chars().next_back())
        && word.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-')
}

/// Whether a text can be one segment of a path.
pub(crate) fn is_path_segment(name: &str) -> bool {
    name != "." && name != ".." && !name.contains('/') && !name.contains('%')
}

/// The name for a `generateName`: the prefix and five random characters.
pub(crate) fn generated(prefix: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut end = prefix.len().min(58);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix[..end].to_owned();
    for _ in 0..5 {
        name.push(char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]));
    }
    name
}

/// A new version 4 UUID.
pub(crate) fn uid() -> String {
    let bits = (rand::random::<u128>() & !(0xf000_u128 << 64) & !(0xc000_u128 << 48))
        | (0x4000_u128 << 64)
        | (0x8000_u128 << 48);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Now, as Kubernetes writes times: RFC 3339 in seconds.
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    let seconds = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
    seconds.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_dns_does() {
        for good in ["a", "a-b", "a.b.c", "0", "web-1.example"] {
            assert!(is_subdomain(good), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", ".a", "a_b", "ü", &"a".repeat(254)] {
            assert!(!is_subdomain(bad), "{bad}");
        }
        assert!(is_dns_label("a-b") && !is_dns_label("a.b") && !is_dns_label(&"a".repeat(64)));
    }

    #[test]
    fn generated_names_differ_and_keep_their_prefix() {
        let (one, two) = (generated("web-"), generated("web-"));
        assert!(one.starts_with("web-") && one.len() == 9 && one != two, "{one} {two}");
        assert_eq!(generated(&"ä".repeat(60)).len(), 58 + 5);
    }

    #[test]
    fn uids_are_version_4() {
        let uid = uid();
        assert_eq!(uid.len(), 36);
        assert_eq!(uid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uid.as_bytes()[19]), "{uid}");
    }

    #[test]
    fn times_are_in_whole_seconds() {
        let now = now();
        assert_eq!(now.len(), "2026-11-23T10:00:00Z".len(), "{now}");
    }
}
