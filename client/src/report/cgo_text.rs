//! Makes what the compiler says about cgo's generated code readable, as cmd/go does.

use memchr::memmem;

/// Which names of cgo are turned back into those of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgoText {
    /// With -x cmd/go assumes that someone is debugging and shows all.
    Keep,
    /// Go 1.24 to 1.26 (cmd/go/internal/work/shell.go, reportCmd): where a position has a second one in brackets,
    /// `x.go:19[_cgo_gotypes.cgo1.go:18]`, that one goes, and then the names as well.
    PositionsAndNames,
    /// Go 1.27 and later, for packages that use cgo (cmd/go/internal/work/exec.go, build): the names alone.
    Names,
}

impl CgoText {
    /// What this release does; `minor` is the 26 of Go 1.26.
    pub fn of_release(minor: u32, uses_cgo: bool, print_commands: bool) -> CgoText {
        match minor {
            _ if print_commands => CgoText::Keep,
            ..27 => CgoText::PositionsAndNames,
            _ if uses_cgo => CgoText::Names,
            _ => CgoText::Keep,
        }
    }

    /// Turns a text, or the next part of one. `positions` says whether a part before had a position in generated code. (cmd/go
    /// looks at all of a text before it turns a name back; here a name is left that stands in a part before the first position.)
    pub(super) fn apply(self, text: Vec<u8>, positions: &mut bool) -> Vec<u8> {
        match self {
            CgoText::Keep => text,
            CgoText::PositionsAndNames => match without_positions(&text) {
                Some(text) => {
                    *positions = true;
                    with_names(&text)
                }
                None if *positions => with_names(&text),
                None => text,
            },
            CgoText::Names => with_names(&text),
        }
    }
}

/// Removes what matches `\[[^\[\]]+\.(cgo1|cover)\.go:[0-9]+(:[0-9]+)?\]`; None if nothing does.
fn without_positions(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut copied = 0;
    for open in memchr::memchr_iter(b'[', text) {
        let inside = &text[open + 1..];
        let Some(end) = memchr::memchr2(b'[', b']', inside) else {
            break;
        };
        if inside[end] == b']' && is_generated_position(&inside[..end]) {
            out.extend_from_slice(&text[copied..open]);
            copied = open + 1 + end + 1;
        }
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(&text[copied..]);
    Some(out)
}

fn is_generated_position(text: &[u8]) -> bool {
    [&b".cgo1.go:"[..], b".cover.go:"].iter().any(|marker| {
        memmem::rfind(text, marker).is_some_and(|at| {
            let numbers = &text[at + marker.len()..];
            let mut parts = numbers.split(|byte| *byte == b':');
            let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
            at > 0 && parts.clone().count() <= 2 && parts.all(is_number)
        })
    })
}

/// Replaces what matches `\b_C2?(type|func|var|macro)_\B` by `C.`.
fn with_names(text: &[u8]) -> Vec<u8> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut out = Vec::with_capacity(text.len());
    let mut copied = 0;
    for at in memmem::find_iter(text, "_C") {
        if at < copied || at > 0 && is_word(text[at - 1]) {
            continue;
        }
        let rest = &text[at + 2..];
        let rest = rest.strip_prefix(b"2").unwrap_or(rest);
        let kinds = [&b"type_"[..], b"func_", b"var_", b"macro_"];
        let Some(rest) = kinds.iter().find_map(|kind| rest.strip_prefix(*kind)) else {
            continue;
        };
        if rest.first().is_some_and(|byte| is_word(*byte)) {
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(b"C.");
            copied = text.len() - rest.len();
        }
    }
    out.extend_from_slice(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(how: CgoText, text: &str) -> String {
        String::from_utf8(how.apply(text.as_bytes().to_vec(), &mut false)).unwrap()
    }

    #[test]
    fn positions_and_names_of_generated_code_go() {
        for (text, shown) in [
            (
                "x.go:19:3[/w/_cgo/x.cgo1.go:18:2]: cannot use *[100]_Ctype_foo as _C2func_bar value",
                "x.go:19:3: cannot use *[100]C.foo as C.bar value",
            ),
            (
                "x.go:19[a[x.cover.go:18]: _Cvar_x _Cmacro_y",
                "x.go:19[a: C.x C.y",
            ),
            (
                "x.go:1[.cgo1.go:1]: _Ctype_foo",
                "x.go:1[.cgo1.go:1]: _Ctype_foo",
            ),
            (
                "x.go:1[x.cgo1.go:]: _Ctype_foo",
                "x.go:1[x.cgo1.go:]: _Ctype_foo",
            ),
            ("x.go:1: _Ctype_foo", "x.go:1: _Ctype_foo"),
            (
                "x.go:1[x.cgo1.go:1:2:3]: _Ctype_foo",
                "x.go:1[x.cgo1.go:1:2:3]: _Ctype_foo",
            ),
        ] {
            assert_eq!(applied(CgoText::PositionsAndNames, text), shown);
        }
    }

    #[test]
    fn names_stand_at_word_boundaries() {
        for (text, shown) in [
            ("_Ctype_int", "C.int"),
            ("(_Ctype_struct_x)", "(C.struct_x)"),
            ("a_Ctype_int", "a_Ctype_int"),
            ("_Ctype_ x", "_Ctype_ x"),
            ("_Cgo_use", "_Cgo_use"),
            ("_Cfunc__Cmalloc", "C._Cmalloc"),
        ] {
            assert_eq!(applied(CgoText::Names, text), shown);
        }
    }

    #[test]
    fn each_release_has_its_way() {
        assert_eq!(
            CgoText::of_release(26, false, false),
            CgoText::PositionsAndNames
        );
        assert_eq!(CgoText::of_release(27, false, false), CgoText::Keep);
        assert_eq!(CgoText::of_release(27, true, false), CgoText::Names);
        assert_eq!(CgoText::of_release(26, true, true), CgoText::Keep);
    }
}
