//! Workflow commands of GitHub Actions: lines of a job's output that are shown beside it.

use super::{Case, Outcome, Suite};
use crate::output::{printable, say};

/// GitHub shows so many errors of a step, and drops the others.
const SHOWN_MAX: usize = 10;

/// Prints the annotations where GitHub runs this, and nothing elsewhere.
pub fn print(suites: &[Suite]) {
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        say(format_args!("{}", lines(suites)));
    }
}

/// A line for each case that did not pass, failures first.
pub fn lines(suites: &[Suite]) -> String {
    let cases = || suites.iter().flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)));
    let failed = cases().filter(|(_, case)| matches!(case.outcome, Outcome::Fail { .. }));
    let void = cases().filter(|(_, case)| matches!(case.outcome, Outcome::Void { .. } | Outcome::Error { .. }));
    failed.chain(void).take(SHOWN_MAX).map(|(suite, case)| line(suite, case)).collect()
}

fn line(suite: &Suite, case: &Case) -> String {
    let (title, message) = match &case.outcome {
        Outcome::Pass => return String::new(),
        Outcome::Void { why } => (format!("VOID {}", case.name), printable(why)),
        Outcome::Error { why } => (format!("ERROR {}", case.name), printable(why)),
        Outcome::Fail { sentence, commands, .. } => {
            let lines = [sentence].into_iter().chain(commands).map(|line| printable(line));
            (format!("FAIL {}: {}", suite.name, case.name), lines.collect::<Vec<_>>().join("\n"))
        }
    };
    format!("::error title={}::{}\n", escaped(&printable(&title), &['%', ':', ',']), escaped(&message, &['%', '\n']))
}

/// These letters as GitHub reads them back.
fn escaped(text: &str, letters: &[char]) -> String {
    let escape = |letter: char| match letter {
        letter if letters.contains(&letter) => format!("%{:02X}", u32::from(letter)),
        letter => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::suites;
    use super::*;

    #[test]
    fn each_case_that_did_not_pass_is_one_line_that_github_reads_back() {
        assert_eq!(
            lines(&suites()),
            "::error title=FAIL same-key%3A panic%3A put@A x evict@B::100 %25 of <a> & \"b\",\\nc: \\u{1b}[1md%0A\
             segsim replay same-key 17%0Asegsim shrink 'a b.json'\n::error title=VOID same-key::interrupted\n"
        );
    }

    #[test]
    fn no_more_are_printed_than_are_shown_and_failures_come_first() {
        let [_, failing] = &suites()[..] else { panic!("there are two") };
        let void = Suite::void("sweep", "interrupted");
        let many: Vec<Suite> = [void].into_iter().chain(std::iter::repeat_n(failing.clone(), 20)).collect();
        let text = lines(&many);
        assert_eq!((text.lines().count(), text.matches("title=FAIL ").count()), (10, 10));
    }
}
