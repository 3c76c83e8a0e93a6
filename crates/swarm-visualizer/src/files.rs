//! The page's files, embedded as they are: plain modules and one style sheet, nothing to build.

/// One file.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its type.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal: $kind:expr;)*) => {
        /// The file at a path without its leading slash; the page itself has none.
        pub fn find(path: &str) -> Option<File> {
            let path = if path.is_empty() { "index.html" } else { path };
            match path {
                $($path => Some(File {
                    kind: $kind,
                    bytes: include_bytes!(concat!("../page/", $path)),
                }),)*
                _ => None,
            }
        }

        #[cfg(test)]
        const PATHS: &[&str] = &[$($path),*];
    };
}

files! {
    "index.html": HTML;
    "style.css": STYLE;
    "icon.svg": ICON;
    "main.js": SCRIPT;
    "hues.js": SCRIPT;
    "model.js": SCRIPT;
    "feed.js": SCRIPT;
    "filter.js": SCRIPT;
    "board.js": SCRIPT;
    "cells.js": SCRIPT;
    "panel.js": SCRIPT;
    "details.js": SCRIPT;
    "plan.js": SCRIPT;
    "objects.js": SCRIPT;
    "act.js": SCRIPT;
    "words.js": SCRIPT;
    "element.js": SCRIPT;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        String::from_utf8(find(path).unwrap().bytes.to_vec()).unwrap()
    }

    #[test]
    fn every_file_in_the_folder_is_served_and_nothing_else() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<_> = PATHS.to_vec();
        there.sort();
        served.sort_unstable();
        assert_eq!(there, served);
        assert!(find("").is_some_and(|file| file.kind == HTML));
        assert!(find("../Cargo.toml").is_none() && find("none").is_none());
    }

    #[test]
    fn the_page_asks_for_nothing_outside_and_works_below_any_path() {
        for path in PATHS {
            let text = text(path);
            let own = text.replace("http://www.w3.org/2000/svg", "");
            for outside in ["http://", "https://", "//cdn", "@import"] {
                assert!(!own.contains(outside), "{path}: {outside}");
            }
            for rooted in ["src=\"/", "href=\"/", "from \"/", "fetch(\"/", "url(/", "\"/api"] {
                assert!(!own.contains(rooted), "{path}: {rooted}");
            }
            // What the pool's people name things is text, wherever it is shown.
            for markup in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!own.contains(markup), "{path}: {markup}");
            }
        }
    }
}
