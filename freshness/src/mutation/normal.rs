//! What a builder said, without what differs between two runs of one builder.

use gofarm_specimens::Written;

/// Without gofarm's own lines and what both say of their usage, with `ROOT` for the specimen's folder and `$WORK` for go's temporary one, and with the blocks of packages
/// in the order of their names: packages are compiled at once, and whoever is ready first is told of first.
pub(super) fn normal(text: &str, written: &Written) -> String {
    let text = text.replace(&*written.root.to_string_lossy(), "ROOT");
    let mut blocks: Vec<String> = vec![String::new()];
    for line in text.lines() {
        // Each says in its own words how it is called.
        let passed_over = ["gofarm: ", "go: downloading ", "usage: go", "Run 'go"];
        if passed_over.iter().any(|start| line.starts_with(start)) {
            continue;
        }
        if line.starts_with("# ") {
            blocks.push(String::new());
        }
        // The command of a linker that cmd/link has started and that failed has the build ID of what does not come to be.
        let line = match line.contains(" -Wl,--build-id=0x") && line.contains("/go-link-") {
            true => "COMMAND",
            false => line,
        };
        if let Some(block) = blocks.last_mut() {
            block.push_str(&without_temporary_names(&without_folder_of_links(line)));
            block.push('\n');
        }
    }
    blocks[1..].sort();
    blocks.concat()
}

/// `LINK` for each temporary folder of cmd/link, wherever that is.
fn without_folder_of_links(line: &str) -> String {
    let name = "/go-link-";
    let mut line = line.to_owned();
    while let Some(at) = line.find(name) {
        let start = line[..at].rfind(' ').map_or(0, |blank| blank + 1);
        let number = &line[at + name.len()..];
        let digits = number.len()
            - number
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        line.replace_range(start..at + name.len() + digits, "LINK");
    }
    line
}

/// `go-build` and `b` numbers of $WORK, names of the C compiler's temporary files.
fn without_temporary_names(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    loop {
        let found = ["go-build", "/tmp/cc"]
            .iter()
            .filter_map(|name| Some((rest.find(name)?, name.len())))
            .min();
        let Some((at, len)) = found else {
            out.push_str(rest);
            return out;
        };
        out.push_str(&rest[..at + len]);
        rest = rest[at + len..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        out.push('*');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_failed_external_linker_its_command_does_not_count() {
        let specimen = gofarm_specimens::specimens().remove(0);
        let folder = tempfile::tempdir().unwrap();
        let written = specimen.write(folder.path()).unwrap();
        let said = |id: &str, work: &str| {
            format!(
                "# example.com/m\n/x/link: running gcc failed: exit status 1\n/usr/bin/gcc -m64 -Wl,--build-id=0x{id} -o \
                 {work}/a.out {work}/go-link-17/go.o\n/usr/bin/ld: {work}/go-link-17/1.o: undefined reference to `run'\n"
            )
        };
        let one = normal(&said("0c8d", "$WORK/b001"), &written);
        assert_eq!(one, normal(&said("dd9d", "ROOT/tmp"), &written));
        assert!(one.contains("undefined reference to `run'"), "{one}");
    }
}
