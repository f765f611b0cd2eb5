//! Hosts of their own on this machine: network namespaces at a switch that can cut each of them off.
//!
//! A namespace is held by a process that ends with this one, so nothing is left of a run that was killed. Nothing of all this shows
//! outside: no name, no address, no interface.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::{Invocation, Recipe};

/// Of the switch, which is where the test listens.
const SWITCH: &str = "10.231.0.1";

/// Hosts with a cable each to one switch.
pub struct Hosts {
    switch: Namespace,
    hosts: Vec<Namespace>,
}

impl Hosts {
    /// So many. Nothing, said aloud, where this machine does not allow them.
    pub fn new(count: usize) -> Option<Hosts> {
        let trial = "ip link add name switch type bridge && ip link add name cable type veth peer name host0";
        // Without `ip` this fails: ./test installs it.
        command("ip", &["-V"]).run().ok();
        let trial = command("unshare", &["--net", "sh", "-c", trial]).run();
        if !trial.status.success() {
            // Not by the macro, whose text is shown only when a test fails.
            let _ = writeln!(
                io::stderr(),
                "not tested: this machine does not allow network namespaces: {}",
                trial.stderr.trim_end()
            );
            return None;
        }
        let hosts = Hosts {
            switch: Namespace::new(),
            hosts: (0..count).map(|_| Namespace::new()).collect(),
        };
        hosts.switch.run(
            &format!(
                "ip link add name switch type bridge && ip addr add {SWITCH}/24 dev switch && ip link set switch up"
            ),
        );
        for (number, host) in hosts.hosts.iter().enumerate() {
            hosts.switch.run(
                &format!(
                    "ip link add name host{number} type veth peer name cable netns {} && ip link set host{number} master switch up",
                    host.holder.id()
                ),
            );
            host.run(&format!(
                "ip link set lo up && ip addr add 10.231.0.{}/24 dev cable && ip link set cable up",
                number + 2
            ));
        }
        Some(hosts)
    }

    /// A port that all hosts reach.
    pub fn listen(&self) -> TcpListener {
        let namespace = File::open(self.switch.path()).unwrap();
        // A socket stays in the namespace that it was made in, the thread that made it is needed no longer.
        thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            TcpListener::bind((SWITCH, 0)).unwrap()
        })
        .join()
        .unwrap()
    }

    /// The same program, on this host.
    pub fn on(&self, host: usize, recipe: Recipe) -> Recipe {
        let mut args = vec![
            format!("--net={}", self.hosts[host].path().display()),
            recipe.program.to_string_lossy().into_owned(),
        ];
        args.extend(recipe.args.iter().cloned());
        Recipe {
            program: PathBuf::from("nsenter"),
            args,
            ..recipe
        }
    }

    /// From now on nothing that it sends arrives, nothing arrives there, and nobody is told.
    pub fn cut(&self, host: usize) {
        self.port(host, "0", "disabled");
    }

    /// Undoes [`cut`](Hosts::cut).
    pub fn heal(&self, host: usize) {
        self.port(host, "3", "forwarding");
    }

    /// Brings a port of the switch into a state, which has a number and a name.
    fn port(&self, host: usize, state: &str, name: &str) {
        self.switch.run(&format!(
            "bridge link set dev host{host} state {state} && bridge link show dev host{host} | grep -q 'state {name}'"
        ));
    }
}

/// A network namespace, and the process that it lives with.
struct Namespace {
    /// It ends when its stdin does, and that is when this process ends at the latest.
    holder: Child,
}

impl Namespace {
    fn new() -> Namespace {
        #[allow(clippy::disallowed_methods, reason = "its stdin is its life")]
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo && exec cat >/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Its line says that it is in its namespace.
        let mut line = [0];
        holder
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut line)
            .unwrap();
        Namespace { holder }
    }

    /// Runs this in it, to its end.
    fn run(&self, script: &str) {
        let net = format!("--net={}", self.path().display());
        command("nsenter", &[&net, "sh", "-c", script]).run().ok();
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.id()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.holder.kill().unwrap();
        self.holder.wait().unwrap();
    }
}

fn command(program: &str, args: &[&str]) -> Invocation {
    // `ip` is where only root looks for programs.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    Invocation::new(Path::new(program), args, &std::env::temp_dir()).env("PATH", &path)
}
