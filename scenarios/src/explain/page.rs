//! A run explained as one page that needs nothing else: no network, no second file. The run is in it as JSON, and a script
//! that is in it, too, draws it.

use super::{Explained, trim};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(
    include_str!("page/state.js"),
    include_str!("page/chart.js"),
    include_str!("page/tables.js"),
    include_str!("page/keys.js")
);

/// The most that the run in a page may take, so that the page is under 2 MiB.
const DATA_BYTES_MAX: usize = 1_900_000;

/// The page. Of a run that is too long for one, what is far from its race is left out.
pub fn html(explained: &Explained) -> String {
    let explained = &trim::fitted(explained, DATA_BYTES_MAX, |explained| json(explained).len());
    let Explained { verdict, scenario, seed, .. } = explained;
    let title = text(&format!("{} {scenario} {seed}", verdict.word()));
    let mut page = String::new();
    let mut rest = PAGE;
    // in one pass: what is put in may look like a place itself
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, at)| Some((before, at.split_once("}}")?)))
    {
        page += before;
        page += &match name {
            "title" => title.clone(),
            "style" => STYLE.to_string(),
            "script" => SCRIPT.to_string(),
            "data" => json(explained),
            other => unreachable!("the page has no place {other}"),
        };
        rest = after;
    }
    page + rest
}

/// It as JSON that can stand inside a script: nothing in it can end that, or begin a comment.
fn json(explained: &Explained) -> String {
    let json = serde_json::to_string(explained).expect("it is plain data");
    // outside of strings JSON has none of these
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// It as text of HTML.
fn text(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Lane;
    use super::super::twin::Twin;
    use super::super::{Explained, FORMAT, Told};
    use super::*;
    use segment_sim::verdict::Verdict;

    const HOSTILE: &str = "</script><script>alert('{{data}}')</script><!-- & \u{2028} \" {{style}}";

    fn hostile() -> Explained {
        let lane = Lane { label: HOSTILE.to_string(), parent: None, from: 0, to: None, end: String::new() };
        Explained {
            format: FORMAT,
            engine: "e".to_string(),
            scenario: HOSTILE.to_string(),
            seed: u64::MAX,
            verdict: Verdict::Fail,
            sentence: HOSTILE.to_string(),
            command: HOSTILE.to_string(),
            plan: vec![HOSTILE.to_string()],
            unreached: Vec::new(),
            run: Told { lanes: vec![lane], ..Told::default() },
            twin: Twin::Alone { why: HOSTILE.to_string() },
        }
    }

    #[test]
    fn what_a_run_says_cannot_end_the_script_that_it_is_in() {
        let page = html(&hostile());
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert!(!page.contains("<script>alert") && !page.contains("<!-- &"));
        let (_, data) = page.split_once("type=\"application/json\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        assert!(!data.contains(['<', '>', '&', '\u{2028}']));
        assert_eq!(serde_json::from_str::<Explained>(data).unwrap(), hostile());
    }

    #[test]
    fn a_page_asks_for_nothing_else() {
        let page = html(&hostile());
        for word in ["src=", "@import", "url(", "fetch(", "<link rel=\"stylesheet"] {
            assert!(!page.contains(word), "{word}");
        }
        // SVG's name is an address, and never asked for
        let addresses = page.matches("http").count() - page.matches("http-equiv").count();
        assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count());
    }
}
