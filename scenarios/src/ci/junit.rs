//! A JUnit report: FAIL is a failure, VOID and ERROR are errors.

use super::{Case, Outcome, Suite};
use quick_xml::events::{BytesDecl, BytesText, Event};
use quick_xml::{ElementWriter, Writer};
use std::io;

type Element<'w> = ElementWriter<'w, Vec<u8>>;

/// The report as XML.
pub fn xml(command: &str, suites: &[Suite]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut writer, command, suites).expect("writing to memory does not fail");
    String::from_utf8(writer.into_inner()).expect("it was made of text") + "\n"
}

fn write(writer: &mut Writer<Vec<u8>>, command: &str, suites: &[Suite]) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all = suites.iter().flat_map(|suite| &suite.cases);
    let element = writer.create_element("testsuites").with_attribute(("name", command));
    counted(element, all)
        .write_inner_content(|writer| suites.iter().try_for_each(|suite| write_suite(writer, suite)))?;
    Ok(())
}

fn write_suite(writer: &mut Writer<Vec<u8>>, suite: &Suite) -> io::Result<()> {
    let name = legal(&suite.name);
    let mut element = writer.create_element("testsuite").with_attribute(("name", name.as_str()));
    element = counted(element, suite.cases.iter());
    if let Some(seconds) = suite.seconds {
        element = element.with_attribute(("time", format!("{seconds:.3}").as_str()));
    }
    element.write_inner_content(|writer| suite.cases.iter().try_for_each(|case| write_case(writer, &name, case)))?;
    Ok(())
}

fn write_case(writer: &mut Writer<Vec<u8>>, suite: &str, case: &Case) -> io::Result<()> {
    let name = legal(&case.name);
    let element = writer.create_element("testcase").with_attributes([("name", name.as_str()), ("classname", suite)]);
    let (kind, message, oracle, body) = match &case.outcome {
        Outcome::Pass => {
            element.write_empty()?;
            return Ok(());
        }
        Outcome::Void { why } => ("error", why, "VOID", String::new()),
        Outcome::Error { why } => ("error", why, "ERROR", String::new()),
        Outcome::Fail { oracle, sentence, commands } => {
            let commands: Vec<String> = commands.iter().map(|command| legal(command)).collect();
            ("failure", sentence, oracle.as_str(), commands.join("\n"))
        }
    };
    let message = legal(message);
    element.write_inner_content(|writer| {
        let element = writer.create_element(kind).with_attributes([("message", message.as_str()), ("type", oracle)]);
        if body.is_empty() {
            element.write_empty()?
        } else {
            element.write_text_content(BytesText::new(&body))?
        };
        Ok(())
    })?;
    Ok(())
}

/// An element with how many cases there are in it, and what came of them.
fn counted<'a, 'w>(element: Element<'w>, cases: impl Iterator<Item = &'a Case>) -> Element<'w> {
    let [mut tests, mut failures, mut errors] = [0_u64; 3];
    for case in cases {
        tests += 1;
        match case.outcome {
            Outcome::Pass => {}
            Outcome::Void { .. } | Outcome::Error { .. } => errors += 1,
            Outcome::Fail { .. } => failures += 1,
        }
    }
    let counts = [("tests", tests), ("failures", failures), ("errors", errors)];
    counts
        .into_iter()
        .fold(element, |element, (name, count)| element.with_attribute((name, count.to_string().as_str())))
}

/// The text in one line, without the letters that XML has no way to write.
fn legal(text: &str) -> String {
    crate::output::printable(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::super::examples::suites;
    use super::*;

    #[test]
    fn a_failure_has_its_sentence_and_its_commands_and_void_is_an_error() {
        assert_eq!(
            xml("segsim sweep", &suites()),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="segsim sweep" tests="3" failures="1" errors="1">
  <testsuite name="concurrent-pushes" tests="1" failures="0" errors="0" time="1.500">
    <testcase name="concurrent-pushes" classname="concurrent-pushes"/>
  </testsuite>
  <testsuite name="same-key" tests="2" failures="1" errors="1">
    <testcase name="panic: put@A x evict@B" classname="same-key">
      <failure message="100 % of &lt;a&gt; &amp; &quot;b&quot;,\nc: \u{1b}[1md" type="panic">segsim replay same-key 17
segsim shrink &apos;a b.json&apos;</failure>
    </testcase>
    <testcase name="same-key" classname="same-key">
      <error message="interrupted" type="VOID"/>
    </testcase>
  </testsuite>
</testsuites>
"#
        );
    }
}
