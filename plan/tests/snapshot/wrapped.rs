//! Plans with `-toolexec`: the wrapper counts as a whole, and is asked for the versions of tools again.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use gofarm_proto::v1::step::Step;

use crate::module::{Module, after_in};

/// The wrapper is asked by go and by the planner; it starts nothing here.
fn wrapped() -> Module {
    let mut module = Module::new();
    write_wrapper(&module, "");
    fs::write(module.folder.path().join("edition"), "one\n").unwrap();
    let wrapper = module.folder.path().join("tools/wrap");
    module
        .request
        .flags
        .push(format!("-toolexec={} -x", wrapper.display()));
    module.request.packages = vec!["./lib".into()];
    module
}

fn write_wrapper(module: &Module, comment: &str) {
    let tools = module.folder.path().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let edition = module.folder.path().join("edition");
    let text = format!(
        "#!/bin/sh\n# {comment}\nshift\nif [ \"$2\" = -V=full ]; then echo \"$(\"$@\")\" $(cat {}); else exec \"$@\"; fi\n",
        edition.display()
    );
    fs::write(tools.join("wrap"), text).unwrap();
    fs::set_permissions(tools.join("wrap"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_body_edit_is_no_change() {
    assert!(after_in(wrapped(), |m| m.edit("lib/lib.go", "one", "two")));
}

#[test]
fn another_wrapper_is_a_change() {
    assert!(!after_in(wrapped(), |m| write_wrapper(m, "another")));
}

#[test]
fn a_wrapper_that_says_something_else_is_a_change() {
    assert!(!after_in(wrapped(), |m| {
        fs::write(m.folder.path().join("edition"), "two\n").unwrap();
    }));
}

#[test]
fn other_arguments_of_the_wrapper_are_a_change() {
    assert!(!after_in(wrapped(), |m| {
        let flag = m.request.flags[0].replace(" -x", " -y");
        m.request.flags = vec![flag];
    }));
}

#[test]
fn each_tool_of_go_is_started_by_the_wrapper_and_no_other() {
    let mut module = wrapped();
    module.set("CGO_ENABLED", "1");
    module.write("cgo.go", "package main\n\nimport \"C\"\n");
    module.write("cpu.pprof", "GO PREPROFILE V1\n");
    module
        .request
        .flags
        .extend(["-pgo=cpu.pprof".into(), "-cover".into()]);
    module.request.packages = vec![".".into()];
    let (plan, _) = module.planned();
    let mut tools = BTreeSet::new();
    for node in &plan.nodes {
        let action = &node.action;
        let mut wrapped = false;
        for step in &action.steps {
            let Some(Step::Run(run)) = &step.step else {
                continue;
            };
            if !run.argv[0].starts_with("/__gofarm__/") {
                assert!(action.host_tools, "{:?}", run.argv);
                continue;
            }
            wrapped = true;
            assert_eq!(run.argv[..2], ["/__gofarm__/toolexec/wrap", "-x"]);
            let (folder, tool) = run.argv[2].rsplit_once('/').unwrap();
            assert!(folder.contains("/pkg/tool/"), "{folder}");
            tools.insert(tool.to_owned());
            let told = run.env.iter().find(|var| var.name == "TOOLEXEC_IMPORTPATH");
            let package = Some(&action.package).filter(|package| !package.is_empty());
            assert_eq!(told.map(|var| &var.value), package);
        }
        let input = action
            .inputs
            .iter()
            .find(|input| input.path == "/__gofarm__/toolexec/wrap");
        assert_eq!(input.is_some_and(|input| input.executable), wrapped);
    }
    assert_eq!(
        Vec::from_iter(tools),
        ["asm", "cgo", "compile", "cover", "link", "preprofile"]
    );
}

#[test]
fn for_which_program_a_package_is_compiled_is_not_known() {
    let mut module = wrapped();
    module.write("default.pgo", "GO PREPROFILE V1\n");
    module.request.packages = vec![".".into()];
    module.planned();
    module.request.packages = vec![".".into(), "./lib".into()];
    let refused = module.plan().unwrap_err().to_string();
    assert!(refused.contains("give -pgo=off"), "{refused}");
    module.request.flags.push("-pgo=off".into());
    module.planned();
}
