//! The action that makes one package: cgo, cover, assembler, compiler and pack, as cmd/go runs them, with the
//! export data and the object code kept apart.

use std::path::{Path, PathBuf};

use gofarm_identity::PACKAGE_BUILD_ID;
use gofarm_proto::v1::RecordedFlags;
use gofarm_proto::{WORK_DIR, v1};

use crate::action::assemble::Assembly;
use crate::action::group::Group;
use crate::action::inputs::Inputs;
use crate::action::sources;
use crate::cc::flags::PackageFlags;
use crate::cc::linking::Linked;
use crate::cc::system::is_shown;
use crate::cc::{includes, pkgconfig};
use crate::dryrun::script::Entry;
use crate::error::PlanError;
use crate::node::PlannedNode;
use crate::roots::{Roots, map_objdir};

pub(super) const DYNIMPORT_FAIL: &str = "dynimportfail";
/// What cgo calls the header of exported functions (`runCgo` in cmd/go/internal/work/exec.go).
pub(super) const EXPORT_HEADER: &str = "_cgo_install.h";

/// A package while it is put together.
pub(super) struct Draft<'g> {
    pub group: &'g Group,
    /// As cmd/go describes the package.
    pub package: String,
    pub inputs: Inputs,
    pub steps: Vec<v1::Step>,
    /// Sources in which `#include` lines are followed, and the -I folders for them.
    pub includers: Vec<PathBuf>,
    pub include_folders: Vec<PathBuf>,
    /// -D arguments of C compilers.
    pub definitions: Vec<String>,
    pub compilers: Vec<Vec<String>>,
    pub profile: Option<u32>,
    pub uses_cgo: bool,
    /// cgo writes a header of what package main exports, if it exports anything.
    pub exports_header: bool,
    /// The package's folder on this machine, where it must stand in what cgo reads: cgo hashes its input, and what
    /// `cover` has instrumented names the source that it came from.
    pub real_folder: Option<String>,
    /// See [`PackageFlags::source_map`].
    pub source_map: Option<(String, String)>,
    /// The linker flags that cgo records, where the action gives it others than cmd/go would.
    pub recorded_flags: Option<RecordedFlags>,
}

impl Draft<'_> {
    /// Declares what a linker reads.
    pub fn link_files(&mut self, roots: &Roots, linked: &Linked) {
        for file in &linked.files {
            self.inputs.file(roots, &file.to_string_lossy());
        }
    }
}

impl Draft<'_> {
    /// What cmd/go makes of a path that a C compiler records.
    pub fn source_name(&self, path: &str) -> String {
        let mapped = self
            .source_map
            .as_ref()
            .and_then(|(from, to)| Some(format!("{to}{}", path.strip_prefix(from)?)));
        mapped.unwrap_or_else(|| path.to_owned())
    }
}

impl Assembly<'_> {
    pub(crate) fn package(&mut self, group: &Group) -> Result<PlannedNode, PlanError> {
        let described = self.described(group)?;
        let said = self.hashed_line(&described.action_id, "dir ");
        let folder = sources::package_folder(&self.overlay, group, said);
        if let Some(folder) = &folder {
            self.cover_package(&described.action_id, folder);
        }
        let asked = pkgconfig::ask(
            &**self.lookups.host(),
            (self.go, self.env.get("GOROOT")),
            described.import_path(),
            &group.pkg_config,
            (&mut self.answers, &mut self.allowed),
        )?;
        let source_map = self.source_map(
            &described.action_id,
            described.import_path(),
            folder.as_deref(),
        );
        let mut draft = Draft {
            group,
            package: described.package.clone(),
            inputs: Inputs::default(),
            steps: Vec::new(),
            includers: Vec::new(),
            include_folders: Vec::new(),
            definitions: Vec::new(),
            compilers: Vec::new(),
            profile: None,
            uses_cgo: false,
            exports_header: false,
            real_folder: None,
            source_map: source_map.clone(),
            recorded_flags: None,
        };
        let cflags = self.compiler("CGO_CFLAGS");
        let ldflags = self.compiler("CGO_LDFLAGS");
        let package = PackageFlags {
            objdir: &group.objdir,
            source_map,
            pkg_config: &asked,
            cflags: &cflags,
            ldflags: &ldflags,
        };
        for entry in &group.entries {
            self.entry(&mut draft, entry, &package)?;
        }

        let (identity, files) =
            self.identity(&described.action_id, folder.as_deref(), draft.profile)?;
        for file in &files {
            draft.inputs.file(&self.roots, &file.to_string_lossy());
            draft.includers.push(file.clone());
        }
        // Go files include something only in a preamble of cgo.
        let uses_cgo = draft.uses_cgo;
        draft
            .includers
            .retain(|path| uses_cgo || path.extension().is_none_or(|ext| ext != "go"));
        let places = self.included(&mut draft)?;

        let host_tools = !draft.compilers.is_empty();
        let (env, platform) = self.surroundings(&draft.compilers)?;
        let (inputs, edges) = draft.inputs.finish();
        let work = |name: &str| format!("{WORK_DIR}/{name}");
        let output = |name: &str, path: &str| v1::Output {
            name: name.to_owned(),
            path: work(path),
            ..Default::default()
        };
        let mut outputs = vec![output("export", "pkg.x"), output("object", "pkg.a")];
        if draft.exports_header {
            outputs.push(v1::Output {
                optional: true,
                ..output("header", EXPORT_HEADER)
            });
        }
        let import_path = described.import_path().to_owned();
        Ok(PlannedNode {
            action: v1::Action {
                label: format!("compile {}", described.package),
                kind: v1::Kind::Compile.into(),
                package: described.package,
                steps: draft.steps,
                inputs,
                outputs,
                env,
                platform: Some(platform),
                host_tools,
                timeout_ms: 0,
                places,
            },
            edges,
            identity: Some(identity),
            import_path,
            folder: folder.unwrap_or_default().to_string_lossy().into_owned(),
            main: None,
            target: group.target.clone(),
            recorded_flags: draft.recorded_flags,
            c_library: false,
            c_toolchain_name: self.toolchains.name(&draft.compilers),
        })
    }

    /// Declares what the sources include, and says what has to be found by its absolute path.
    fn included(&mut self, draft: &mut Draft<'_>) -> Result<Vec<v1::Place>, PlanError> {
        let system = self.toolchains.system(self.go, &draft.compilers)?;
        let included = includes::follow(
            &self.lookups,
            &draft.includers,
            &draft.include_folders,
            &draft.definitions,
            system.searched(),
        );
        let mut elsewhere = included.elsewhere.iter();
        if let Some(path) = elsewhere.find(|path| !system.has(path, &self.roots)) {
            return Err(PlanError::Unsupported {
                what: format!("including {}", path.display()),
                why: "a folder in this path is a link, and .. leads up from where it leads; name the file by a path without \
                      the link"
                    .to_owned(),
            });
        }
        // No input can be shown there.
        let mut in_place = included.absolute.iter().chain(&included.beside);
        if let Some(path) = in_place.find(|path| is_shown(path) && !system.has(path, &self.roots)) {
            return Err(PlanError::Unsupported {
                what: format!("including {}", path.display()),
                why: "it lies in a folder of the system that is none of the C compiler's own, so it is not known to be the same \
                      on every machine; include it by its name alone, and name its folder with -I"
                    .to_owned(),
            });
        }
        for path in &included.files {
            if system.has(path, &self.roots) {
                continue;
            }
            self.roots
                .cover(&self.lookups, path.parent().unwrap_or(path));
            draft.inputs.file(&self.roots, &path.to_string_lossy());
        }
        // Inside an action the roots do not lie to each other as they do on this machine.
        for (folder, name, path) in &included.above {
            let virtual_path = |path: &Path| self.roots.to_virtual(&path.to_string_lossy());
            let Some(folder) = virtual_path(folder).filter(|_| !system.has(path, &self.roots))
            else {
                continue;
            };
            let found = includes::normalise(&Path::new(&folder).join(name));
            if virtual_path(path).as_deref() != found.to_str() {
                return Err(PlanError::Unsupported {
                    what: format!("including {name} ({})", path.display()),
                    why: "it leads out of its module, which an action has at another place; include the file by its name, and \
                          name its folder with -I"
                        .to_owned(),
                });
            }
        }
        // Only a C compiler reads them; Go's own assembler resolves nothing by itself but what cmd/go names.
        let absolute = included.absolute.iter();
        let places = absolute.filter(|path| !system.has(path, &self.roots));
        let places = places.filter_map(|path| {
            let path = path.to_string_lossy();
            Some(v1::Place {
                input: self.roots.to_virtual(&path)?,
                path: path.into_owned(),
            })
        });
        Ok(places.collect())
    }

    fn entry(
        &mut self,
        draft: &mut Draft<'_>,
        entry: &Entry,
        package: &PackageFlags<'_>,
    ) -> Result<(), PlanError> {
        let step = match entry {
            Entry::Write { path, content } => step(v1::step::Step::WriteFile(v1::WriteFile {
                path: self.work_path(draft, path)?,
                content: self.written(draft, path, content)?,
            })),
            Entry::Copy { from, to } => {
                self.roots.cover(
                    &self.lookups,
                    Path::new(from).parent().unwrap_or(Path::new("/")),
                );
                draft.inputs.file(&self.roots, from);
                draft.includers.push(PathBuf::from(from));
                step(v1::step::Step::CopyFile(v1::CopyFile {
                    from: self.roots.map_text(from),
                    to: self.work_path(draft, to)?,
                }))
            }
            Entry::Run(command) => self.run(draft, command, package)?,
            Entry::Pack { archive, members } => {
                self.check_archive(draft, archive)?;
                self.pack(draft, members)?
            }
            Entry::Stamp { path } => {
                self.check_archive(draft, path)?;
                step(v1::step::Step::GoArchive(v1::GoArchive {
                    export: format!("{WORK_DIR}/pkg.x"),
                    object: format!("{WORK_DIR}/pkg.a"),
                    build_id: PACKAGE_BUILD_ID.to_owned(),
                }))
            }
            Entry::Move { .. } | Entry::LinkTest => return Ok(()),
        };
        draft.steps.push(step);
        Ok(())
    }

    fn check_archive(&self, draft: &Draft<'_>, path: &str) -> Result<(), PlanError> {
        if path == format!("{}/_pkg_.a", draft.group.objdir) {
            return Ok(());
        }
        Err(PlanError::Inconsistent(format!(
            "{path} is not the archive of {}",
            draft.group.objdir
        )))
    }

    pub(super) fn work_path(&self, draft: &Draft<'_>, text: &str) -> Result<String, PlanError> {
        map_objdir(text, &draft.group.objdir).map_err(|other| {
            PlanError::Inconsistent(format!("{} reads {other} in {text:?}", draft.group.objdir))
        })
    }

    /// The contents of a configuration file, with virtual paths.
    fn written(
        &mut self,
        draft: &mut Draft<'_>,
        path: &str,
        content: &[u8],
    ) -> Result<Vec<u8>, PlanError> {
        let Ok(text) = std::str::from_utf8(content) else {
            return Ok(content.to_vec());
        };
        if path.ends_with("/importcfg") {
            return self.import_config(&mut draft.inputs, text, "export", "x");
        }
        if path.ends_with("/embedcfg") {
            return self.embed_config(draft, text);
        }
        Ok(self.work_path(draft, text)?.into_bytes())
    }

    /// Replaces the archives of an importcfg by produced inputs.
    pub(crate) fn import_config(
        &self,
        inputs: &mut Inputs,
        text: &str,
        output: &'static str,
        extension: &str,
    ) -> Result<Vec<u8>, PlanError> {
        let mut out = String::with_capacity(text.len());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("packagefile ") {
                let unknown = || {
                    PlanError::Inconsistent(format!(
                        "importcfg line {line:?} names no known archive"
                    ))
                };
                let (import, archive) = rest.split_once('=').ok_or_else(unknown)?;
                let objdir = archive.strip_suffix("/_pkg_.a").ok_or_else(unknown)?;
                let node = *self.packages.get(objdir).ok_or_else(unknown)?;
                let path = inputs.produced(&format!("{import}.{extension}"), node, output, true);
                out.push_str(&format!("packagefile {import}={path}\n"));
            } else if line.starts_with("packageshlib ") {
                return Err(PlanError::Unsupported {
                    what: "-linkshared".to_owned(),
                    why: "shared Go libraries are files of this machine that cannot be shared with a farm".to_owned(),
                });
            } else {
                out.push_str(line);
                out.push('\n');
            }
        }
        Ok(out.into_bytes())
    }

    /// The files of //go:embed, by virtual path.
    fn embed_config(&mut self, draft: &mut Draft<'_>, text: &str) -> Result<Vec<u8>, PlanError> {
        let bad = |why: String| PlanError::Inconsistent(format!("embedcfg: {why}"));
        let mut config: serde_json::Value =
            serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        let files = config
            .get_mut("Files")
            .and_then(serde_json::Value::as_object_mut)
            .ok_or_else(|| bad("no Files".to_owned()))?;
        for file in files.values_mut() {
            let real = file
                .as_str()
                .ok_or_else(|| bad("a file that is no text".to_owned()))?;
            self.roots.cover(
                &self.lookups,
                Path::new(real).parent().unwrap_or(Path::new("/")),
            );
            draft.inputs.file(&self.roots, real);
            *file = self
                .roots
                .to_virtual(real)
                .ok_or_else(|| bad(format!("{real} is outside all roots")))?
                .into();
        }
        serde_json::to_vec_pretty(&config).map_err(|error| bad(error.to_string()))
    }

    fn pack(&mut self, draft: &mut Draft<'_>, members: &[String]) -> Result<v1::Step, PlanError> {
        let mut paths = Vec::with_capacity(members.len() + 1);
        for member in members {
            if member.starts_with('/') {
                draft.inputs.file(&self.roots, member);
            }
            paths.push(self.roots.map_text(&self.work_path(draft, member)?));
        }
        let mut drop_missing = Vec::new();
        if draft.uses_cgo {
            // Behind the objects of cgo, before those of the system (Builder.build).
            let fail = format!("{WORK_DIR}/{DYNIMPORT_FAIL}");
            let at = paths
                .iter()
                .rposition(|path| path.starts_with(WORK_DIR))
                .map_or(0, |at| at + 1);
            paths.insert(at, fail.clone());
            drop_missing.push(fail);
        }
        Ok(step(v1::step::Step::Pack(v1::Pack {
            archive: format!("{WORK_DIR}/pkg.a"),
            members: paths,
            drop_missing,
        })))
    }
}

pub(super) fn step(step: v1::step::Step) -> v1::Step {
    v1::Step {
        step: Some(step),
        skip_if_exists: String::new(),
    }
}
