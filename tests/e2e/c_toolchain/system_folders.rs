//! Headers and libraries in folders of the system, the compiler's own and others.

use std::fs;
use std::path::Path;

use super::{Machine, Shown};

/// Prints V of a header `v.h` that is found by these flags.
fn program(flags: &str) -> String {
    program_with(flags, "#include <v.h>")
}

fn program_with(flags: &str, preamble: &str) -> String {
    format!(
        "package main\n\n// #cgo {flags}\n// {preamble}\n// #ifndef V\n// #define V 0\n// #endif\n// static int f(void) {{ return V; }}\n\
         import \"C\"\n\nfunc main() {{ print(int(C.f())) }}\n"
    )
}

fn define(folder: &Path, name: &str, value: u32) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#define V {value}\n")).unwrap();
}

/// A library whose one function says a number.
fn library(machine: &Machine, folder: &Path, value: u32) {
    fs::create_dir_all(folder).unwrap();
    let source = machine.site.path("xx.c");
    fs::write(&source, format!("int xx(void) {{ return {value}; }}\n")).unwrap();
    let object = machine.site.path("xx.o").display().to_string();
    let archive = folder.join("libxx.a");
    let _ = fs::remove_file(&archive);
    let source = source.display().to_string();
    machine
        .command("gcc", &["-c", "-o", &object, &source])
        .run()
        .ok();
    machine
        .command("ar", &["rcD", &archive.display().to_string(), &object])
        .run()
        .ok();
}

const USES_LIBRARY: &str = "int xx(void);\n// #define V xx()";

/// Each header that changes, comes or goes below `at` changes the program.
#[track_caller]
fn headers_count(at: &'static str, below: &str, flags: &str) {
    let Some(mut machine) = Machine::new(&[("main.go", &program(flags))]) else {
        return;
    };
    let folder = machine.mount(at, Shown::Instead).join(below);
    define(&folder, "v.h", 71);
    machine.keep(&[]);
    assert_eq!(machine.same(&[]), "71");
    define(&folder, "v.h", 72);
    assert_eq!(machine.same(&[]), "72");
    machine.keep(&[]);
    fs::remove_file(folder.join("v.h")).unwrap();
    let said = machine
        .gofarm(&["submit", "-o", "../ours"])
        .code(1)
        .diagnostics();
    assert!(said.contains("v.h: No such file"), "{said}");
}

#[test]
fn a_header_in_a_folder_of_the_system_that_is_none_of_the_compilers_counts() {
    headers_count("/usr/local/src", "inc", "CFLAGS: -I/usr/local/src/inc");
}

#[test]
fn a_header_in_shared_memory_counts() {
    headers_count("/dev/shm", "inc", "CFLAGS: -I/dev/shm/inc");
}

#[test]
fn a_header_that_pkg_config_leads_to_counts() {
    let Some(mut machine) = Machine::new(&[("main.go", &program("pkg-config: vv"))]) else {
        return;
    };
    let folder = machine.mount("/usr/local/src", Shown::Instead);
    define(&folder.join("inc"), "v.h", 71);
    let text = "Name: vv\nDescription: vv\nVersion: 1\nCflags: -I/usr/local/src/inc\n";
    fs::write(folder.join("vv.pc"), text).unwrap();
    machine.set("PKG_CONFIG_PATH", "/usr/local/src");
    machine.keep(&[]);
    define(&folder.join("inc"), "v.h", 72);
    assert_eq!(machine.same(&[]), "72");
}

/// As GLib has it: its own headers lie below `/usr/include`, and include one that lies elsewhere.
#[test]
fn a_header_that_only_headers_of_the_system_name_is_found() {
    let flags = "CFLAGS: -I/usr/local/src/lib/include";
    let text = program_with(flags, "#include <own.h>");
    let Some(mut machine) = Machine::new(&[("main.go", &text)]) else {
        return;
    };
    let own = machine.mount("/usr/local/include", Shown::Instead);
    fs::write(own.join("own.h"), "#include <sub/v.h>\n").unwrap();
    let folder = machine.mount("/usr/local/src", Shown::Instead);
    define(&folder, "lib/include/sub/v.h", 71);
    machine.keep(&[]);
    assert_eq!(machine.same(&[]), "71");
    define(&folder, "lib/include/sub/v.h", 72);
    assert_eq!(machine.same(&[]), "72");
}

/// A folder of the module stands before the system's, and what is in it has the name of a header of the system, which no source names.
#[test]
fn a_header_that_stands_before_one_of_the_system_counts_though_only_headers_of_the_system_name_it()
{
    let text = program_with("CFLAGS: -I${SRCDIR}/_inc", "#include <own.h>");
    let Some(mut machine) = Machine::new(&[("main.go", &text)]) else {
        return;
    };
    let own = machine.mount("/usr/local/include", Shown::Instead);
    fs::write(own.join("own.h"), "#include <sub/v.h>\n").unwrap();
    define(&own, "sub/v.h", 71);
    machine.keep(&[]);
    assert_eq!(machine.same(&[]), "71");
    let ours = machine.site.src("_inc");
    define(&ours, "sub/v.h", 72);
    machine.keep(&[]);
    assert_eq!(machine.same(&[]), "72");
    define(&ours, "sub/v.h", 73);
    assert_eq!(machine.same(&[]), "73");
    fs::remove_dir_all(&ours).unwrap();
    assert_eq!(machine.same(&[]), "71");
}

#[test]
fn a_header_in_a_folder_of_the_compiler_counts() {
    let Some(mut machine) = Machine::new(&[("main.go", &program("CFLAGS: -DX"))]) else {
        return;
    };
    let own = machine.mount("/usr/local/include", Shown::Instead);
    define(&own, "v.h", 71);
    machine.keep(&[]);
    define(&own, "v.h", 72);
    assert_eq!(machine.same(&[]), "72");
}

#[test]
fn a_header_that_an_absolute_path_names_in_a_folder_of_the_system_is_refused() {
    for name in ["\"/usr/local/src/v.h\"", "<../local/src/v.h>"] {
        let text = program_with("CFLAGS: -DX", &format!("#include {name}"));
        let Some(mut machine) = Machine::new(&[("main.go", &text)]) else {
            return;
        };
        let folder = machine.mount("/usr/local/src", Shown::Instead);
        define(&folder, "v.h", 71);
        let said = machine.refused(&[]);
        assert!(said.contains("name its folder with -I"), "{said}");
    }
}

/// Each way to lead the linker to a library.
#[test]
fn a_library_in_a_folder_of_the_system_that_is_none_of_the_linkers_counts() {
    for flags in [
        "LDFLAGS: -L/usr/local/src/lib -lxx",
        "LDFLAGS: /usr/local/src/lib/libxx.a",
    ] {
        let Some(mut machine) = Machine::new(&[("main.go", &program_with(flags, USES_LIBRARY))])
        else {
            return;
        };
        let folder = machine.mount("/usr/local/src", Shown::Instead).join("lib");
        library(&machine, &folder, 81);
        machine.keep(&[]);
        assert_eq!(machine.same(&[]), "81", "{flags}");
        library(&machine, &folder, 82);
        assert_eq!(machine.same(&[]), "82", "{flags}");
    }
}

#[test]
fn a_folder_that_the_compiler_searches_comes_into_being() {
    let text = program_with(
        "CFLAGS: -DX",
        "#if __has_include(<v.h>)\n// #include <v.h>\n// #endif",
    );
    let Some(mut machine) = Machine::new(&[("main.go", &text)]) else {
        return;
    };
    machine.set("CC", "gcc -isystem /usr/local/src/newinc");
    let folder = machine.mount("/usr/local/src", Shown::Instead);
    machine.keep(&[]);
    assert_eq!(machine.same(&[]), "0");
    machine.keep(&[]);
    define(&folder, "newinc/v.h", 73);
    assert_eq!(machine.same(&[]), "73");
}

/// gcc's own, which are not there on most machines.
#[test]
fn a_folder_that_the_compiler_searches_by_itself_comes_into_being() {
    for below in [
        "x86_64-linux-gnu/include",
        "lib/gcc/x86_64-linux-gnu/12/include-fixed",
    ] {
        let text = program_with(
            "CFLAGS: -DX",
            "#if __has_include(<v.h>)\n// #include <v.h>\n// #endif",
        );
        let Some(mut machine) = Machine::new(&[("main.go", &text)]) else {
            return;
        };
        let system = machine.mount("/usr", Shown::Over);
        let Some(parent) = Path::new("/usr").join(below).parent().map(Path::to_owned) else {
            return;
        };
        if !machine.command("true", &[]).run().status.success()
            || below.starts_with("lib") != parent.exists()
        {
            eprintln!("skipped: no overlay, or another compiler");
            return;
        }
        machine.keep(&[]);
        define(&system.join(below), "v.h", 74);
        assert_eq!(machine.same(&[]), "74", "{below}");
    }
}

/// A folder of libraries that the linker searches and the compiler's driver does not tell.
#[test]
fn a_folder_that_the_linker_searches_by_itself_comes_into_being() {
    let text = program_with("LDFLAGS: -lxx", USES_LIBRARY);
    for below in ["local/lib64", "x86_64-linux-gnu/lib"] {
        let Some(mut machine) = Machine::new(&[("main.go", &text)]) else {
            return;
        };
        let system = machine.mount("/usr", Shown::Over);
        if !machine.command("true", &[]).run().status.success()
            || Path::new("/usr").join(below).exists()
        {
            eprintln!("skipped: no overlay, or the folder is there");
            return;
        }
        machine.gofarm(&["submit", "-o", "../ours"]).code(1);
        library(&machine, &system.join(below), 83);
        machine.keep(&[]);
        assert_eq!(machine.same(&[]), "83");
        library(&machine, &system.join(below), 84);
        assert_eq!(machine.same(&[]), "84");
    }
}

/// A folder of overlayfs has the time of its uppermost layer, which does not change with what comes to another.
#[test]
fn a_name_comes_to_a_lower_layer_of_a_folder_that_the_compiler_searches() {
    let text = program_with(
        "CFLAGS: -DX",
        "#if __has_include(<v.h>)\n// #include <v.h>\n// #endif",
    );
    let Some(mut machine) = Machine::new(&[("main.go", &text)]) else {
        return;
    };
    let lower = machine.mount("/usr/local/include", Shown::Below);
    if !machine.command("true", &[]).run().status.success() {
        eprintln!("skipped: no overlay");
        return;
    }
    // What changed a moment ago is not believed anyway.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    machine.keep(&[]);
    assert_eq!(machine.same(&[]), "0");
    machine.keep(&[]);
    define(&lower, "v.h", 75);
    assert_eq!(machine.same(&[]), "75");
}
