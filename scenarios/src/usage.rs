//! A command line that cannot be read, in one line: what is wrong, what may have been meant, and where to read on.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, Error};
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::num::{IntErrorKind, ParseIntError};

/// Reads the words of a command line, the program's name before them.
///
/// # Errors
/// Help and the version, which are none, and what [`line()`] tells.
pub fn read(command: Command, words: &[OsString]) -> Result<ArgMatches, Error> {
    // else -1 is an unknown option, and what is said of it helps nobody
    let takes_minus = |command: Command| {
        command.mut_args(|argument| {
            let takes_values = argument.get_action().takes_values();
            argument.allow_negative_numbers(takes_values)
        })
    };
    command.mut_subcommands(takes_minus).try_get_matches_from(words)
}

/// The error in one line, after the program's name. Of a command line that `command` could not read.
pub fn line(error: &Error, command: &Command, words: &[OsString]) -> String {
    let path = path(command, words);
    let (at, help) = if path.is_empty() {
        (String::new(), String::new())
    } else {
        (format!("{}: ", path.join(" ")), format!("{} ", path.join(" ")))
    };
    let (fault, meant) = (fault(error, command), meant(error));
    format!("{at}{fault}; {meant}see {} {help}--help", command.get_name())
}

/// The commands that lead to the one that was called.
fn path(command: &Command, words: &[OsString]) -> Vec<String> {
    let mut path = Vec::new();
    let mut command = command;
    for word in words.iter().skip(1) {
        let Some(next) = command.find_subcommand(OsStr::new(word)) else { break };
        path.push(next.get_name().to_string());
        command = next;
    }
    path
}

/// What is wrong.
fn fault(error: &Error, command: &Command) -> String {
    let argument = context(error, ContextKind::InvalidArg);
    let value = context(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument {argument}"),
        ErrorKind::InvalidSubcommand => format!("no command {}", context(error, ContextKind::InvalidSubcommand)),
        // without any word clap would print the whole help
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let known = command.get_subcommands().filter(|known| !known.is_hide_set()).map(Command::get_name);
            format!("a command is missing: {}", known.collect::<Vec<_>>().join(", "))
        }
        ErrorKind::MissingRequiredArgument => format!("missing {argument}"),
        ErrorKind::ArgumentConflict => match context(error, ContextKind::PriorArg) {
            prior if prior == argument => format!("{argument} is given twice"),
            prior if argument.is_empty() => {
                format!("{} cannot go with {prior}", context(error, ContextKind::InvalidSubcommand))
            }
            prior => format!("{argument} cannot go with {prior}"),
        },
        ErrorKind::InvalidValue => {
            let known = values(error, ContextKind::ValidValue).join(", ");
            let known = if known.is_empty() { known } else { format!(" (possible values: {known})") };
            match value.as_str() {
                "''" => format!("{argument} needs a value{known}"),
                value => format!("invalid value {value} for {argument}{known}"),
            }
        }
        ErrorKind::ValueValidation => {
            let source = error.source();
            let why = match source.and_then(|source| source.downcast_ref::<ParseIntError>()).map(ParseIntError::kind) {
                Some(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => "it is too large a number".to_string(),
                Some(_) => "expected a non-negative integer".to_string(),
                // a range without an end has one in clap's words
                None => source.map(|why| why.to_string().replace(&u64::MAX.to_string(), "")).unwrap_or_default(),
            };
            format!("invalid value {value} for {argument}: {why}")
        }
        _ => {
            let text = error.render().to_string();
            text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string()
        }
    }
}

/// What may have been meant, up to the next clause.
fn meant(error: &Error) -> String {
    let kinds = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    match kinds.into_iter().map(|kind| context(error, kind)).find(|words| !words.is_empty()) {
        Some(words) => format!("did you mean {words}? "),
        None => values(error, ContextKind::Suggested).into_iter().map(|words| words + "; ").collect(),
    }
}

/// A part of the error, each value of it in quotes.
fn context(error: &Error, kind: ContextKind) -> String {
    values(error, kind).iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ")
}

fn values(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(value)) => vec![value.clone()],
        Some(ContextValue::Strings(values)) => values.clone(),
        Some(ContextValue::StyledStrs(values)) => values.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}
