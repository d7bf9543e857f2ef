//! Commands that are printed, for a shell to take as they are meant.

use std::ffi::OsStr;

/// Letters besides those of the alphabet and digits that no shell reads into.
const PLAIN: &str = "-_./=,:@%+";

/// A word of a command, in quotes where a shell would read something else into it.
pub fn quoted(word: &(impl AsRef<OsStr> + ?Sized)) -> String {
    let word = word.as_ref().to_string_lossy();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || PLAIN.contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
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
    use super::quoted;

    #[test]
    fn only_what_a_shell_would_misread_is_quoted() {
        for plain in ["target/plans/same-key-17.json", "rotate=2,evict=2", "--size"] {
            assert_eq!(quoted(plain), plain);
        }
        assert_eq!(
            ["my plans/a.json", "", "it's", "$HOME", "~"].map(quoted),
            ["'my plans/a.json'", "''", r"'it'\''s'", "'$HOME'", "'~'"]
        );
    }
}
