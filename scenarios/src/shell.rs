//! Commands that are printed, for a shell to take as they are meant.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Letters besides those of the alphabet and digits that no shell reads into.
const PLAIN: &str = "-_./=,:@%+";

/// A word of a command, in quotes where a shell would read something else into it; on one line whatever it holds.
pub fn quoted(word: &(impl AsRef<OsStr> + ?Sized)) -> String {
    let bytes = word.as_ref().as_bytes();
    let Some(word) = std::str::from_utf8(bytes).ok().filter(|word| !word.chars().any(char::is_control)) else {
        // the one kind of quotes in which any byte can be written
        let escaped = |byte: &u8| match byte {
            b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
            b' '..=b'~' => char::from(*byte).to_string(),
            // three digits: the next letter may be one, too
            byte => format!("\\{byte:03o}"),
        };
        return format!("$'{}'", bytes.iter().map(escaped).collect::<String>());
    };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || PLAIN.contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The running program, as it was called.
pub fn program() -> String {
    std::env::args_os().next().map_or_else(|| "segsim".to_string(), |program| quoted(&program))
}

/// The whole command that runs, as it was called.
pub fn command() -> String {
    std::env::args_os().map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{OsStr, OsStrExt, quoted};

    #[test]
    fn only_what_a_shell_would_misread_is_quoted() {
        for plain in ["target/plans/same-key-17.json", "rotate=2,evict=2", "--size"] {
            assert_eq!(quoted(plain), plain);
        }
        assert_eq!(
            ["my plans/a.json", "", "it's", "$HOME", "~"].map(quoted),
            ["'my plans/a.json'", "''", r"'it'\''s'", "'$HOME'", "'~'"]
        );
        assert_eq!(quoted("Größe"), "'Größe'");
        assert_eq!(quoted(OsStr::from_bytes(b"a\xff1's\n")), r"$'a\3771\'s\012'");
    }
}
