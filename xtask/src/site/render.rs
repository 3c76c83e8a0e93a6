//! A page as HTML, and its sections as what the search looks through.

use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Tag, TagEnd, html};
use serde::Serialize;

use super::map::Map;
use crate::pages::{Heading, Page};

/// What no page does: ask another host for anything.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'";

/// A part of a page, from one heading to the next.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its address in the site.
    pub at: String,
    pub page: String,
    pub heading: String,
    pub text: String,
}

/// The whole HTML of a page.
pub fn page(page: &Page, map: &Map) -> String {
    let title = escaped(page.title());
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"site.css\">\n\
         <script src=\"search.js\" defer></script>\n<script src=\"site.js\" defer></script>\n\
         </head>\n<body>\n<a class=\"skip\" href=\"#content\">To the text</a>\n<nav>\n"
    );
    text.push_str(&navigation(&Map::file(&page.path), map));
    text.push_str("</nav>\n<main id=\"content\">\n");
    html::push_html(&mut text, events(page, map));
    text.push_str("</main>\n");
    text.push_str(&contents(page));
    text.push_str("</body>\n</html>\n");
    text
}

fn navigation(own: &str, map: &Map) -> String {
    let mut text = String::from(
        "<p class=\"name\"><a href=\"index.html\">swarm</a></p>\n\
         <p class=\"tools\"><input id=\"search\" type=\"search\" placeholder=\"Search (/)\" \
         aria-label=\"Search\" autocomplete=\"off\"><button id=\"light\" type=\"button\" \
         aria-label=\"Light or dark\">◐</button></p>\n<ol id=\"found\" hidden></ol>\n\
         <p><a href=\"documentation.html\">All pages</a></p>\n",
    );
    for (heading, entries) in &map.sections {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "<h2>{}</h2>\n<ul>", escaped(heading));
        for entry in entries {
            let here = if entry.file == own { " aria-current=\"page\"" } else { "" };
            let (file, words) = (&entry.file, escaped(&entry.words));
            let _ = writeln!(text, "<li><a href=\"{file}\"{here}>{words}</a></li>");
        }
        text.push_str("</ul>\n");
    }
    text
}

/// The page's own headings, beside it.
fn contents(page: &Page) -> String {
    let headings = page.headings.iter().filter(|heading| heading.level == HeadingLevel::H2);
    let mut text = String::new();
    for Heading { text: words, anchor, .. } in headings {
        let _ = writeln!(text, "<li><a href=\"#{anchor}\">{}</a></li>", escaped(words));
    }
    if text.is_empty() {
        return text;
    }
    format!("<aside aria-label=\"On this page\">\n<ul>\n{text}</ul>\n</aside>\n")
}

/// The page's text with the site's addresses, anchors at headings, and without comments.
fn events<'a>(page: &'a Page, map: &'a Map) -> impl Iterator<Item = Event<'a>> {
    let mut headings = page.headings.iter();
    let mut anchor = String::new();
    let target = |link: &CowStr<'_>| CowStr::from(map.target(&page.path, link));
    page.events().filter_map(move |event| match event {
        Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
            anchor = headings.next().map(|heading| heading.anchor.clone()).unwrap_or_default();
            let id = Some(CowStr::from(anchor.clone()));
            Some(Event::Start(Tag::Heading { level, id, classes, attrs }))
        }
        // Its own link, for whoever wants to pass the place on.
        Event::End(TagEnd::Heading(level)) => {
            let end = format!(
                " <a class=\"here\" href=\"#{anchor}\" aria-label=\"This place\">#</a></{level}>\n"
            );
            Some(Event::Html(end.into()))
        }
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Some(Event::Start(Tag::Link { link_type, dest_url: target(&dest_url), title, id }))
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Some(Event::Start(Tag::Image { link_type, dest_url: target(&dest_url), title, id }))
        }
        // What a block needs is for the tests. Other HTML is not written here.
        Event::Html(_) | Event::InlineHtml(_) => None,
        event => Some(event),
    })
}

/// The page's sections, for the search.
pub fn sections(page: &Page) -> Vec<Section> {
    let file = Map::file(&page.path);
    let mut headings = page.headings.iter();
    let mut all: Vec<Section> = Vec::new();
    let mut in_heading = false;
    for event in page.events() {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                in_heading = true;
                if let Some(heading) = headings.next() {
                    let (at, name) = (format!("{file}#{}", heading.anchor), heading.text.clone());
                    let page = page.title().to_owned();
                    all.push(Section { at, page, heading: name, text: String::new() });
                }
            }
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Text(text) | Event::Code(text) if !in_heading => {
                if let Some(section) = all.last_mut() {
                    section.text.push_str(&text.replace('\n', " "));
                }
            }
            Event::SoftBreak | Event::HardBreak => push_blank(&mut all),
            Event::End(
                TagEnd::Paragraph | TagEnd::TableCell | TagEnd::Item | TagEnd::CodeBlock,
            ) => {
                push_blank(&mut all);
            }
            _ => {}
        }
    }
    all
}

fn push_blank(all: &mut [Section]) {
    if let Some(section) = all.last_mut() {
        section.text.push(' ');
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (Page, Map) {
        let text = "# The a & b page\n<!-- run: pool -->\n```\nls <x>\n```\n\nsee [b](b.md#x)\nand more\n\n\
                    ## Two `c`\n| h |\n|---|\n| cell |\n";
        let page = Page::new("docs/a.md", text.to_owned());
        let index = Page::new("docs/README.md", "# D\n## One\n[a](a.md) [b](b.md)\n".to_owned());
        let b = Page::new("docs/b.md", "# B\n".to_owned());
        let map = Map::new(&[page.clone(), index, b]).unwrap();
        (page, map)
    }

    #[test]
    fn a_page_has_its_text_its_links_and_no_comments() {
        let (own, map) = site();
        let html = page(&own, &map);
        for part in [
            "<title>The a &amp; b page</title>",
            "<h1 id=\"the-a--b-page\">",
            "<code>ls &lt;x&gt;",
            "<a href=\"b.html#x\">b</a>",
            "<h2 id=\"two-c\">Two <code>c</code> <a class=\"here\" href=\"#two-c\"",
            "<td>cell</td>",
            "<a href=\"a.html\" aria-current=\"page\">a</a>",
            "<li><a href=\"#two-c\">Two c</a></li>",
        ] {
            assert!(html.contains(part), "{part} in:\n{html}");
        }
        assert!(!html.contains("run: pool"), "{html}");
    }

    #[test]
    fn the_search_knows_each_section() {
        let (own, _) = site();
        let found = sections(&own);
        let told: Vec<_> = found.iter().map(|s| (s.at.as_str(), s.text.trim())).collect();
        let first = ("a.html#the-a--b-page", "ls <x>  see b and more");
        assert_eq!(told, [first, ("a.html#two-c", "h cell")]);
    }
}
