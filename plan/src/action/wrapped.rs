//! Tools that the program of -toolexec starts.

use gofarm_proto::v1;

use crate::action::assemble::Assembly;
use crate::action::inputs::Inputs;
use crate::dryrun::command::Command;
use crate::error::PlanError;
use crate::gocmd::Answer;

impl Assembly<'_> {
    /// Puts the wrapper before the tool of a step, as cmd/go does, and declares it. `package` is what cmd/go tells it of the
    /// package (`runOut` in cmd/go/internal/work/shell.go); nothing where there is none.
    pub(super) fn wrap(
        &mut self,
        command: &Command,
        inputs: &mut Inputs,
        package: &str,
        run: &mut v1::Run,
    ) -> Result<(), PlanError> {
        let Some(wrapper) = self.wrapper.as_ref().filter(|_| command.wrapped) else {
            return Ok(());
        };
        self.wrapped.extend(command.argv.first().cloned());
        let program = inputs.tool(&self.roots, &wrapper.program().to_string_lossy())?;
        // Its arguments are data, as those that cmd/go hands on of the user's flags.
        let words = std::iter::once(program).chain(wrapper.arguments().iter().cloned());
        run.argv.splice(..0, words);
        // It stands right before the tool's arguments, so the worker cannot say how much is to be done at once.
        run.compiler_concurrency = false;
        if !package.is_empty() {
            run.env.insert(
                0,
                v1::EnvVar {
                    name: "TOOLEXEC_IMPORTPATH".to_owned(),
                    value: package.to_owned(),
                },
            );
        }
        Ok(())
    }

    /// What the wrapper says of each tool that it starts. cmd/go asks in every build, and what is said is in the identities.
    pub(super) fn versions(&self) -> Vec<Answer> {
        let Some(wrapper) = &self.wrapper else {
            return Vec::new();
        };
        let tools = self.wrapped.iter();
        tools
            .map(|tool| wrapper.ask_version(&**self.lookups.host(), self.go, tool))
            .collect()
    }
}
