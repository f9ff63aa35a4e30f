//! What a source file imports of its own crate, read from its text: `use` trees and paths in code.

use std::collections::{BTreeMap, BTreeSet};

/// The paths into its own crate that the text of a module names, from `crate::` on, tests left out.
pub(super) fn imports(
    text: &str,
    module: &str,
    is_module: &dyn Fn(&str) -> bool,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let scope = Scope { module, is_module };
    scope.read(&without_tests(&tokens(text)), &mut found);
    found
}

/// A module, in which `self`, `super` and the names of its children mean something.
struct Scope<'a> {
    module: &'a str,
    is_module: &'a dyn Fn(&str) -> bool,
}

impl Scope<'_> {
    /// Adds the paths in these tokens, and in the modules that stand among them.
    fn read(&self, mut rest: &[&str], found: &mut BTreeSet<String>) {
        let (mut uses, mut paths) = (Vec::new(), Vec::new());
        while let Some((first, after)) = rest.split_first() {
            rest = match (*first, after) {
                ("mod", [name, "{", ..]) => {
                    let (inside, behind) = group(&after[1..]);
                    let module = format!("{}::{name}", self.module);
                    let is_module = self.is_module;
                    Scope {
                        module: &module,
                        is_module,
                    }
                    .read(inside, found);
                    behind
                }
                // `impl Trait + use<'a>` imports nothing.
                ("use", [next, ..]) if *next != "<" => use_tree(after, &[], &mut uses),
                // `pub(in crate::a)` neither.
                ("(", ["in", ..]) => group(rest).1,
                // A field or a method, or a path from all crates on.
                ("." | "::", [name, behind @ ..]) if is_name(name) => behind,
                (name, _) if is_name(name) => {
                    let (path, behind) = path(rest);
                    paths.push(path);
                    behind
                }
                _ => after,
            };
        }
        let names: BTreeMap<&str, String> = uses
            .iter()
            .filter_map(|it| Some((it.name, self.absolute(&it.path)?)))
            .collect();
        let paths = paths.into_iter().filter(|path| path.len() > 1);
        for path in uses.iter().map(|it| it.path.clone()).chain(paths) {
            let by_name = || {
                let [first, rest @ ..] = path.as_slice() else {
                    return None;
                };
                Some(joined(names.get(first)?, rest))
            };
            found.extend(self.absolute(&path).or_else(by_name));
        }
    }

    /// Where a path leads to in this crate, if its first name says so.
    fn absolute(&self, path: &[&str]) -> Option<String> {
        let (first, mut rest) = path.split_first()?;
        let mut base = match *first {
            "crate" => "crate".to_owned(),
            "self" => self.module.to_owned(),
            "super" => parent(self.module)?,
            child => {
                let module = format!("{}::{child}", self.module);
                (self.is_module)(&module).then_some(module)?
            }
        };
        while let ["super", behind @ ..] = rest {
            base = parent(&base)?;
            rest = behind;
        }
        Some(joined(&base, rest))
    }
}

fn parent(module: &str) -> Option<String> {
    module
        .rsplit_once("::")
        .map(|(parent, _)| parent.to_owned())
}

fn joined(base: &str, rest: &[&str]) -> String {
    [&[base], rest].concat().join("::")
}

/// What a `use` brings in, and the name that it gives it.
struct Use<'a> {
    path: Vec<&'a str>,
    name: &'a str,
}

/// Reads one tree of a `use`, and returns what stands behind it.
fn use_tree<'t, 'a>(
    rest: &'t [&'a str],
    before: &[&'a str],
    uses: &mut Vec<Use<'a>>,
) -> &'t [&'a str] {
    let (names, mut rest) = path(rest);
    let mut path = [before, &names].concat();
    match rest {
        ["{", ..] => {
            let (mut inside, behind) = group(rest);
            while !inside.is_empty() {
                inside = use_tree(inside, &path, uses);
                inside = inside.strip_prefix(&[","]).unwrap_or(inside);
            }
            return behind;
        }
        ["*", behind @ ..] => {
            path.push("*");
            rest = behind;
        }
        _ => {}
    }
    // `a::{self}` is `a`.
    if path.len() > 1 && path.last() == Some(&"self") {
        path.pop();
    }
    let mut name = path.last().copied().unwrap_or_default();
    if let ["as", other, behind @ ..] = rest {
        (name, rest) = (other, behind);
    }
    if path.is_empty() {
        // Something that is no tree: without a step ahead it would be read for ever.
        return rest.get(1..).unwrap_or_default();
    }
    uses.push(Use { path, name });
    rest
}

/// Reads `a::b::c`, with or without `::` at its end, and returns what stands behind it.
fn path<'t, 'a>(mut rest: &'t [&'a str]) -> (Vec<&'a str>, &'t [&'a str]) {
    let mut names = Vec::new();
    while let [name, behind @ ..] = rest
        && is_name(name)
    {
        names.push(*name);
        rest = behind;
        let ["::", behind @ ..] = rest else { break };
        rest = behind;
    }
    (names, rest)
}

/// What stands inside the brackets at the beginning, and what behind them.
fn group<'t, 'a>(tokens: &'t [&'a str]) -> (&'t [&'a str], &'t [&'a str]) {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&tokens[1..at], &tokens[at + 1..]);
        }
    }
    panic!("a bracket has no end: {tokens:?}");
}

/// The same without items that are there for tests only.
fn without_tests<'a>(mut rest: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        if let ["#", "[", "cfg", "(", "test", ")", "]", item @ ..] = rest {
            rest = behind_item(item);
        } else {
            kept.push(*first);
            rest = after;
        }
    }
    kept
}

/// What stands behind an item, which ends with its body or a semicolon.
fn behind_item<'t, 'a>(mut rest: &'t [&'a str]) -> &'t [&'a str] {
    let is_use = rest.iter().find(|it| ["use", "{"].contains(it)) == Some(&"use");
    loop {
        rest = match rest {
            [] => return rest,
            [";", behind @ ..] => return behind,
            ["{", ..] if !is_use => return group(rest).1,
            ["(" | "[" | "{", ..] => group(rest).1,
            [_, behind @ ..] => behind,
        };
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The names and signs of a text: no comments, no literals but numbers, no lifetimes.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
        let behind = &rest[length.max(first.len_utf8())..];
        rest = if rest.starts_with("//") {
            rest.find('\n').map_or("", |end| &rest[end..])
        } else if rest.starts_with("/*") {
            behind_comment(rest)
        } else if first == '"' {
            behind_text(rest)
        } else if first == '\'' {
            behind_tick(rest)
        } else if ["r", "br", "cr"].contains(&&rest[..length]) && is_raw_text(behind) {
            behind_raw_text(behind)
        } else if &rest[..length] == "r" && behind.starts_with('#') {
            // A name that would be a keyword.
            &behind[1..]
        } else if ["b", "c"].contains(&&rest[..length]) && behind.starts_with(['"', '\'']) {
            behind
        } else if length > 0 {
            tokens.push(&rest[..length]);
            behind
        } else if let Some(behind) = rest.strip_prefix("::") {
            tokens.push("::");
            behind
        } else {
            if !first.is_whitespace() {
                tokens.push(&rest[..first.len_utf8()]);
            }
            behind
        };
    }
    tokens
}

fn behind_comment(text: &str) -> &str {
    let (mut rest, mut depth) = (&text[2..], 1);
    while depth > 0 {
        let opens = rest.find("/*").unwrap_or(rest.len());
        let closes = rest.find("*/").unwrap();
        depth += if opens < closes { 1 } else { -1 };
        rest = &rest[opens.min(closes) + 2..];
    }
    rest
}

fn behind_text(text: &str) -> &str {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    panic!("a text has no end: {text}");
}

fn is_raw_text(behind_prefix: &str) -> bool {
    behind_prefix.trim_start_matches('#').starts_with('"')
}

fn behind_raw_text(text: &str) -> &str {
    let hashes = text.find('"').unwrap();
    let end = format!("\"{}", &text[..hashes]);
    let inside = &text[hashes + 1..];
    &inside[inside.find(&end).unwrap() + end.len()..]
}

/// Behind a character, or the tick of a lifetime, whose name is no harm.
fn behind_tick(text: &str) -> &str {
    let inside = &text[1..];
    if let Some(escape) = inside.strip_prefix('\\') {
        let end = escape[1..].find('\'').unwrap();
        return &escape[end + 2..];
    }
    let first = inside.chars().next().map_or(0, char::len_utf8);
    let behind = inside[first..].strip_prefix('\'');
    behind.unwrap_or(inside)
}

/// The paths in a text of the module `crate::a::b`, which has the children `c` and `d`.
fn of_b(text: &str) -> Vec<String> {
    let is_module = |module: &str| ["crate::a::b::c", "crate::a::b::d"].contains(&module);
    imports(text, "crate::a::b", &is_module)
        .into_iter()
        .collect()
}

#[test]
fn a_use_names_each_of_its_leaves() {
    for (text, paths) in [
        ("use crate::x::Y;", &["crate::x::Y"][..]),
        ("pub(crate) use crate::x;", &["crate::x"]),
        (
            "use crate::{x, y::{Z, self}};",
            &["crate::x", "crate::y", "crate::y::Z"],
        ),
        (
            "use crate::{x::{y::{Z, W,},}, v::*,};",
            &["crate::v::*", "crate::x::y::W", "crate::x::y::Z"],
        ),
        ("use self::c::X;", &["crate::a::b::c::X"]),
        ("use c::X; use other::X as Y;", &["crate::a::b::c::X"]),
        (
            "use super::{X, super::y::Y};",
            &["crate::a::X", "crate::y::Y"],
        ),
        (
            "use super::super::{self as all, y};",
            &["crate", "crate::y"],
        ),
        ("use std::{fmt, io}; use ::mongodb::Client;", &[]),
    ] {
        assert_eq!(of_b(text), paths, "{text}");
    }
}

#[test]
fn a_path_in_code_leads_where_its_first_name_says() {
    for (text, paths) in [
        (
            "fn f() -> crate::x::Y<super::Z> { d::g(self::H::new()) }",
            &[
                "crate::a::Z",
                "crate::a::b::H::new",
                "crate::a::b::d::g",
                "crate::x::Y",
            ][..],
        ),
        (
            "use crate::{x, y as z}; fn f() { x::g::<z::h::I>() }",
            &["crate::x", "crate::x::g", "crate::y", "crate::y::h::I"],
        ),
        ("use crate::x; use x::y;", &["crate::x", "crate::x::y"]),
        (
            "mod inner { use super::X; fn f() { super::super::g() } } fn h() { super::i() }",
            &["crate::a::b::X", "crate::a::g", "crate::a::i"],
        ),
        (
            "pub(in crate::x) fn f(self) { self.crate_::g; it.super_().c::<u8>(); Self::d() }",
            &[],
        ),
        (
            "fn f<'a>() -> impl Iterator + use<'a> { ::c::g(); a::c::h() }",
            &[],
        ),
    ] {
        assert_eq!(of_b(text), paths, "{text}");
    }
}

#[test]
fn comments_texts_and_tests_import_nothing() {
    for text in [
        "// use crate::x;\n/* crate::x /* nested */ crate::y */ /// crate::z\nfn f() {}",
        r###"const A: &str = "crate::x \" crate::y"; const B: &str = r#"crate::x " crate::y"#; const C: &[u8] = b"crate::z";"###,
        r"const A: [char; 3] = ['{', '\'', '\u{7b}']; const B: u8 = b'{'; const C: &'static str;",
        "#[cfg(test)]\nmod tests { use crate::x; fn f() { { crate::y() } } }",
        "#[cfg(test)] #[allow(x)] pub(super) use crate::{x, y}; #[cfg(test)] mod more;",
        "#[cfg(test)] fn f() -> [u8; 2] { crate::x() }",
    ] {
        assert_eq!(of_b(text), [""; 0], "{text}");
        let before = format!("{text}\nuse crate::seen;");
        assert_eq!(of_b(&before), ["crate::seen"], "{text}");
    }
}
