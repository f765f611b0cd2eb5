//! The specimens, by what they are about.

mod embeds;
mod flags;
mod legacy;
mod modules;
mod native;
mod overlays;
mod places;
mod private;
mod releases;
mod repositories;
mod sources;

use std::io;

use crate::specimen::Specimen;
use crate::workshop::Workshop;

/// All of them.
pub(crate) fn all() -> Vec<Specimen> {
    [
        sources::ALL,
        embeds::ALL,
        native::ALL,
        modules::ALL,
        private::ALL,
        releases::ALL,
        legacy::ALL,
        flags::ALL,
        overlays::ALL,
        repositories::ALL,
        places::ALL,
    ]
    .concat()
}

const fn quick(name: &'static str, make: fn(&mut Workshop) -> io::Result<()>) -> Specimen {
    Specimen {
        name,
        slow: false,
        leads_outside: false,
        make,
    }
}

const fn slow(name: &'static str, make: fn(&mut Workshop) -> io::Result<()>) -> Specimen {
    Specimen {
        name,
        slow: true,
        leads_outside: false,
        make,
    }
}

/// Not to be changed at random.
const fn leads_outside(name: &'static str, make: fn(&mut Workshop) -> io::Result<()>) -> Specimen {
    Specimen {
        name,
        slow: false,
        leads_outside: true,
        make,
    }
}

/// A program that prints a number.
const MAIN: &str = "package main\n\nfunc main() { println(100) }\n";

/// A program that prints what packages `a` and `b` of its module have.
const MAIN_AB: &str = "package main\n\nimport (\n\t\"example.com/m/a\"\n\t\"example.com/m/b\"\n)\n\nfunc main() { println(a.A, b.B()) }\n";
const A: &str = "package a\n\nimport \"example.com/m/b\"\n\nvar A = b.B() + 100\n";
const B: &str = "package b\n\nfunc B() int { return 200 }\n";
