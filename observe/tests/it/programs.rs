//! Programs with many threads, programs that replace themselves, and ones that must not be believed.

use gofarm_observe::{Kind, ObserveError, Outcome};

use super::place::Place;

const THREADS: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile int got;
static void handler(int signal) { got = signal; }

static void *work(void *number) {
	char name[32];
	for (int i = 0; i < 50; i++) {
		sprintf(name, "t%ld-%d", (long)number, i);
		if (open(name, O_RDONLY) >= 0) abort();
	}
	return 0;
}

int main(int argc, char **argv) {
	pthread_t threads[16];
	struct sigaction action = {.sa_handler = handler};
	sigaction(SIGRTMIN + 3, &action, 0);
	for (long i = 0; i < 16; i++) pthread_create(&threads[i], 0, work, (void *)i);
	for (int i = 0; i < 16; i++) pthread_join(threads[i], 0);
	/* Sends a real-time signal of its own to every thread. */
	if (setgid(getgid()) != 0) return 2;
	raise(SIGRTMIN + 3);
	if (got != SIGRTMIN + 3) return 3;
	puts("done");
	return 0;
}
"#;

#[test]
fn a_program_of_many_threads_and_real_time_signals() {
    let place = Place::new(&[("t.c", THREADS)]);
    place.compile("t.c", "t", &["-pthread"]);
    let seen = place.run(place.path("t").to_str().unwrap(), &[]).ok();
    assert_eq!(seen.stdout(), "done\n");
    let mut processes = std::collections::BTreeSet::new();
    for thread in 0..16 {
        for i in 0..50 {
            let name = place.path(&format!("t{thread}-{i}"));
            let found: Vec<_> = seen
                .accesses
                .iter()
                .filter(|access| access.path == name)
                .collect();
            assert_eq!(found.len(), 1, "{name:?}");
            assert_eq!(
                (found[0].kind, found[0].outcome),
                (Kind::Read, Outcome::Absent)
            );
            processes.insert(found[0].process);
        }
    }
    assert_eq!(processes.len(), 1, "threads are no processes");
}

const EXECS: &str = r#"
#include <pthread.h>
#include <unistd.h>
static void *run(void *program) {
	execl(program, program, "-c", "read x < behind; echo ran", (char *)0);
	return 0;
}
static void *idle(void *unused) { for (;;) pause(); }
int main(void) {
	pthread_t thread;
	for (int i = 0; i < 4; i++) pthread_create(&thread, 0, idle, 0);
	pthread_create(&thread, 0, run, "/bin/sh");
	for (;;) pause();
}
"#;

#[test]
fn a_thread_that_is_not_the_first_runs_another_program() {
    let place = Place::new(&[("t.c", EXECS), ("behind", "")]);
    place.compile("t.c", "t", &["-pthread"]);
    let seen = place.run(place.path("t").to_str().unwrap(), &[]).ok();
    assert_eq!(seen.stdout(), "ran\n");
    assert_eq!(seen.asked("behind"), [(Kind::Read, Outcome::Found)].into());
    assert!(seen.accesses.iter().any(
        |access| access.kind == Kind::Execute && access.path == std::path::Path::new("/bin/sh")
    ));
}

const VFORKS: &str = r#"
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
	for (int i = 0; i < 20; i++) {
		int status;
		pid_t pid = vfork();
		if (pid == 0) {
			execl("./none", "none", (char *)0);
			execl("/bin/sh", "sh", "-c", "read x < file", (char *)0);
			_exit(1);
		}
		waitpid(pid, &status, 0);
		if (status != 0) return 2;
	}
	return 0;
}
"#;

#[test]
fn children_of_vfork_and_programs_that_are_not_there() {
    let place = Place::new(&[("t.c", VFORKS), ("file", "\n")]);
    place.compile("t.c", "t", &[]);
    let seen = place.run(place.path("t").to_str().unwrap(), &[]).ok();
    assert_eq!(
        seen.asked("none"),
        [(Kind::Execute, Outcome::Absent)].into()
    );
    let read = seen
        .accesses
        .iter()
        .filter(|access| access.path == place.path("file"));
    assert_eq!(read.count(), 20);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn code_of_32_bits_is_refused() {
    // getpid of the 32-bit table, and getpid of the x32 table.
    for call in [
        "__asm__ volatile(\"int $0x80\" : \"=a\"(r) : \"a\"(20));",
        "__asm__ volatile(\"syscall\" : \"=a\"(r) : \"a\"(0x40000000 + 39) : \"rcx\", \"r11\");",
    ] {
        let text = format!("int main(void) {{ long r; {call} return r == 0; }}\n");
        let place = Place::new(&[("t.c", &text)]);
        place.compile("t.c", "t", &[]);
        let script = "./t & sleep 1000";
        let error = place
            .try_run(&place.request("sh", &["-c", script]))
            .err()
            .unwrap();
        assert!(
            matches!(error, ObserveError::ForeignCalls { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("/t)"), "{error}");
    }
}

const RING: &str = r#"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
	char params[256] = {0};
	return !(syscall(SYS_io_uring_setup, 1, params) == -1 && errno == ENOSYS);
}
"#;

#[test]
fn io_uring_is_as_if_the_system_had_none() {
    let place = Place::new(&[("t.c", RING)]);
    place.compile("t.c", "t", &[]);
    place.run(place.path("t").to_str().unwrap(), &[]).ok();
}

const GO: &str = r#"package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
)

func main() {
	var group sync.WaitGroup
	for i := range 40 {
		group.Add(1)
		go func() {
			defer group.Done()
			os.ReadFile(fmt.Sprintf("r%d", i))
			os.Lstat(fmt.Sprintf("l%d", i))
			os.ReadDir("d")
			exec.Command("sh", "-c", fmt.Sprintf("read x < c%d", i)).Run()
		}()
	}
	group.Wait()
}
"#;

#[test]
fn a_go_program_that_starts_others() {
    let place = Place::new(&[
        ("main.go", GO),
        ("go.mod", "module m\n\ngo 1.22\n"),
        ("d/x", ""),
    ]);
    #[allow(clippy::disallowed_methods, reason = "makes what a test observes")]
    let built = std::process::Command::new("go")
        .args(["build", "-o", "program", "."])
        .current_dir(place.path(""))
        .env("GOTOOLCHAIN", "local")
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let seen = place.run(place.path("program").to_str().unwrap(), &[]).ok();
    for i in 0..40 {
        assert_eq!(
            seen.asked(&format!("r{i}")),
            [(Kind::Read, Outcome::Absent)].into()
        );
        assert_eq!(
            seen.asked(&format!("l{i}")),
            [(Kind::Look { follow: false }, Outcome::Absent)].into()
        );
        assert_eq!(
            seen.asked(&format!("c{i}")),
            [(Kind::Read, Outcome::Absent)].into()
        );
    }
    assert!(seen.asked("d").contains(&(Kind::List, Outcome::Found)));
}
