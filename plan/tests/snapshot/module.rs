//! A small module of a test's own, and the planner over it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gofarm_plan::{GoCommand, Plan, PlanError, PlanRequest, Planner, SourceFiles, plan};
use gofarm_store::FileIndex;

pub struct Module {
    pub folder: tempfile::TempDir,
    pub env: Vec<(OsString, OsString)>,
    pub request: PlanRequest,
    /// The module's folder, when it is not the usual one.
    pub at: Option<PathBuf>,
}

impl Module {
    pub fn new() -> Module {
        let folder = tempfile::tempdir().unwrap();
        let module = Module {
            env: vec![
                ("PATH".into(), std::env::var_os("PATH").unwrap()),
                ("HOME".into(), folder.path().join("home").into()),
                // Kept between runs: there cmd/go has its index of the standard library.
                (
                    "GOCACHE".into(),
                    Path::new(env!("CARGO_TARGET_TMPDIR"))
                        .join("go-cache")
                        .into(),
                ),
                ("GOFLAGS".into(), "".into()),
                ("CGO_ENABLED".into(), "0".into()),
                ("GOPROXY".into(), "off".into()),
                ("GOTOOLCHAIN".into(), "local".into()),
                ("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()),
            ],
            request: PlanRequest {
                packages: vec!["./...".into()],
                trimpath: true,
                ..PlanRequest::default()
            },
            folder,
            at: None,
        };
        module.write("go.mod", "module example.com/m\n\ngo 1.24\n");
        module.write("main.go", "package main\n\nimport (\n\t_ \"embed\"\n\n\t\"example.com/m/lib\"\n)\n\n//go:embed data/*.txt\nvar data string\n\nfunc main() { println(lib.F(), data) }\n");
        module.write("data/a.txt", "a\n");
        module.write("lib/lib.go", "// Package lib.\npackage lib\n\n// F is exported.\nfunc F() string { return \"one\" }\n");
        module.write(
            "lib/lib_test.go",
            "package lib\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) {}\n",
        );
        module.write("lib/only_windows.go", "package lib\n\nvar W = 1\n");
        module.age();
        module
    }

    pub fn root(&self) -> PathBuf {
        let usual = self.folder.path().join("m");
        self.at.clone().unwrap_or(usual)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let path = self.root().join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name}: {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// As [`edit`](Module::edit), by as many bytes and with the time that the file had.
    pub fn edit_unseen(&self, name: &str, from: &str, to: &str) {
        assert_eq!(from.len(), to.len());
        let path = self.root().join(name);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        self.edit(name, from, to);
        fs::File::open(&path).unwrap().set_modified(time).unwrap();
    }

    /// What is fresh is not remembered, because it may change again within a tick of the clock: lets time pass.
    pub fn age(&self) {
        fn walk(folder: &Path, time: SystemTime) {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), time);
                }
                fs::File::open(entry.path())
                    .unwrap()
                    .set_modified(time)
                    .unwrap();
            }
        }
        walk(
            self.folder.path(),
            SystemTime::now() - Duration::from_secs(3600),
        );
        let root = fs::File::open(self.root()).unwrap();
        root.set_modified(SystemTime::now() - Duration::from_secs(3600))
            .unwrap();
        // The time of a change of times cannot be set back; the planner allows for a tick of 10 ms.
        std::thread::sleep(Duration::from_millis(30));
    }

    pub fn go(&self) -> GoCommand {
        GoCommand {
            program: "go".into(),
            cwd: self.root(),
            env: self.env.clone(),
        }
    }

    /// What a dry run gives that does not believe size and time of files, as cmd/go's index of packages does.
    fn unindexed(&self) -> Plan {
        let mut go = self.go();
        assert_eq!(go.var("GODEBUG"), "");
        go.env.push(("GODEBUG".into(), "goindex=0".into()));
        let mut fresh = plan(&go, &self.request).unwrap();
        for node in &mut fresh.nodes {
            node.action.env.retain(|var| var.name != "GODEBUG");
        }
        fresh
    }

    /// Asks the planner; true when the plan was used again.
    pub fn planned(&self) -> (Plan, bool) {
        self.plan().unwrap()
    }

    /// As [`planned`](Module::planned).
    pub fn plan(&self) -> Result<(Plan, bool), PlanError> {
        // Of all tests: it has the sources of the standard library.
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("files");
        let index = FileIndex::load(&file, SystemTime::now()).unwrap();
        let mut files = SourceFiles::new(&index);
        let planner = Planner::new(self.go(), self.folder.path().join("plans"));
        let mut planned = planner.plan(&self.request, &mut files)?;
        if let Some(changed) = &planned.changed {
            println!("planned anew: {changed}");
        }
        let unremembered = planned.unremembered.take();
        let remembered = unremembered.map(|kept| kept.and_then(|kept| kept.remember(&mut files)));
        if let Some(Err(why)) = remembered {
            println!("not kept: {why}");
        }
        index.save().unwrap();
        Ok((planned.plan, planned.reused))
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(key, _)| key != name);
        self.env.push((name.into(), value.into()));
    }

    pub fn git(&self, args: &[&str]) {
        self.git_in(&self.root(), args);
    }

    /// As [`git`](Module::git), elsewhere.
    pub fn git_in(&self, folder: &Path, args: &[&str]) {
        let mut argv = vec![
            "git".to_owned(),
            "-c".into(),
            "user.name=t".into(),
            "-c".into(),
            "user.email=t@example.com".into(),
        ];
        argv.extend(args.iter().map(|arg| (*arg).to_owned()));
        let output = self.go().ask_tool(&argv, folder).unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// Plans, edits, and plans again.
pub fn after(edit: impl FnOnce(&mut Module)) -> bool {
    after_in(Module::new(), edit)
}

pub fn after_in(module: Module, edit: impl FnOnce(&mut Module)) -> bool {
    module.age();
    once_warmed(module, edit, |m| plan(&m.go(), &m.request).unwrap())
}

/// Tests of modules that are all made in the same way: whether a plan is used again after an edit.
macro_rules! cases {
    (of $module:expr; $($name:ident: $reused:expr, $edit:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!($crate::module::after_in($module, $edit), $reused);
        })*
    };
}

pub(crate) use cases;

/// cmd/go refuses what there is after the edit, so a plan that is used again would be a stale one.
pub fn is_refused_after(mut module: Module, edit: impl FnOnce(&mut Module)) {
    module.age();
    warmed(&mut module);
    edit(&mut module);
    assert!(plan(&module.go(), &module.request).is_err());
    assert!(module.plan().is_err());
}

/// An import of this file of the package `lib` becomes another one, while the file's size and time stay. Further it declares
/// this.
pub fn sees_an_unseen_import(module: Module, file: &str, declared: &str) {
    module.write(
        file,
        &format!("package lib\n\nimport _ \"unicode\"\n\n{declared}\n"),
    );
    let reused = long_after_in(module, |m| {
        m.edit_unseen(file, "\"unicode\"", "\"strings\"");
    });
    assert!(!reused);
}

/// As [`after_in`], of a module whose files have been as they are for so long that they are known by their times.
fn long_after_in(module: Module, edit: impl FnOnce(&mut Module)) -> bool {
    module.age();
    // As the index of files says.
    std::thread::sleep(Duration::from_millis(2_100));
    once_warmed(module, edit, Module::unindexed)
}

fn once_warmed(
    mut module: Module,
    edit: impl FnOnce(&mut Module),
    fresh: impl FnOnce(&Module) -> Plan,
) -> bool {
    warmed(&mut module);
    edit(&mut module);
    let (again, reused) = module.planned();
    let fresh = fresh(&module);
    assert_eq!(
        again.nodes, fresh.nodes,
        "the plan is not what a dry run gives"
    );
    reused
}

pub fn warmed(module: &mut Module) {
    assert!(!module.planned().1);
    assert!(module.planned().1, "an unchanged module is planned anew");
}
